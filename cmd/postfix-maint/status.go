package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/multi"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/status"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
	versions "postfix-maint/internal/version"
)

// How long status waits for what takes its time: a look into the chroots of hundreds of instances, systemd, apt.
const (
	chrootPatience = 250 * time.Millisecond
	answerPatience = 700 * time.Millisecond
)

// renewal is how often a watched screen is made anew.
const renewal = 2 * time.Second

// Screens are as wide as the narrowest terminal, and have room for so many instances.
const (
	screenWidth = 80
	screenLines = 30
)

func watchFlag() cli.Flag {
	return &cli.BoolFlag{Name: "watch", Usage: "show it again and again, until it is interrupted"}
}

// watchOptions refuses options that do not go together.
func watchOptions(_ context.Context, c *call) error {
	if c.Bool("watch") && c.Bool("json") {
		return refuse("--watch does not go with --json: a machine asks again when it likes to")
	}
	return nil
}

func showStatus(ctx context.Context, c *call) error {
	if !c.Bool("watch") {
		return shown(lookAround, printScreen)(ctx, c)
	}
	clear := ""
	if isTerminal(c.stdout) {
		clear = "\x1b[H\x1b[2J" // console_codes(4)
	}
	for {
		r, err := lookAround(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := io.WriteString(c.stdout, clear); err != nil {
			return err
		}
		if err := printScreen(c, r); err != nil {
			return err
		}
		select {
		case <-ctx.Done(): // that is how it ends
			return nil
		case <-time.After(renewal):
		}
	}
}

func printScreen(c *call, r *status.Report) error {
	s := status.Style{Width: screenWidth, Lines: screenLines, Colour: isTerminal(c.stdout) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
	_, err := io.WriteString(c.stdout, r.Text(s))
	return err
}

// isTerminal tells whether what is read or written is a person's.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// lookAround looks at the instance that is named, or at all.
func lookAround(ctx context.Context, c *call) (*status.Report, error) {
	r := status.Report{
		Time: time.Now(), Postfix: installedVersion(c.root), Program: version, Instances: []status.Instance{}, Problems: []string{}, Unseen: []string{},
	}
	r.Layer = versions.Layer(r.Postfix)
	r.Host, _ = os.Hostname()
	if fi, err := c.root.Stat(paths.Applied); err == nil {
		r.Changed = fi.ModTime()
	} else if !errors.Is(err, fs.ErrNotExist) {
		r.Unseen = append(r.Unseen, "when answers of the packages' questions were last applied")
	}
	update := pending(ctx)
	in := status.Input{Root: c.root}
	m, err := dialFor(ctx, c.root)
	if err != nil {
		r.Unseen = append(r.Unseen, fmt.Sprintf("the state of units (%v)", err))
	} else if m != nil {
		defer m.Close()
		in.Since = m.Since
	}
	if err := addInstances(ctx, c, m, &r); err != nil {
		return nil, err
	}
	addLogins(c, &r)
	for n := range r.Instances {
		if ch := &r.Instances[n].Chroot; r.Layer == "" && ch.State == "stale" {
			ch.State, ch.Stale = "unknown", 0 // Debian's own layer fills a chroot in its own way
		}
	}
	in.Report = r
	r = status.Look(ctx, in)
	if text, ok := <-update; ok {
		r.Update = text
	} else {
		r.Unseen = append(r.Unseen, "pending updates (apt did not answer in time)")
	}
	return &r, nil
}

// pending asks apt, which takes its time, beside the rest; nothing comes where it does not answer.
func pending(ctx context.Context) <-chan string {
	ch := make(chan string, 1)
	go func() {
		defer close(ch)
		defer func() { _ = recover() }() // then it is not known
		ctx, cancel := context.WithTimeout(ctx, answerPatience)
		defer cancel()
		if v, err := adopt.Pending(ctx, run.Runner{}); err == nil {
			ch <- v
		}
	}()
	return ch
}

// dialFor connects to systemd; nil where it does not run the system.
func dialFor(ctx context.Context, root *sysroot.Root) (*systemd.Manager, error) {
	if !systemd.Booted(root.Dir()) {
		return nil, nil
	}
	return systemd.Dial(ctx)
}

// addInstances fills in the instances and what is known of them from their files and from systemd; nil is for one that does not run.
func addInstances(ctx context.Context, c *call, m *systemd.Manager, r *status.Report) error {
	h := &multi.Host{
		Root: c.root, Until: time.Now().Add(chrootPatience), Warn: func(string) {},
		Runs: func(inst instance.Instance) bool { return chroot.Master(chroot.Deps{Root: c.root}, inst.QueueDir) > 0 },
	}
	if m != nil {
		h.Systemd = m
	}
	only := ""
	if name := c.Args().First(); name != "" {
		inst, err := instance.Find(c.root, name)
		if err != nil {
			return err
		}
		only = inst.ConfigDir
	}
	all, errs := h.List(ctx)
	for _, err := range errs {
		if errors.Is(err, fs.ErrPermission) {
			r.Unseen = append(r.Unseen, "what only root may read")
		} else {
			r.Problems = append(r.Problems, err.Error())
		}
	}
	for _, st := range all {
		if only != "" && st.ConfigDir != only {
			continue
		}
		r.Instances = append(r.Instances, statusOf(c, m != nil, st))
	}
	if only != "" && len(r.Instances) == 0 {
		return fmt.Errorf("cannot look at instance %q: %w", c.Args().First(), errors.Join(errs...))
	}
	return nil
}

// statusOf is what is known of one instance.
func statusOf(c *call, systemd bool, st multi.Status) status.Instance {
	i := status.Instance{
		Name: st.Name, Unit: st.Unit, ConfigDir: st.ConfigDir, QueueDir: st.QueueDir, Enabled: st.Enabled, State: st.Active, Expected: st.Listen,
		Chroot: status.Chroot(st.Chroot), Problems: st.Problems,
	}
	if !systemd && os.Geteuid() != 0 {
		i.State = "unknown"
	}
	inst := instance.Instance{Name: st.Name, ConfigDir: st.ConfigDir, QueueDir: st.QueueDir}
	live, _, _ := smarthost.Live(c.root, inst) // an unreadable table has no account
	i.Account = live[answers.RelayAccount]
	if l := smarthost.LoginInForce(c.root, inst); l != nil {
		i.Provider, i.Account = l.Relay, l.User
	}
	return i
}

// addLogins says which logins at relays are worth nothing any more.
func addLogins(c *call, r *status.Report) {
	for n := range r.Instances {
		i := &r.Instances[n]
		for _, l := range smarthost.WrongLogins(c.root, instance.Instance{Name: i.Name, ConfigDir: i.ConfigDir, QueueDir: i.QueueDir}) {
			i.Problems = append(slices.Clip(i.Problems), l.Wrong()+": "+l.Cure())
		}
	}
}
