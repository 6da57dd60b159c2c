package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// queueDirs are the queue directory's own, with Debian's modes (Postfix makes missing ones at its first start, but
// sendmail(1) must be able to take a message before that: postdrop would wait for ever).
var queueDirs = []struct {
	name  string
	mode  fs.FileMode
	owner string
	group string
	sync  bool // concerned by the question about synchronous updates
}{
	{"pid", 0o755, "root", "root", false}, // root's: CVE-2009-2930
	{"private", 0o700, mailOwner, "root", false},
	{"public", 0o710 | fs.ModeSetgid, mailOwner, setgidGroup, false},
	{"maildrop", 0o730 | fs.ModeSticky, mailOwner, setgidGroup, false},
	{"incoming", 0o700, mailOwner, "root", true},
	{"active", 0o700, mailOwner, "root", true},
	{"bounce", 0o700, mailOwner, "root", true},
	{"defer", 0o700, mailOwner, "root", true},
	{"deferred", 0o700, mailOwner, "root", true},
	{"flush", 0o700, mailOwner, "root", true},
	{"saved", 0o700, mailOwner, "root", true},
	{"corrupt", 0o700, mailOwner, "root", true},
	{"hold", 0o700, mailOwner, "root", false},
	{"trace", 0o700, mailOwner, "root", false},
}

// syncFlag is FS_SYNC_FL of linux/fs.h, the attribute S of chattr(1).
const syncFlag = 0x8

// directories plans what is missing of the queue and the data directory. What exists keeps its mode and owner.
func (p *Plan) directories(ctx context.Context) error {
	queue, data := p.places()
	for _, dir := range queueDirs {
		if queue == "" {
			break
		}
		if err := p.mkdir(queue+"/"+dir.name, dir.mode, dir.owner, dir.group, p.mkdirIn(queue, dir.name)); err != nil {
			return err
		}
	}
	if queue != "" && p.h.release.etc {
		if err := p.mkdir(queue+"/etc", 0o755, "root", "root", p.mkdirIn(queue, "etc")); err != nil {
			return err
		}
	}
	if data != "" {
		if err := p.mkdir(data, 0o755, mailOwner, mailOwner, func(attr sysroot.Attr) error {
			_, err := p.d.Root.MkdirAll(data, attr)
			return err
		}); err != nil {
			return err
		}
		if err := p.ownData(ctx, data); err != nil {
			return err
		}
	}
	if err := p.owners(ctx, queue, data); err != nil {
		return err
	}
	return p.syncUpdates(ctx, queue)
}

// places gives the queue and the data directory that main.cf names, which may have been there before the package. One that is the host's or
// another instance's, or in reach of another account, is not made ready and is "": root would make and give away files there.
func (p *Plan) places() (queue, data string) {
	ready := func(param, usual string) string {
		dir := placeOf(p.h.main, param, usual)
		// The usual one may be another account's (chown -R of the queue), but nobody else may exchange it.
		err := p.d.Root.TrustedPlace(dir)
		if dir != usual && err == nil {
			err = p.ownPlace(dir, param == "queue_directory")
		}
		if err != nil {
			p.warn("%s = %s is not made ready: %v", param, dir, err)
			return ""
		}
		return dir
	}
	return ready("queue_directory", paths.QueueDir), ready("data_directory", paths.DataDir)
}

// placeOf is the directory that f, if there is one, gives for a parameter.
func placeOf(f *maincf.File, param, usual string) string {
	if f == nil {
		return usual
	}
	dir, err := instance.Value(f, paths.ConfigDir, param)
	if err != nil || !strings.HasPrefix(dir, "/") {
		return usual
	}
	return path.Clean(dir)
}

