// Package setup (ring: flow) brings the host from the answers in the debconf database to a configured, running Postfix.
// It first plans (reads only), then applies; the plan is what "apply --dry-run" prints.
//
// What ends a run, and so leaves the package unconfigured (dpkg says so and "dpkg --configure -a" goes on from there),
// because Postfix could not work at all without it:
//   - an account or group of Postfix that can't be made
//   - a queue or data directory that can't be made
//   - a file of /etc that can't be read or written (a full or read-only file system): nothing is half written
//
// What only warns, and says how to mend it, because a mail system is there all the same:
//   - an answer that Postfix would refuse: none of the wishes is applied, the last working state stays; on a first
//     installation mail is local only until the answers are mended
//   - a relay whose TLS, login or tables can't be set up: the former one stays; on a first installation mail is local only
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
