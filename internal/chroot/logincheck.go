package chroot

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// mechPlugins are the plugins of Debian's package libsasl2-modules, by the mechanism of smtpd.conf's mech_list.
var mechPlugins = map[string]string{
	"PLAIN": "libplain.so", "LOGIN": "liblogin.so", "CRAM-MD5": "libcrammd5.so", "DIGEST-MD5": "libdigestmd5.so",
	"SCRAM-SHA-1": "libscram.so", "SCRAM-SHA-256": "libscram.so",
}

// checkPackages says what is not installed or not switched on that a service's SMTP AUTH needs.
func (p *Plan) checkPackages(use login) {
	if use.dovecot != "" {
		return
	}
	lacks := func(what, mend string) { p.warnf("SMTP AUTH of %s will not work: %s; %s", use.service, what, mend) }
	if len(use.mechs) == 0 && !p.plugin("libplain.so") {
		lacks("no mechanism is installed", "install the package libsasl2-modules")
	}
	for _, mech := range use.mechs {
		if file := mechPlugins[mech]; file != "" && !p.plugin(file) {
			lacks("mechanism "+mech+" is not installed", "install the package libsasl2-modules")
		}
	}
	there := func(name string) bool {
		ok, err := p.deps.Root.Exists(name)
		return ok || err != nil
	}
	switch {
	case use.sasldb != "" && !p.plugin("libsasldb.so"):
		lacks("the plugin for sasldb is not installed", "install the package libsasl2-modules-db")
	case use.sasldb != "" && use.saslauthd == "" && !there(use.sasldb):
		lacks("there is no "+use.sasldb, "saslpasswd2(8) of the package sasl2-bin makes it")
	}
	if use.saslauthd == "" {
		return
	}
	starts := there(paths.SaslauthdUnit) // else the init script looks for START
	p.eachSaslauthd(func(vars map[string]string) { starts = starts || vars["START"] == "yes" })
	switch {
	case !there(paths.Saslauthd):
		lacks("saslauthd is not installed", "install the package sasl2-bin")
	case !starts:
		lacks("saslauthd is not switched on", "put START=yes into "+path.Join(paths.DefaultsDir, "saslauthd"))
	}
}

// plugin tells whether libsasl2 has a plugin of that file name, in a library directory of any architecture.
func (p *Plan) plugin(file string) bool {
	dirs, err := p.deps.Root.ReadDir(paths.LibPrefix)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(append([]string{"."}, names(dirs)...), func(dir string) bool {
		ok, err := p.deps.Root.Exists(path.Join(paths.LibPrefix, dir, path.Base(paths.SASLPlugins), file))
		return ok && err == nil
	})
}

func names(entries []fs.DirEntry) (all []string) {
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// checkLogins says what would keep the users of the running system from logging in by saslauthd at this moment: a socket that is not there,
// or that Postfix's user may not use. Dovecot's is among the endpoints.
func (a *applier) checkLogins() {
	for _, use := range a.uses {
		if use.dovecot != "" || use.saslauthd == "" {
			continue
		}
		relayed := slices.ContainsFunc(a.Relays, func(r Relay) bool { return r.Target == use.saslauthd })
		if use.chrooted && !relayed { // the administrator's own set-up
			a.checkSocket(use, path.Join(a.Instance.QueueDir, use.saslauthd), false)
			continue
		}
		a.checkSocket(use, use.saslauthd, use.chrooted)
	}
}

// checkSocket looks at one socket of saslauthd. Behind a relay it only has to be there.
func (a *applier) checkSocket(use login, name string, relayed bool) {
	fi, err := a.deps.Root.Stat(name)
	if err != nil || fi.Mode()&fs.ModeSocket == 0 {
		a.unreachable("SMTP AUTH of %s does not work now: no socket of saslauthd at %q; does it run?", use.service, name)
		return
	}
	if relayed && a.deps.Run != nil {
		return
	}
	account := a.mailOwner
	dir, err := a.deps.Root.Stat(path.Dir(name))
	if err == nil && !(a.may(account, dir, 1) && a.may(account, fi, 2)) {
		_, gid := sysroot.Owner(dir)
		a.unreachable("SMTP AUTH of %s does not work: user %s may not use %q; add the user to group %s (adduser %s %s) and restart Postfix",
			use.service, account, name, a.groupName(gid), account, a.groupName(gid))
	}
}

// may tells whether an account has a permission (1 to enter, 2 to write) by mode, owner and groups.
func (a *applier) may(account string, fi fs.FileInfo, bit fs.FileMode) bool {
	uid, gid := sysroot.Owner(fi)
	perm := fi.Mode().Perm()
	own, group := a.account(account)
	switch {
	case own == uid:
		return perm>>6&bit != 0
	case group == gid || a.member(account, gid):
		return perm>>3&bit != 0
	}
	return perm&bit != 0
}

// account gives the numbers of an account of the host, -1 where there is none.
func (p *Plan) account(name string) (uid, gid int) {
	for _, f := range p.fields(paths.Passwd) {
		if f[0] == name && len(f) > 3 {
			uid, err := strconv.Atoi(f[2])
			if gid, err2 := strconv.Atoi(f[3]); err == nil && err2 == nil {
				return uid, gid
			}
		}
	}
	return -1, -1
}

// member tells whether the group has the account among its further members.
func (p *Plan) member(account string, gid int) bool {
	return slices.ContainsFunc(p.fields(paths.Group), func(f []string) bool {
		return len(f) > 3 && f[2] == strconv.Itoa(gid) && slices.Contains(strings.Split(f[3], ","), account)
	})
}

func (p *Plan) groupName(gid int) string {
	for _, f := range p.fields(paths.Group) {
		if len(f) > 2 && f[2] == strconv.Itoa(gid) {
			return f[0]
		}
	}
	return strconv.Itoa(gid)
}

// fields are the lines of a file such as passwd(5), cut at colons. Its numbers become the owners of files, so it must be root's alone.
func (p *Plan) fields(name string) (all [][]string) {
	data, _ := p.deps.Root.ReadTrusted(name) // without it nobody is known
	for line := range strings.Lines(string(data)) {
		all = append(all, strings.Split(strings.TrimRight(line, "\n"), ":"))
	}
	return all
}
