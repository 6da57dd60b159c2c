package syslogd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// socketPath is where a chrooted process looks for its syslog daemon (syslog(3)).
const socketPath = "/dev/log"

// Host is the system and what acts on it.
type Host struct {
	Root *sysroot.Root
	// Restart makes a daemon that runs open its sockets, which all of them do at their start only. It is nil where nothing runs.
	Restart func(ctx context.Context, service string) error
	// Run runs a program; it is nil where none may be run.
	Run func(ctx context.Context, name string, args ...string) error
}

// Plan is what has to be done so that the syslog daemons listen in some chroots and in no others.
type Plan struct {
	Changes  []Change
	Warnings []string

	host Host
	dirs []string // to be made

	sockets []string // that there should be
}

// Change is one file.
type Change struct {
	Path string
	Diff string // unified

	daemon daemon
	old    []byte // nil where there is none
	new    []byte // nil removes it
	again  bool   // the file is as it should be, but the daemon was not restarted after its change
}

// NewPlan works out what has to be done for the chroots in the queue directories, the most important one first. It reads only. What cannot be done for one daemon is a
// warning that says what to do by hand.
func (h Host) NewPlan(queues []string) (*Plan, error) {
	p := &Plan{host: h}
	var sockets []string
	for _, q := range queues {
		if strings.ContainsFunc(q, func(c rune) bool { return c <= ' ' || c == 0x7f || strings.ContainsRune("\"'\\$`%#", c) }) {
			p.warnf("the syslog daemon cannot be told to listen in %q: the name has letters that its configuration cannot hold", q)
			continue
		}
		s := path.Join(q, socketPath)
		if p.isHosts(path.Dir(s)) {
			continue // the chroot has the host's own socket, which a daemon would remove by this name
		}
		// The daemon removes what has this name, makes the socket, and then lets everybody write to what has the name (chmod(2)).
		if err := h.Root.TrustedPlace(s); err != nil {
			p.refuse(s, err)
			continue
		}
		if !slices.Contains(sockets, s) {
			sockets = append(sockets, s)
		}
	}
	p.sockets = sockets
	for _, d := range daemons {
		if err := p.add(d, sockets); err != nil {
			return nil, err
		}
	}
	for _, s := range sockets {
		there, err := h.Root.Exists(path.Dir(s))
		if err != nil {
			return nil, err
		}
		if !there && len(p.listeners()) > 0 {
			p.dirs = append(p.dirs, path.Dir(s))
		}
	}
	return p, nil
}

// listeners are the installed daemons that are told of sockets.
func (p *Plan) listeners() (all []string) {
	for _, d := range daemons {
		if ok, err := d.installed(p.host.Root); err == nil && ok {
			all = append(all, d.service)
		}
	}
	return all
}

