// Package chroot (ring: flow) keeps the queue directory of an instance, which is the root directory of its chrooted
// services, in step with the host. NewPlan reads the configuration and says what has to be there and why; Apply makes it
// so and touches nothing that is right already.
//
// What belongs to us: a file is ours if we wrote it or found it equal to what we would have written. A list under
// /var/lib/postfix-maint/chroot says which, by the hash of the content. The list learns of a file before the file is
// written and forgets it after it is gone, so after a crash at any point a file is ours exactly if its content stands in
// the list. Only such files are ever removed. What else lies in the queue directory is the administrator's; a file of
// theirs in the place of one that is planned is brought up to date, as Debian's scripts always did.
//
// What ends in an error, for then chrooted services cannot work:
//   - main.cf or master.cf cannot be read, or a value that decides about the chroot cannot be worked out
//   - myorigin is debian.org or ubuntu.com, which belong to others (as in Debian's scripts)
//   - the queue directory cannot be opened, or is the host's or another instance's
//   - a file of the table essential exists on the host, cannot be copied, and the chroot has not even an old copy; not so if it is
//     a directory, say, as container engines make of a missing one: the host's own programs cannot use that either
//
// All else is a warning, and the rest goes on: one unreadable certificate must not stop the mail (failure C06).
package chroot
