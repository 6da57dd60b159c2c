package syslogd

import (
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
	file    string                        // ours, in a directory that the daemon reads
	text    func(sockets []string) string // of the file
	// For a daemon without such a directory: the variable of its options in config, and how many sockets it takes.
	variable string
	most     int
}

// daemons in the order in which changes are made. Busybox's syslogd is not among them: it has one socket, and no option for others.
var daemons = []daemon{
	{service: "rsyslog", program: paths.Rsyslogd, config: paths.RsyslogConf, file: path.Join(paths.RsyslogDir, fileName), text: rsyslog},
	{service: "syslog-ng", program: paths.SyslogNG, config: paths.SyslogNGConf, file: path.Join(paths.SyslogNGDir, fileName), text: syslogNG},
	{service: "inetutils-syslogd", program: paths.Syslogd, config: paths.InetutilsDefaults, variable: "SYSLOGD_OPTS", most: 19},
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
// as a link.
func (d daemon) installed(root *sysroot.Root) (bool, error) {
	if isBusybox(root, d.program) {
		return false, nil
	}
	ok, err := root.Exists(d.program)
	if err == nil && ok {
		ok, err = root.Exists(d.config)
	}
	return ok, err
}

func isBusybox(root *sysroot.Root, program string) bool {
	target, err := root.Readlink(program)
	return err == nil && path.Base(target) == "busybox"
}

// busyboxLoses tells whether the host's syslog daemon is busybox's and takes /dev/log for itself. Debian 12's follows the link and takes
// systemd-journald's socket away (create_socket in sysklogd/syslogd.c); Debian 13's has a unit, and journald feeds it.
func busyboxLoses(root *sysroot.Root) bool {
	unit, err := root.Exists(path.Join(paths.Units, "busybox-syslogd.service"))
	return isBusybox(root, paths.Syslogd) && err == nil && !unit
}
