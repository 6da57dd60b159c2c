package chroot

import (
	"path"
	"slices"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
)

// NewResolverPlan is a plan of hostFiles, and of those by which smtpd knows its users; what else is in the chroot stays as it is. The
// time zone and the ports are among them because they cost nothing, and a "postfix reload" by hand finds them then (failure C12). A
// file that the host has not (while an editor or a VPN replaces it, say) stays until the next full run.
func NewResolverPlan(d Deps, inst instance.Instance) (*Plan, error) {
	p := &Plan{Instance: inst, deps: d.complete(), held: []string{"."}, small: true}
	conf, err := readConfig(d.Root, inst, nil)
	if err != nil {
		return nil, err
	}
	set, _ := readSettings(d.Root, inst) // what is wrong in there concerns other files, and is said at each start
	p.Off = !set.sync
	if p.Off || len(conf.chrooted) == 0 {
		return p, nil
	}
	for _, f := range hostFiles {
		_ = p.addFile(f.path, rel(f.path), f.why, nil)
	}
	said := len(p.Warnings)
	p.addPasswd(conf)              // mail to a new user is refused for ever without it
	p.addLogins(conf)              // sasldb is changed by saslpasswd2(8) at any time
	p.Warnings = p.Warnings[:said] // what is wrong with SMTP AUTH is said at each start
	p.Relays = nil                 // made at a start: whoever sets up the network does not wait for systemd
	return p, nil
}

// LookupFiles are the host's files that NewResolverPlan copies.
func LookupFiles() []string {
	names := []string{paths.SASLDB, paths.Passwd}
	for _, f := range hostFiles {
		names = append(names, f.path)
	}
	return names
}

// lookupPrograms ask name servers by themselves, with a state of their own: res_search(3) after clearing two options, or
// res_nsearch(3). The C library re-reads resolv.conf for neither (resolv/resolv_context.c: maybe_init, __resolv_context_get_override),
// so such a process asks the name servers that it asked first until it ends. Lookups by getaddrinfo(3) notice the change.
var lookupPrograms = []string{"smtp", "lmtp", "smtpd", "dnsblog"}

// RetireIdle ends the processes of an instance that run chrooted, ask name servers that the chroot's resolv.conf may not name any
// more, and wait for work. master(8) starts new ones when they are needed, as it does after max_idle: nothing is reloaded, no
// delivery is cut off, no queue is flushed. A process at work is left alone: it goes on with its old name servers, for at most
// max_use jobs. It returns the programs ended.
func RetireIdle(d Deps, inst instance.Instance) (ended, warnings []string) {
	if !d.Root.IsHost() {
		return nil, nil
	}
	fi, err := d.Root.Lstat(path.Join(inst.QueueDir, paths.ResolvConf))
	if err != nil || !fi.Mode().IsRegular() {
		return nil, nil
	}
	changed := time.Unix(0, signatureOf(fi).ctime)
	master := Master(d, inst.QueueDir)
	if master == 0 {
		return nil, nil // it does not run
	}
	for _, pid := range procs.Children(master) {
		program, err := procs.Program(pid)
		name := path.Base(program)
		if err != nil || !slices.Contains(lookupPrograms, name) || !procs.StartedBefore(pid, changed) || !procs.RootIs(pid, inst.QueueDir) {
			continue
		}
		switch done, err := procs.EndIdle(pid); {
		case err != nil:
			warnings = append(warnings, err.Error())
		case done:
			ended = append(ended, name)
		}
	}
	return ended, warnings
}
