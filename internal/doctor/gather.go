package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

// Host is what Gather looks through.
type Host struct {
	Root *sysroot.Root
	Run  interface {
		Output(ctx context.Context, name string, args ...string) ([]byte, error)
	}
	Net  Network // nil: nothing is asked of others
	Gate bool    // only what the rows for that look at
}

// programLimit bounds each program; one of the many files that it reads may be a named pipe.
const programLimit = 10 * time.Second

// Gather completes facts.
func Gather(ctx context.Context, h Host, f *Facts) {
	f.Now = time.Now()
	f.Accounts = h.accounts()
	if out, err := h.output(ctx, paths.Postconf, "-m"); err == nil {
		f.Types = map[string]bool{}
		for _, t := range strings.Fields(string(out)) {
			f.Types[t] = true
		}
	} else {
		f.Unseen = append(f.Unseen, "which map types Postfix has: "+err.Error())
	}
	h.each(f, func(part *Facts, i *Instance) { h.instance(ctx, part, i) })
	h.leftovers(f)
	f.Public, f.NoMechanisms, f.Synchronised = publicAddress(), h.noMechanisms(), clockSynchronised()
	h.dropIns(f)
	if f.Online = h.Net != nil; f.Online {
		h.online(ctx, f)
	}
}

// together is how many instances are looked at at a time: what takes long is that programs are started.
const together = 4

// each looks at all instances, each with facts of its own for what could not be seen; a fault of one is a fault of all.
func (h Host) each(f *Facts, look func(part *Facts, i *Instance)) {
	parts, faults := make([]Facts, len(f.Instances)), make([]any, len(f.Instances))
	slots := make(chan struct{}, together)
	var all sync.WaitGroup
	for n := range f.Instances {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { faults[n] = recover(); <-slots }()
			parts[n].Accounts, parts[n].Types = f.Accounts, f.Types
			look(&parts[n], &f.Instances[n])
		})
	}
	all.Wait()
	for n := range parts {
		if faults[n] != nil {
			panic(faults[n])
		}
		f.Unseen = append(f.Unseen, parts[n].Unseen...)
	}
}

func (h Host) output(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	return h.Run.Output(ctx, name, args...)
}

func (h Host) instance(ctx context.Context, f *Facts, i *Instance) {
	if data, err := h.Root.ReadFile(i.mainCF()); err != nil {
		i.MainErr = err.Error()
	} else if i.Main, err = maincf.Parse(data); err != nil {
		i.MainErr = err.Error()
	}
	if data, err := h.Root.ReadFile(i.masterCF()); err != nil {
		i.MasterErr = err.Error()
	} else if i.Master, err = mastercf.Parse(data); err != nil {
		i.MasterErr = err.Error()
	}
	i.Master0 = chroot.Master(chroot.Deps{Root: h.Root}, i.QueueDir)
	h.processes(i)
	h.ask(ctx, f, i)
	if !h.Gate {
		h.journal(ctx, f, i)
	}
	for _, name := range []string{i.mainCF(), i.masterCF(), paths.DynamicMaps} {
		var no *sysroot.UntrustedError
		if errors.As(h.Root.Trusted(name), &no) {
			i.Others = append(i.Others, Other{name, no.At, no.Why, h.tooMany(no.At)})
		}
	}
	if i.Main == nil {
		return
	}
	h.tables(i)
	h.files(i)
	h.rootMail(f, i)
	h.space(i)
	h.owners(i)
	h.certificates(i)
	h.missing(i)
	h.groups(i)
	if !h.Gate {
		h.aliasLoops(i)
		h.ignoredLines(ctx, i)
	}
}

// processes looks at the running daemons. A reload ends qmgr(8), and master(8) starts another one (master_refresh in Postfix's sources), so
// a qmgr that is older than main.cf has not read it. What makes, enables and removes instances writes into the primary one's file what no
// daemon reads, and says so by its journal's directory.
func (h Host) processes(i *Instance) {
	if i.Master0 == 0 {
		return
	}
	i.OwnUnit = slices.ContainsFunc(procs.Groups(i.Master0), func(g string) bool { return path.Base(g) == i.Unit })
	fi, err := h.Root.Stat(i.mainCF())
	if err != nil || fi.ModTime().After(time.Now()) || i.IsPrimary() && h.byInstances(fi.ModTime()) {
		return
	}
	for _, child := range procs.Children(i.Master0) {
		if program, err := procs.Program(child); err == nil && strings.HasSuffix(path.Base(program), "qmgr") {
			i.Edited = procs.StartedBefore(child, fi.ModTime().Add(-time.Second))
		}
	}
}

// byInstances tells whether a command about instances was at work when a file was written: ours, or postmulti(1), which makes the directory
// of an instance just before, or removes it.
func (h Host) byInstances(written time.Time) bool {
	const around = 15 * time.Second
	traces := []string{paths.InstanceState}
	all, _ := instance.List(h.Root)
	for _, i := range all {
		if !i.IsPrimary() {
			traces = append(traces, i.ConfigDir, i.ConfigDir+"/main.cf", path.Dir(i.ConfigDir))
		}
	}
	return slices.ContainsFunc(traces, func(name string) bool {
		fi, err := h.Root.Stat(name)
		return err == nil && fi.ModTime().Sub(written).Abs() < around
	})
}

