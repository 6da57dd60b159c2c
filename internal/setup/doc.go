// Package setup (ring: flow) brings the host from the answers in the debconf database to a configured, running Postfix.
// It first plans (reads only), then applies; the plan is what "apply --dry-run" prints.
//
// What ends a run, and so leaves the package unconfigured (dpkg says so and "dpkg --configure -a" goes on from there),
// because Postfix could not work at all without it:
//   - an account or group of Postfix that can't be made
//   - a queue or data directory that can't be made
//   - a file of /etc that can't be read or written (a full file system; on a new host a read-only one): nothing is half written
//   - somebody else who changes a file of the plan each time that it is to be written, five times in a row
//
// What only warns, and says how to mend it, because a mail system is there all the same:
//   - an answer that Postfix would refuse: what is in force stays, else the guess is written; all other answers are carried out
//   - an unknown type of mail system on a first installation: mail is local only until it is mended
//   - a relay whose TLS, login or tables can't be set up: the former one stays; on a first installation mail for elsewhere waits
//   - a relay type without a relay host: where somebody answered a blank mail goes out directly, where nobody answered it waits
//   - a queue or data directory that another account could exchange for something else: nothing is made there
//   - a file of the settings that is on a read-only mount, a mount itself or immutable: no setting is changed, the wishes stay
//   - a file of our own memory is damaged: it is set aside under another name, and what is in force counts
//   - nobody answered the type of the mail system: it listens on the loopback interface only
//   - a host name that Postfix would refuse
//   - a statoverride, file attribute or SELinux label that can't be set
//   - main.cf or the alias file can't be understood, or is a link to nothing: it is left alone
//   - newaliases, or the alias database's map type, does not work
//   - the service does not start, reload or restart
//
// Progress is never inferred from a file being there: the intent of a run is written to paths.Pending before the first
// change and removed after the last, and a later run that finds it takes up that intent. It stays where a new host's relay failed.
package setup
