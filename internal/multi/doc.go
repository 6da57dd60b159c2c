// Package multi (ring: flow) makes, lists, enables, disables and removes the Postfix instances of a host. What postmulti(1)
// does is done here in the same way, for it refuses all work while the primary instance is disabled or another one is broken; only a
// configuration that was there before is imported by it, which gives owners and modes to whatever it finds. Around that come the systemd unit, the chroot, the syslog socket and a check for two
// instances on one address.
//
// What always holds:
//
//   - A change is decided first, from files alone, and can be shown instead of made.
//   - One command works at a time. Its lock is inherited by the programs that it runs, so a command that is killed is
//     waited for until its postmulti has ended too.
//   - A create or remove writes down what it is about to make or take away, and what main.cf said before, before it
//     changes anything. A create that fails takes back all of it and nothing else: directories that were there before,
//     and files that are neither Postfix's nor ours, stay.
//   - After a kill or a power loss the next command puts that in order first. A create that was not complete is taken back;
//     one of which only the start was missing is started; a remove is finished.
//   - An instance that was made by hand is managed as it is. One that only Debian 13's units know (/etc/postfix-NAME without
//     an entry in multi_instance_directories) is enabled, disabled and removed in the same way, and joins the list by create.
//
// What ends a command: two enabled instances on one address and port; a directory that belongs to another instance; mail in
// the queue of an instance to be removed; a configuration that Postfix refuses; a unit that does not start. All else
// is a warning.
package multi