// ask has Postfix's own programs read the configuration: postmap(1) evaluates what every program does when it starts, postconf(1) expands
// the parameters of single ones, and warns.
func (h Host) ask(ctx context.Context, f *Facts, i *Instance) {
	_, err := h.output(ctx, paths.Postmap, "-c", i.ConfigDir, "-q", "postmaster", "static:ok")
	h.verdict(f, i, err)
	out, err := h.output(ctx, "sh", "-c", `exec "$0" "$@" 2>&1 >/dev/null`, paths.Postconf, "-c", i.ConfigDir, "-nx")
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) {
		exit.Stderr = string(out)
	}
	h.verdict(f, i, err)
	for line := range strings.Lines(string(out)) {
		if _, w, ok := strings.Cut(strings.TrimSpace(line), "warning: "); ok && len(i.Warnings) < 1000 {
			i.Warnings = append(i.Warnings, w)
		}
	}
}

// verdict notes what a program of Postfix's ended with.
func (h Host) verdict(f *Facts, i *Instance, err error) {
	exit := (*run.ExitError)(nil)
	if err != nil && !errors.As(err, &exit) {
		f.Unseen = append(f.Unseen, fmt.Sprintf("what Postfix says of %s: %v", i.ConfigDir, err))
	}
	if exit == nil || i.Refused != "" {
		return
	}
	for line := range strings.Lines(exit.Stderr) {
		if _, fatal, ok := strings.Cut(line, "fatal: "); ok {
			i.Refused = strings.TrimSpace(fatal)
		}
	}
}

// space is what smtpd(8) looks at before it takes a message.
func (h Host) space(i *Instance) {
	real, err := h.Root.Resolve(i.QueueDir)
	var st unix.Statfs_t
	if err != nil || unix.Statfs(real, &st) != nil {
		return
	}
	number := func(name string, unset uint64) uint64 {
		text, _ := i.param(name)
		n, err := strconv.ParseUint(text, 10, 60)
		if err != nil {
			return unset
		}
		return n
	}
	limit := number("message_size_limit", 10_240_000)
	i.Free = Space{
		Known: true, Bytes: st.Bavail * uint64(st.Bsize), Inodes: st.Ffree, NoInodes: st.Files == 0, // btrfs has none
		Need: max(number("queue_minfree", 0), limit+limit/2),
	}
}

// queueDirs are those that belong to mail_owner (postfix-files).
var queueDirs = strings.Fields("active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace")

// owners looks at the owners of the queue's directories, as "postfix check" does.
func (h Host) owners(i *Instance) {
	owner, line := i.param("mail_owner")
	if line == 0 {
		owner = "postfix"
	}
	uid, known := h.account(owner)
	if !known {
		return
	}
	dirs := []string{i.DataDir}
	for _, d := range queueDirs {
		dirs = append(dirs, path.Join(i.QueueDir, d))
	}
	for _, d := range dirs {
		fi, err := h.Root.Lstat(d)
		if err != nil { // made at the next start
			continue
		}
		if have, _ := sysroot.Owner(fi); have != uid {
			ours := have == 0 && fi.IsDir() && (d != i.DataDir || h.onlyOf(d, uid))
			i.Owners = append(i.Owners, Owned{d, fmt.Sprintf("%s belongs to account %d and not to %s", d, have, owner), owner, uid, ours})
		}
	}
}

// onlyOf tells whether all that a directory holds is an account's. Else data_directory names one of another use, as /var/lib.
func (h Host) onlyOf(dir string, uid int) bool {
	entries, err := h.Root.ReadDir(dir)
	return err == nil && !slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		fi, err := e.Info()
		if err != nil {
			return true
		}
		have, _ := sysroot.Owner(fi)
		return have != uid
	})
}

func (h Host) passwd() (lines [][]string) {
	data, err := h.Root.ReadFile(paths.Passwd)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 6 {
			lines = append(lines, f)
		}
	}
	return lines
}

func (h Host) account(name string) (uid int, known bool) {
	for _, f := range h.passwd() {
		if n, err := strconv.Atoi(f[2]); f[0] == name && err == nil {
			return n, true
		}
	}
	return 0, false
}

// accounts are those that there are, nil where other sources than files may know more (nsswitch.conf(5)).
func (h Host) accounts() map[string]bool {
	data, err := h.Root.ReadFile(paths.NSSwitch)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if sources, ok := strings.CutPrefix(strings.TrimSpace(line), "passwd:"); ok {
			for _, s := range strings.Fields(sources) {
				if !slices.Contains([]string{"files", "systemd"}, s) {
					return nil
				}
			}
		}
	}
	all := map[string]bool{}
	for _, f := range h.passwd() {
		all[strings.ToLower(f[0])] = true
	}
	if len(all) == 0 {
		return nil
	}
	return all
}

// leftovers are files beside those in use.
func (h Host) leftovers(f *Facts) {
	dirs := []string{paths.DefaultsDir}
	for _, i := range f.Instances {
		dirs = append(dirs, i.ConfigDir)
	}
	for _, dir := range dirs {
		entries, err := h.Root.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			ext := path.Ext(e.Name())
			ours := dir != paths.DefaultsDir || strings.HasPrefix(e.Name(), "postfix")
			if ours && slices.Contains([]string{".dpkg-dist", ".dpkg-new", ".ucf-dist", ".ucf-new"}, ext) {
				f.Leftovers = append(f.Leftovers, path.Join(dir, e.Name()))
			}
		}
	}
}