// ownPlace refuses a directory that is not this instance's alone; with itself also one that somebody else than root can write to.
func (p *Plan) ownPlace(dir string, itself bool) error {
	inst := instance.Instance{Name: instance.Primary, ConfigDir: paths.ConfigDir, QueueDir: dir}
	if err := chroot.CheckQueue(chroot.Deps{Root: p.d.Root}, inst); err != nil || !itself {
		return err
	}
	if err := p.d.Root.Trusted(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil // TrustedPlace: only root can make it
}

// mkdirIn makes a directory of the queue. The queue may be the mail owner's, who can put a link in the way at any time: it is no path that is
// followed, but a name in the open queue directory, whose last link is not followed either.
func (p *Plan) mkdirIn(queue, name string) func(sysroot.Attr) error {
	return func(attr sysroot.Attr) error {
		if _, err := p.d.Root.MkdirAll(queue, sysroot.Attr{}); err != nil {
			return err
		}
		real, err := p.d.Root.Resolve(queue)
		if err != nil {
			return err
		}
		in, err := sysroot.OpenDir(real)
		if err != nil {
			return fmt.Errorf("cannot open %q: %w", queue, err)
		}
		defer in.Close()
		if _, err = sysroot.Mkdir(in, name, attr); err != nil {
			err = fmt.Errorf("cannot make directory %q: %w", queue+"/"+name, err)
		}
		if errors.Is(err, unix.ENOTDIR) {
			return warning{err} // what is in its place since the plan is Postfix's own check to report, too
		}
		return err
	}
}

// mkdir plans that a missing directory is made.
func (p *Plan) mkdir(path string, mode fs.FileMode, owner, group string, create func(sysroot.Attr) error) error {
	switch _, err := p.d.Root.Lstat(path); {
	case err == nil:
		return nil // a file in its place is Postfix's own check to report
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("cannot look for %q: %w", path, err)
	}
	p.add(Change{What: fmt.Sprintf("create %s (%s:%s)", path, owner, group), Path: path, do: func(ctx context.Context) error {
		attr, err := p.attr(ctx, mode, owner, group)
		if err == nil {
			err = create(attr)
		}
		return err
	}})
	return nil
}

// ownData gives the data directory, which the package ships as root's, to the mail owner, unless a statoverride says otherwise.
func (p *Plan) ownData(ctx context.Context, data string) error {
	fi, err := p.d.Root.Stat(data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look for %q: %w", data, err)
	}
	listed, err := p.overridden(data)
	if uid, _ := sysroot.Owner(fi); err != nil || listed || uid != 0 {
		return err
	}
	p.add(Change{What: "give " + data + " to " + mailOwner, Path: data, do: func(ctx context.Context) error {
		attr, err := p.attr(ctx, fi.Mode().Perm(), mailOwner, mailOwner)
		if err != nil {
			return err
		}
		attr.Force = true
		_, err = p.d.Root.MkdirAll(data, attr)
		return err
	}})
	return nil
}

// syncUpdates plans the file attribute S of the queue where the answer and the attribute differ. File systems without it
// are not asked.
func (p *Plan) syncUpdates(_ context.Context, queue string) error {
	v, write := p.wish(answers.Chattr)
	if !p.h.release.chattr || !write || p.Held || queue == "" {
		return nil
	}
	want, sign := answers.Equal(answers.Chattr, v, "true"), "-S"
	if want {
		sign = "+S"
	}
	for _, dir := range queueDirs {
		if !dir.sync {
			continue
		}
		path := queue + "/" + dir.name
		if fi, err := p.d.Root.Lstat(path); err == nil && !fi.IsDir() {
			continue // a link: chattr would follow it
		}
		have, err := isSync(p.d.Root, path)
		if unknown := err != nil && !errors.Is(err, fs.ErrNotExist); unknown || have == want { // what is not there yet has no attribute
			continue
		}
		if err := p.d.Root.Trusted(queue); err != nil && !errors.Is(err, fs.ErrNotExist) {
			p.warn("the attribute S of the queue's directories is left as it is (chattr): %v", err)
			return nil
		}
		real, err := p.d.Root.Resolve(path)
		if err != nil {
			return err
		}
		p.exec("set attribute "+sign+" of "+path, true, "chattr", sign, real)
	}
	return nil
}

// isSync reads the file attribute S (chattr(1)).
func isSync(root *sysroot.Root, path string) (bool, error) {
	real, err := root.Resolve(path)
	if err != nil {
		return false, err
	}
	fd, err := unix.Open(real, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS)
	return flags&syncFlag != 0, err
}

// overrides plans the setgid modes of postdrop and postqueue as statoverrides, where none is listed: an administrator's is
// never replaced (U06). Debian 12's forced one on the queue's public directory is dropped once.
func (p *Plan) overrides(ctx context.Context) error {
	root := []string{}
	if !p.d.Root.IsHost() {
		root = []string{"--root", p.d.Root.Dir()}
	}
	for _, path := range []string{paths.Postdrop, paths.Postqueue} {
		listed, err := p.overridden(path)
		if err != nil {
			return err
		}
		if !listed {
			p.add(Change{What: "set mode of " + path + " (root:" + setgidGroup + " 2555)", do: func(ctx context.Context) error {
				group, err := p.groupFor(ctx, setgidGroup)
				if err != nil {
					return err
				}
				if err := p.d.Run.Run(ctx, "dpkg-statoverride", append(root, "--update", "--add", "root", group, "02555", path)...); err != nil {
					return warning{err}
				}
				return nil
			}})
			p.relabel(path)
		}
	}
	text, err := p.d.Root.ReadFile(paths.StatOverride)
	if err == nil && strings.Contains("\n"+string(text), "\n"+mailOwner+" "+setgidGroup+" 2710 "+paths.QueueDir+"/public\n") {
		p.exec("drop the statoverride on "+paths.QueueDir+"/public", true, "dpkg-statoverride",
			append(root, "--remove", paths.QueueDir+"/public")...)
	}
	return nil
}

// groupFor names a group to dpkg-statoverride(1), which knows only the running system's: below DPKG_ROOT by its number.
func (p *Plan) groupFor(ctx context.Context, name string) (string, error) {
	if p.d.Root.IsHost() {
		return name, nil
	}
	gid, ok, err := p.id(ctx, paths.Group, "group", name, 2)
	if err == nil && !ok {
		err = fmt.Errorf("cannot find group %q", name)
	}
	return fmt.Sprintf("#%d", gid), err
}

// relabel gives path its SELinux context back, which dpkg-statoverride does not (#694680), where SELinux is on.
func (p *Plan) relabel(path string) {
	on, _ := p.d.Root.Exists(paths.SELinuxFS)
	have, _ := p.d.Root.Exists(paths.Restorecon)
	if on && have && p.d.Root.IsHost() {
		p.exec("label "+path, true, paths.Restorecon, path)
	}
}

// overridden reads dpkg-statoverride(1)'s list: lines of user, group, mode and path.
func (p *Plan) overridden(path string) (bool, error) {
	text, err := p.d.Root.ReadFile(paths.StatOverride)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read %q: %w", paths.StatOverride, err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.SplitN(strings.TrimSpace(line), " ", 4); len(f) == 4 && f[3] == path {
			return true, nil
		}
	}
	return false, nil
}
