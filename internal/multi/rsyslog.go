package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// devDir is where chrooted daemons look for the socket "log" of the syslog daemon (syslog(3)).
const devDir = "dev"

// Rsyslog is the Sockets of rsyslogd(8): a file of ours for each instance. Without rsyslog it does nothing, for journald needs
// nothing: it keeps its socket over a restart.
type Rsyslog struct {
	Root *sysroot.Root
	// Restart makes a running rsyslog read its configuration: it opens sockets at its start only. May be nil.
	Restart func(ctx context.Context) error
}

// file is the snippet of an instance; rsyslog.conf includes *.conf.
func (Rsyslog) file(inst instance.Instance) string {
	return path.Join(paths.RsyslogDir, "postfix-maint-"+part(inst.Unit())+".conf")
}

// text is what the snippet says, in the old syntax, as Debian's own for the primary instance.
func (Rsyslog) text(inst instance.Instance) []byte {
	return fmt.Appendf(nil, "# Made by postfix-maint: a socket in the chroot of the Postfix instance %s, so that its daemons go on logging\n"+
		"# when rsyslog is restarted. Without the directory rsyslog makes none.\n$AddUnixListenSocket %s\n",
		inst.Name, path.Join(inst.QueueDir, devDir, "log"))
}

// installed tells whether there is an rsyslog that can be told of this instance.
func (r Rsyslog) installed(inst instance.Instance) (bool, error) {
	if strings.ContainsAny(inst.QueueDir, " \t") { // the syntax has no quotes
		return false, nil
	}
	ok, err := r.Root.Exists(paths.Rsyslogd)
	if err != nil || !ok {
		return false, err
	}
	return r.Root.Exists(paths.RsyslogDir)
}

// Due tells whether the snippet or the directory for the socket is missing.
func (r Rsyslog) Due(inst instance.Instance) (bool, error) {
	if ok, err := r.installed(inst); err != nil || !ok {
		return false, err
	}
	have, err := r.Root.ReadFile(r.file(inst))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("cannot read %q: %w", r.file(inst), err)
	}
	there, err := r.Root.Exists(path.Join(inst.QueueDir, devDir))
	return !there || string(have) != string(r.text(inst)), err
}

// Provide makes the directory and the snippet.
func (r Rsyslog) Provide(ctx context.Context, inst instance.Instance) error {
	if ok, err := r.installed(inst); err != nil || !ok {
		return err
	}
	if err := r.sweep(inst); err != nil {
		return err
	}
	made, err := r.Root.MkdirAll(path.Join(inst.QueueDir, devDir), sysroot.Attr{})
	if err != nil {
		return err
	}
	changed, err := r.Root.WriteFile(r.file(inst), r.text(inst), sysroot.Attr{})
	if err != nil || !made && !changed {
		return err
	}
	return r.restart(ctx)
}

// Withdraw removes the snippet, the socket, and the directory if nothing else is in it.
func (r Rsyslog) Withdraw(ctx context.Context, inst instance.Instance) error {
	if err := r.sweep(inst); err != nil {
		return err
	}
	changed, err := r.Root.Remove(r.file(inst))
	if err != nil {
		return err
	}
	if changed {
		if err := r.restart(ctx); err != nil {
			return err
		}
	}
	dir := path.Join(inst.QueueDir, devDir)
	if fi, err := r.Root.Lstat(path.Join(dir, "log")); err == nil && fi.Mode()&fs.ModeSocket != 0 {
		if _, err := r.Root.Remove(path.Join(dir, "log")); err != nil {
			return err
		}
	}
	if left, err := r.Root.ReadDir(dir); err == nil && len(left) == 0 {
		_, err = r.Root.Remove(dir)
		return err
	}
	return nil
}

// sweep removes what a killed run left beside the snippet and the directory.
func (r Rsyslog) sweep(inst instance.Instance) error {
	_, err := r.Root.SweepTemp(r.file(inst))
	if err == nil {
		_, err = r.Root.SweepTemp(path.Join(inst.QueueDir, devDir))
	}
	return err
}

func (r Rsyslog) restart(ctx context.Context) error {
	if r.Restart == nil {
		return nil
	}
	return r.Restart(ctx)
}
