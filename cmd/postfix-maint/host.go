package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/history"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/lock"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
	"postfix-maint/internal/systemd"
)

// lookupLimit bounds the one name lookup of a run.
const lookupLimit = 2 * time.Second

// openRoot is the tree that dpkg works on: DPKG_ROOT (dpkg(1)), else the running system.
func openRoot() (*sysroot.Root, error) { return sysroot.Open(os.Getenv("DPKG_ROOT")) }

// scriptWait bounds how long a maintainer script waits for a person's command; nothing of ours takes as long.
const scriptWait = 30 * time.Second

// transactions is where several files are changed as one.
func transactions(root *sysroot.Root) transaction.Host {
	return transaction.Host{Root: root, Journal: paths.Transaction}
}

// recoverFiles ends what a command that was killed left of such a change, whichever command that was. Whoever calls it has the lock: it would
// take back the change of a command that is at work.
func recoverFiles(root *sysroot.Root, stderr io.Writer) {
	r, err := transactions(root).Recover()
	warn(stderr, r.Warnings)
	if err == nil {
		err = history.Recover(root)
	}
	if err != nil {
		warn(stderr, []string{fmt.Sprintf("cannot end an interrupted change: %v", err)})
	}
}

// reloads are the instances whose daemons have not read what a command has changed.
func reloads(root *sysroot.Root) transaction.Due {
	return transaction.Due{Root: root, Dir: paths.ReloadDue}
}

// reloadDue does the reloads that a command did not come to, or that failed. One of an instance that is gone is forgotten.
func reloadDue(ctx context.Context, root *sysroot.Root, reload func(context.Context, instance.Instance) error, stderr io.Writer) {
	due := reloads(root)
	keys, err := due.Keys()
	if len(keys) == 0 && err == nil {
		return
	}
	insts, broken := instance.List(root)
	for _, unit := range keys {
		i := slices.IndexFunc(insts, func(i instance.Instance) bool { return i.Unit() == unit })
		var failed error
		if i >= 0 {
			failed = reload(ctx, insts[i])
		}
		if failed == nil && (i >= 0 || len(broken) == 0) {
			failed = due.Done(unit)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s was changed by an earlier command and could not be reloaded: %w", unit, failed))
		}
	}
	if err != nil {
		warn(stderr, []string{err.Error()})
	}
}

// lockForScript is takeLock for a maintainer script: it waits, and goes on without the lock rather than fail an installation.
// In an image (DPKG_ROOT) nobody else is at work.
func lockForScript(ctx context.Context, root *sysroot.Root, script string, stderr io.Writer) *lock.Lock {
	if !root.IsHost() {
		recoverFiles(root, stderr)
		return nil
	}
	l, err := lock.Wait(ctx, paths.LockFile, script, scriptWait, func(busy *lock.BusyError) {
		fmt.Fprintf(stderr, "postfix-maint: waiting: %v\n", busy)
	})
	if err != nil {
		warn(stderr, []string{fmt.Sprintf("going on without waiting any longer: %v", err)})
	} else {
		recoverFiles(root, stderr)
	}
	return l
}

// takeLock keeps two commands from changing the same tree, and ends what one that was killed left.
func takeLock(ctx context.Context, root *sysroot.Root, command string, stderr io.Writer) (*lock.Lock, error) {
	path, err := root.Path(paths.LockFile)
	if err != nil {
		return nil, fmt.Errorf("cannot take lock %q: %w", paths.LockFile, err)
	}
	l, err := lock.Take(path, command)
	if err == nil {
		recoverFiles(root, stderr)
		if root.IsHost() {
			reloadDue(ctx, root, reloadInstance, stderr)
		}
	}
	return l, err
}

// running tells whether this tree is that of the running system. In a chroot that an image is built in it is not, and the kernel's name
// is the builder's: the first process has another root then, which ischroot(1) compares as well, or there is no /proc.
func running(root *sysroot.Root) bool {
	if !root.IsHost() {
		return false
	}
	here, err := os.Stat("/")
	if err != nil {
		return false
	}
	first, err := os.Stat("/proc/1/root")
	if errors.Is(err, fs.ErrPermission) { // a container that may not look
		return systemd.Booted("/")
	}
	return err == nil && os.SameFile(here, first)
}

// facts looks at the host. The host's own name is that of the running system, in a tree that is not running its /etc/hostname.
func facts(ctx context.Context, root *sysroot.Root, version string) answers.Facts {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	name := ""
	var res setup.Resolver
	if running(root) {
		name, _ = os.Hostname()
		res = &net.Resolver{PreferGo: true}
	}
	return setup.ReadFacts(ctx, root, name, version, res)
}

// installedVersion is the version of Debian's package postfix from dpkg's database; "" if it is not there. While dpkg runs, what
// it did so far stands in files of its own beside the status file, the last one counts (dpkg's lib/dpkg/dbmodify.c).
func installedVersion(root *sysroot.Root) (version string) {
	files := []string{paths.DpkgStatus}
	updates, _ := root.ReadDir(paths.DpkgUpdates) // in the order of their names, which are numbers
	for _, f := range updates {
		files = append(files, paths.DpkgUpdates+"/"+f.Name())
	}
	for _, path := range files {
		data, err := root.ReadFile(path)
		if err != nil {
			continue
		}
		_, stanza, ok := strings.Cut("\n"+string(data), "\nPackage: postfix\n")
		if !ok {
			continue
		}
		stanza, _, _ = strings.Cut(stanza, "\n\n")
		for line := range strings.Lines(stanza) {
			if v, ok := strings.CutPrefix(line, "Version: "); ok {
				version = strings.TrimSpace(v)
			}
		}
	}
	return version
}

// service is the init system of root.
func service(root *sysroot.Root) (setup.Service, func()) {
	r := run.Runner{}
	links := setup.SysV{Run: r, Root: root, Check: r}
	record := systemd.Helper{Run: run.Runner{Env: []string{"DPKG_MAINTSCRIPT_PACKAGE=postfix"}}} // "apply" is no maintainer script
	switch {
	case !root.IsHost(): // deb-systemd-helper(1) and update-rc.d(8) obey DPKG_ROOT, which is in the environment
		record.Root = root.Dir()
		return setup.Offline{SysV: links, Record: record, Image: true}, func() {}
	case !systemd.Booted("/"):
		return setup.Offline{SysV: links, Record: record}, func() {}
	}
	s := &setup.Systemd{Run: r, Links: links, Record: record, Dial: systemd.Dial}
	return s, s.Close
}
