// Package syslogd (ring: flow) makes the host's syslog daemon listen on dev/log in the chroots of Postfix. A chrooted daemon keeps the
// connection to the host's /dev/log that it opened before chroot(2) until the syslog daemon restarts and makes that socket anew; then
// syslog(3) opens /dev/log again, as seen from inside.
//
// Where systemd-journald holds /dev/log no restart of another daemon breaks that connection, so a host without a syslog daemon needs
// nothing, and nothing is done there. GNU inetutils' syslogd takes /dev/log for itself also under systemd.
//
// A daemon that reads a directory of configuration files gets one file; for the others a marked assignment is put at the end of the file
// of their options, and taken out again. Which sockets an administrator has configured otherwise is left to that.
package syslogd
