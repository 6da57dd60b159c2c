package chroot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
)

// hostFiles are what any chrooted service may look at: the C library reads them, or Postfix itself.
var hostFiles = []struct{ path, why string }{
	{paths.Localtime, "time zone"},
	{paths.Services, "ports by name"},
	{paths.ResolvConf, "name servers"},
	{paths.Hosts, "hosts by name"},
	{paths.HostConf, "how hosts are resolved"},
	{paths.NSSwitch, "which NSS modules are asked"},
	{paths.MDNSAllow, "domains of libnss_mdns"},
	{paths.MDNSConf, "domains of libnss_mdns"},
}

// addHostFiles plans the files that any chrooted service may read. Debian 12's link usr/lib/zoneinfo/localtime is not
// among them: glibc reads /etc/localtime itself (Debian dropped it in 3.9.1-4). Nor are device nodes, which a file system
// mounted nodev refuses and OpenSSL has not needed since getrandom(2) (Debian dropped them as well: bug #1100100).
func (p *Plan) addHostFiles(extra []string) {
	for _, f := range hostFiles {
		_ = p.addFile(f.path, rel(f.path), f.why, nil) // one that the host has not is not needed
	}
	for _, f := range extra {
		if err := p.addFile(f, rel(f), "chroot_extra_files in "+paths.DefaultFile, nil); err != nil {
			p.warnf("cannot copy %q of chroot_extra_files: the host has no such file", f)
		}
	}
}

// caParameters name directories of certificates that the programs beside them read after chroot(2). A CAfile is read
// before, so it needs no copy (#991609).
var caParameters = []struct {
	name     string
	programs []string
}{
	{"smtp_tls_CApath", []string{"smtp", "lmtp", "tlsproxy"}},
	{"lmtp_tls_CApath", []string{"lmtp"}},
	{"smtpd_tls_CApath", []string{"smtpd", "tlsproxy"}},
	{"tlsproxy_tls_CApath", []string{"tlsproxy"}},
	{"tlsproxy_client_CApath", []string{"tlsproxy"}},
}

// hashed are the names that OpenSSL looks certificates up by: c_rehash(1). Other names in the directory are not trusted on
// the host either, so they must not become so in the chroot (a server's own certificate, for one).
var hashed = pattern.New(`^[0-9a-f]{8}\.[0-9]+$`)

func (p *Plan) addCADirs(conf *config, extra []string) {
	for _, param := range caParameters {
		for _, dir := range p.values(conf, param.name, param.programs...) {
			if path.IsAbs(dir) {
				_ = p.addCADir(path.Clean(dir), param.name) // as on the host: no directory, no certificates
			}
		}
	}
	for _, dir := range extra {
		if err := p.addCADir(dir, "chroot_extra_CAdir"); err != nil {
			p.warnf("cannot copy directory %q of chroot_extra_CAdir: the host has no such directory", dir)
		}
	}
}

// values is config.values; what cannot be worked out is a warning, and nothing is removed until it can.
func (p *Plan) values(conf *config, name string, programs ...string) []string {
	values, err := conf.values(name, programs...)
	if err != nil {
		p.warnf("%v", err)
		p.held = append(p.held, ".")
	}
	return values
}