func (p *Plan) warnf(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// add plans the change for one daemon, if there is any.
func (p *Plan) add(d daemon, sockets []string) error {
	installed, err := d.installed(p.host.Root)
	if err != nil {
		return err
	}
	if !installed {
		sockets = nil
	}
	if sockets = slices.Clone(sockets); d.most != 1 {
		slices.Sort(sockets) // the text depends on nothing else
	}
	c := Change{Path: d.file, daemon: d}
	if d.file == "" {
		c.Path = d.config
	}
	c.old, err = p.host.Root.ReadFile(c.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot look at the configuration of %s: %w", d.service, err)
	}
	if d.file != "" {
		if sockets, err = p.unclaimed(d, sockets); err != nil {
			return err
		}
		if len(sockets) > 0 {
			c.new = []byte(d.text(sockets))
		}
	} else if err = p.options(d, &c, sockets); err != nil {
		p.warnf("%s is not told to listen in the chroots of Postfix: %v; add \"-a %s\" to %s in %s by hand",
			d.service, err, strings.Join(sockets, " -a "), d.variable, c.Path)
		return nil
	}
	if c.again = string(c.new) == string(c.old); c.again {
		if due, err := p.host.Root.Exists(c.due()); err != nil || !due || p.host.Restart == nil {
			return err
		}
	} else {
		c.Diff = maincf.Diff(c.Path, c.old, c.new)
	}
	p.Changes = append(p.Changes, c)
	return nil
}

// options works out the new text of a file of options.
func (p *Plan) options(d daemon, c *Change, sockets []string) error {
	before, _, after, err := cut(string(c.old))
	if err != nil {
		return err
	}
	sockets = slices.DeleteFunc(slices.Clone(sockets), func(s string) bool { return mentions(before+after, s) })
	if len(sockets) > d.most {
		p.warnf("%s cannot listen on more than %d such sockets: without %s chrooted daemons lose their log when it is restarted, until Postfix is "+
			"reloaded; rsyslog and syslog-ng know no such limit", d.service, d.most, strings.Join(sockets[d.most:], ", "))
		sockets = sockets[:d.most]
	}
	var text string
	if d.busybox {
		text, err = setLink(string(c.old), strings.Join(sockets, ""))
	} else {
		text, err = setOptions(string(c.old), d.variable, sockets)
	}
	if err == nil && (c.old != nil || text != "") {
		c.new = []byte(text)
	}
	return err
}

// Apply does it and restarts the daemons whose files changed. It goes on after a failure; with nothing to do it does nothing.
func (p *Plan) Apply(ctx context.Context) error {
	var errs []error
	for _, dir := range p.dirs {
		if _, err := p.host.Root.SweepTemp(dir); err != nil {
			errs = append(errs, err)
		}
		if _, err := p.host.Root.MkdirAll(dir, sysroot.Attr{}); err != nil {
			errs = append(errs, err)
		}
	}
	for _, c := range p.Changes {
		if err := p.apply(ctx, c); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func (p *Plan) apply(ctx context.Context, c Change) error {
	if p.host.Restart == nil {
		_, err := p.write(ctx, &c)
		return err
	}
	// Whoever comes after a process that was killed between the change and the restart finds nothing to change.
	if _, err := p.host.Root.WriteFile(c.due(), nil, sysroot.Attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}); err != nil {
		return err
	}
	changed, err := p.write(ctx, &c)
	if changed && c.daemon.busybox {
		err = errors.Join(err, p.restoreLink())
	}
	if changed && err == nil {
		err = p.host.Restart(ctx, c.daemon.service)
	}
	if ctx.Err() == nil { // else the restart was not tried, or not to its end
		_, e := p.host.Root.Remove(c.due())
		err = errors.Join(err, e)
	}
	return err
}

// due is there from before a change until the daemon has been restarted for it, or could not be, which was said then.
func (c Change) due() string { return paths.SyslogDue + c.daemon.service }

// write brings the file; changed is for a daemon that has to be restarted.
func (p *Plan) write(ctx context.Context, c *Change) (changed bool, err error) {
	var f *transaction.File
	if err := transaction.One(p.host.Root, func() (_ *transaction.File, err error) {
		f, err = p.latest(c)
		return f, err
	}); err != nil || f == nil && !c.again {
		return false, err
	}
	// A file that syslog-ng refuses would keep it from starting; rsyslogd leaves out what it does not understand.
	if c.daemon.service == "syslog-ng" && c.new != nil && p.host.Run != nil {
		if err := p.host.Run(ctx, c.daemon.program, "--syntax-only"); err != nil {
			if c.again {
				c.old = nil // what it was before is not known any more
			}
			back := transaction.One(p.host.Root, func() (*transaction.File, error) { return c.file(c.new, c.old), nil })
			return false, errors.Join(fmt.Errorf("cannot make syslog-ng listen in the chroots: it refuses the file: %w", err), back)
		}
	}
	return true, nil
}

// latest works a change out anew from what the file says now: options are people's to edit. nil is for nothing left to do.
func (p *Plan) latest(c *Change) (_ *transaction.File, err error) {
	now := &Plan{host: p.host}
	if err := now.add(c.daemon, p.sockets); err != nil {
		return nil, err
	}
	if len(now.Changes) > 0 {
		if *c = now.Changes[0]; c.again {
			return nil, nil
		}
		return c.file(c.old, c.new), nil
	}
	for _, w := range now.Warnings {
		if !slices.Contains(p.Warnings, w) {
			err = errors.Join(err, errors.New(w))
		}
	}
	return nil, err
}

// restoreLink gives /dev/log back to systemd-journald where it leads to a socket of ours; the init script makes it anew if it still is to.
func (p *Plan) restoreLink() error {
	target, err := p.host.Root.Readlink(paths.DevLog)
	if err != nil || path.Base(path.Dir(target)) != "dev" || path.Base(target) != "log" {
		return nil
	}
	if _, err := p.host.Root.Remove(paths.DevLog); err != nil {
		return err
	}
	if systemd, err := p.host.Root.Exists(paths.SystemdBooted); err != nil || !systemd {
		return err
	}
	_, err = p.host.Root.Symlink(paths.JournalLog, paths.DevLog)
	return err
}

// file is the file that says old and is to say text; nil is for none.
func (c Change) file(old, text []byte) *transaction.File {
	return &transaction.File{Path: c.Path, Seen: &sysroot.Seen{Missing: old == nil, Data: old}, New: text}
}

// Silent lists the sockets that the installed syslog daemon should have made and that are not there: it does not run, or something like
// AppArmor or SELinux keeps it from making them.
func (p *Plan) Silent() (missing []string) {
	if len(p.Changes) > 0 || len(p.listeners()) == 0 {
		return nil
	}
	for _, s := range p.sockets {
		if p.limited(s) {
			continue // said already
		}
		if fi, err := p.host.Root.Stat(s); err != nil || fi.Mode()&fs.ModeSocket == 0 {
			missing = append(missing, s)
		}
	}
	return missing
}

// limited tells whether none of the installed daemons takes as many sockets.
func (p *Plan) limited(socket string) bool {
	n := slices.Index(p.sockets, socket)
	return !slices.ContainsFunc(daemons, func(d daemon) bool {
		ok, err := d.installed(p.host.Root)
		return ok && err == nil && (d.most == 0 || n < d.most)
	})
}

// Leave takes the socket out of a queue directory that is about to go, and the directory around it if that is empty.
func (h Host) Leave(queue string) error {
	socket := path.Join(queue, socketPath)
	if err := h.Root.TrustedPlace(socket); err != nil {
		return fmt.Errorf("cannot remove the socket of the syslog daemon: %w", err)
	}
	if _, err := h.Root.SweepTemp(path.Dir(socket)); err != nil {
		return err
	}
	if fi, err := h.Root.Lstat(socket); err == nil && fi.Mode()&fs.ModeSocket != 0 {
		if _, err := h.Root.Remove(socket); err != nil {
			return err
		}
	}
	if left, err := h.Root.ReadDir(path.Dir(socket)); err == nil && len(left) == 0 {
		_, err = h.Root.Remove(path.Dir(socket))
		return err
	}
	return nil
}
