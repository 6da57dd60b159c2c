package syslogd

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// daemon is one of the syslog daemons that Debian has. sysklogd, one of them once, is in neither Debian 12 nor 13.
type daemon struct {
	service string
	program string
	config  string                        // of its own, not ours: without it the daemon is not configured
	early   bool                          // it is told as soon as it is unpacked, for nothing would tell it later
	file    string                        // ours, in a directory that the daemon reads
	text    func(sockets []string) string // of the file
	// For a daemon without such a directory: the variable of its options in config, and how many sockets it takes.
	variable string
	most     int
	busybox  bool // config is shell code that the init script runs
}

// daemons in the order in which changes are made. Busybox's syslogd has one socket and no option for others, but it makes it where the
// link /dev/log leads (create_socket in busybox's sysklogd/syslogd.c): in the first chroot, and all find it.
var daemons = []daemon{
	{service: "rsyslog", program: paths.Rsyslogd, config: paths.RsyslogConf, early: true, file: path.Join(paths.RsyslogDir, fileName), text: rsyslog},
	{service: "syslog-ng", program: paths.SyslogNG, config: paths.SyslogNGConf, file: path.Join(paths.SyslogNGDir, fileName), text: syslogNG},
	{service: "inetutils-syslogd", program: paths.Syslogd, config: paths.InetutilsDefaults, variable: "SYSLOGD_OPTS", most: 19},
	{service: "busybox-syslogd", program: paths.Syslogd, config: paths.BusyboxDefaults, most: 1, busybox: true},
}

const fileName = "postfix-maint.conf"

const head = "# Made by postfix-maint, and removed with Postfix: sockets in the chroots of Postfix, so that chrooted daemons go on logging\n" +
	"# when %s is restarted.\n"

// rsyslog is its file, in the syntax that Debian 12's and 13's both read. The module is loaded by Debian's rsyslog.conf.
func rsyslog(sockets []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, "rsyslogd")
	for _, s := range sockets {
		fmt.Fprintf(&b, "input(type=\"imuxsock\" Socket=%q)\n", s)
	}
	return b.String()
}

// syslogNG hands what comes to the host's /dev/log, from where syslog-ng or journald takes it like any other message: so this needs none
// of the names that an administrator gave to sources and destinations, and every rule of theirs holds.
func syslogNG(sockets []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, head, "syslog-ng")
	b.WriteString("source s_postfix_maint {\n")
	for _, s := range sockets {
		fmt.Fprintf(&b, "\tunix-dgram(%q);\n", s)
	}
	b.WriteString("};\ndestination d_postfix_maint { unix-dgram(\"/dev/log\" template(\"<$PRI>$DATE $MSGHDR$MSG\\n\")); };\n" +
		"log { source(s_postfix_maint); destination(d_postfix_maint); };\n")
	return b.String()
}

// installed tells whether the daemon is there and is the one whose configuration is meant: busybox's syslogd has the name of inetutils',
// as a link. Under systemd busybox's of Debian 13 has a unit: journald holds /dev/log and feeds it, so it needs nothing of us.
func (d daemon) installed(root *sysroot.Root) (bool, error) {
	target, err := root.Readlink(d.program)
	if isBusybox := err == nil && path.Base(target) == "busybox"; isBusybox != d.busybox {
		return false, nil
	}
	if d.busybox {
		unit, err := root.Exists(paths.BusyboxUnit)
		systemd, err2 := root.Exists(paths.SystemdBooted)
		if err = errors.Join(err, err2); err != nil || unit && systemd {
			return false, err
		}
	}
	ok, err := root.Exists(d.program)
	if err == nil && ok {
		ok, err = root.Exists(d.config)
	}
	// dpkg fires no trigger for a Postfix that is not configured yet, so the one that it unpacks together with rsyslog looks by itself.
	if err == nil && !ok && d.early {
		ok, err = root.Exists(d.config + ".dpkg-new")
	}
	return ok, err
}
