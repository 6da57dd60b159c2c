package setup

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// planReload plans that the init system reads its units where it does not know them as they are. After unpacking nobody knows what it has
// read, so it reads again (the generators of systemd go by more than unit files); but an upgrade of the mail system alone brings the same
// units, and the reading takes systemd as long as a restart. So where nothing that it would read has changed it is not asked to.
func (p *Plan) planReload(ctx context.Context, enabling bool) {
	now := ""
	if !p.req.Reconfigure {
		now = unitsSum(p.d.Root)
	}
	same := !enabling && p.sameUnits(now)
	unread, err := p.d.Service.ReloadDue(ctx, !p.req.Reconfigure && !same)
	if err != nil {
		p.warn("cannot ask the init system: %v", err)
	}
	switch {
	case unread:
		p.add(Change{What: "make the init system read its units", after: true, do: func(ctx context.Context) error {
			now := unitsSum(p.d.Root) // with the main.cf of this run, and before it is read: what is edited meanwhile has another sum
			err := p.d.Service.Reload(ctx)
			if err == nil {
				p.units = now
			}
			return err
		}})
	case same:
		p.units = now
	case p.req.Reconfigure && p.h.state != nil:
		p.units = p.h.state.Units
	}
}

// sameUnits tells whether systemd has last read what there is now. It has if the run before this one saw the same, and nothing else was
// unpacked since: other units may have been read meanwhile, with a later time stamp than those that are back now.
func (p *Plan) sameUnits(now string) bool {
	if p.req.Reconfigure || !p.upgrade || p.resumed || crosses(p.req.Old, p.req.Package) {
		return false
	}
	if s := p.h.state; s == nil || s.Package != p.req.Old || s.Units != now {
		return false
	}
	// What the generator made last may be nothing: a full /run, a disk that did not answer, a boot without all of its file systems.
	made, err := p.d.Root.Exists(paths.InstanceTable)
	bad, badErr := p.d.Root.Exists(paths.InstanceComplaints)
	if err != nil || badErr != nil || !made || bad {
		return false
	}
	want := p.req.Old + " " + p.req.Package + "\n"
	fi, err := p.d.Root.Lstat(paths.Unpacked)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != int64(len(want)) {
		return false
	}
	text, err := p.d.Root.ReadFile(paths.Unpacked)
	return err == nil && string(text) == want
}

// unitsSum tells one state of what systemd reads for Postfix from another: the unit files, the package's and the administrator's, with
// their time stamps, by which systemd goes; and for what the generator makes its program and the instances' configuration. An edit that is
// taken back leaves a sum of contents as it was, but systemd may have read between the two: so the time stamp of main.cf counts as well, and
// of the program when its file came to be, for each unpacking gives it the same time stamp.
func unitsSum(root *sysroot.Root) string {
	var seen strings.Builder
	note := func(name string) {
		fi, err := root.Stat(name)
		if err != nil || !fi.Mode().IsRegular() { // a mask, or a link that somebody enabled: its name says it
			fmt.Fprintf(&seen, "%s\n", name)
			return
		}
		text, err := root.ReadFile(name)
		fmt.Fprintf(&seen, "%s %d %s %v\n", name, fi.ModTime().UnixNano(), sum(text), err)
	}
	dirs := []string{paths.Units, paths.OldUnits, paths.AdminUnits}
	here, _ := root.Stat(dirs[0])
	if there, err := root.Stat(dirs[1]); err == nil && os.SameFile(here, there) { // Debian 12 may have both
		dirs = slices.Delete(dirs, 1, 2)
	}
	for _, dir := range append(dirs, path.Join(paths.AdminUnits, "multi-user.target.wants")) {
		entries, _ := root.ReadDir(dir)
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if !strings.Contains(e.Name(), "postfix") { // system-postfix.slice.d as well
				continue
			}
			within, _ := root.ReadDir(name) // drop-ins, and what is enabled
			for _, in := range within {
				note(path.Join(name, in.Name()))
			}
			if len(within) == 0 {
				note(name)
			}
		}
	}
	if fi, err := root.Stat(paths.InstanceGenerator); err == nil {
		fmt.Fprintf(&seen, "%d %d %d\n", fi.Size(), fi.ModTime().UnixNano(), born(fi))
	}
	note(paths.MainCF)
	insts, _ := instance.List(root) // for one that cannot be read the generator makes nothing either
	for _, inst := range insts {
		note(path.Join(inst.ConfigDir, "main.cf"))
	}
	return sum([]byte(seen.String()))
}

// born is when the inode was changed last, which nobody can set: after each unpacking it is another.
func born(fi fs.FileInfo) int64 {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return st.Ctim.Nano()
}