// addCADir plans the hashed names of one directory, each as a file of its own whatever it links to.
func (p *Plan) addCADir(dir, why string) error {
	to := rel(dir)
	if _, known := p.caDir[to]; known || dir == p.Instance.QueueDir || strings.HasPrefix(dir, p.Instance.QueueDir+"/") {
		return nil // what is inside already is the administrator's
	}
	names, err := p.deps.Shared.certificates(p.deps.Root, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err != nil {
		p.warnf("cannot copy certificates of %q: %v", dir, err)
		p.held, p.undone = append(p.held, to), append(p.undone, to)
		return nil
	}
	p.caDir[to] = dir
	for _, name := range names {
		if err := p.addFile(path.Join(dir, name), path.Join(to, name), why, nil); err == nil { // a dangling link is no certificate: #1089836
			p.certsOnly(path.Join(to, name))
		}
	}
	return nil
}

// certsOnly marks an entry that addFile has just planned, if it has.
func (p *Plan) certsOnly(to string) {
	if n := len(p.Entries) - 1; n >= 0 && p.Entries[n].Path == to {
		p.Entries[n].certs = true
	}
}

// addPasswd plans the names of the accounts, without their passwords, for a chrooted smtpd that looks local users up itself, or for a
// chrooted proxymap(8), which is how local_recipient_maps looks them up by default: it answers "cannot access UNIX password database" else.
func (p *Plan) addPasswd(conf *config) {
	const byName = "unix:passwd.byname"
	values := p.values(conf, "local_recipient_maps", "smtpd")
	names := []string{byName}
	if conf.runs("proxymap") {
		names = append(names, "proxy:"+byName)
		if value, err := conf.value("local_recipient_maps"); err == nil { // of services that are not chrooted
			values = append(values, value)
		}
	}
	for _, value := range values {
		for _, table := range maincf.SplitList(value) {
			if slices.Contains(names, table) {
				_ = p.addFile(paths.Passwd, rel(paths.Passwd), "local_recipient_maps", blankPasswords)
				return
			}
		}
	}
}

// blankPasswords puts "x" for the second field of each line of passwd(5).
func blankPasswords(data []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(data) {
		name, rest, ok := bytes.Cut(line, []byte(":"))
		_, tail, more := bytes.Cut(rest, []byte(":"))
		switch {
		case ok && more:
			line = bytes.Join([][]byte{name, []byte("x"), tail}, []byte(":"))
		case ok: // a line that is cut off: what is left may be a password all the same
			line = append(bytes.Clone(name), ":x\n"...)
		}
		out.Write(line)
	}
	return out.Bytes()
}

// foreignOrigins are domains whose owners got the mail of hosts that were set up carelessly.
var foreignOrigins = map[string]bool{"debian.org": true, "ubuntu.com": true}

// checkOrigin refuses a myorigin that belongs to others. Debian's Postfix takes the name of a file there (policy 11.6).
func (p *Plan) checkOrigin(conf *config) error {
	origin, err := conf.value("myorigin")
	if err != nil {
		return nil // from the host's name, which is its own
	}
	if path.IsAbs(origin) {
		data, err := p.deps.Root.ReadFile(origin)
		if err != nil {
			p.warnf("cannot read %q, which myorigin names: %v; Postfix will not start without it", origin, err)
			return nil
		}
		origin, _, _ = strings.Cut(string(data), "\n")
	}
	if origin = strings.ToLower(strings.TrimSpace(origin)); foreignOrigins[origin] {
		return fmt.Errorf("cannot start with myorigin %q: the domain belongs to others, mail of this host would end there", origin)
	}
	return nil
}

// checkServices says which chrooted services cannot do their work, whatever is copied: they defer all mail. local(8) asks for the users
// of the host and delivers to their homes, pipe(8) and spawn(8) run the host's programs.
func (p *Plan) checkServices(conf *config) {
	for _, s := range conf.chrooted {
		if slices.Contains([]string{"local", "pipe", "spawn"}, s.Command) {
			p.warnf("master.cf runs %s chrooted, where it finds neither users nor programs: \"postconf -F %s/%s/chroot=n\"", s.Name, s.Name, s.Type)
		}
	}
}

// checkLog says where nobody would take a line of the log, as in a container without a syslog daemon: users debug blind there (L03). With
// maillog_file Postfix logs by itself, through the service postlog of master.cf (postlogd(8)).
func (p *Plan) checkLog(conf *config) {
	file, err := conf.value("maillog_file")
	if err != nil {
		return
	}
	there, err := p.deps.Root.Exists(paths.DevLog)
	postlog := slices.ContainsFunc(conf.services, func(s mastercf.Service) bool { return s.Name == "postlog" })
	switch {
	case file == "" && err == nil && !there:
		p.warnf("nobody takes the log: this system has no %s; install a syslog daemon, or \"postconf -e maillog_file=/var/log/mail.log\"", paths.DevLog)
	case file != "" && !postlog:
		p.warnf("maillog_file is set, and master.cf has no service postlog: \"postconf -M postlog/unix-dgram='postlog unix-dgram n - n - 1 postlogd'\"")
	}
}
