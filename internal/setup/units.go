package setup

import (
	"context"
	"fmt"
	"os"
	"path"
	"strings"

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
	want := p.req.Old + " " + p.req.Package + "\n"
	fi, err := p.d.Root.Lstat(paths.Unpacked)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() != int64(len(want)) {
		return false
	}
	text, err := p.d.Root.ReadFile(paths.Unpacked)
	return err == nil && string(text) == want
}

// unitsSum tells one state of what systemd reads for Postfix from another: the package's unit files with their time stamps, by which
// systemd goes; and for what the generator makes its program and the instances' configuration.
func unitsSum(root *sysroot.Root) string {
	var seen strings.Builder
	note := func(name string, stamp, content bool) {
		fi, err := root.Stat(name)
		if err != nil {
			return
		}
		fmt.Fprintf(&seen, "%s %d", name, fi.Size())
		if stamp {
			fmt.Fprintf(&seen, " %d", fi.ModTime().UnixNano())
		}
		if content && fi.Mode().IsRegular() {
			text, err := root.ReadFile(name)
			fmt.Fprintf(&seen, " %s %v", sum(text), err)
		}
		seen.WriteString("\n")
	}
	dirs := []string{paths.Units, paths.OldUnits}
	here, _ := root.Stat(dirs[0])
	if there, err := root.Stat(dirs[1]); err == nil && os.SameFile(here, there) { // Debian 12 may have both
		dirs = dirs[:1]
	}
	for _, dir := range dirs {
		entries, _ := root.ReadDir(dir)
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "postfix") {
				note(path.Join(dir, e.Name()), true, true)
			}
		}
	}
	note(paths.InstanceGenerator, true, false)
	note(paths.MainCF, false, true)
	insts, _ := instance.List(root) // for one that cannot be read the generator makes nothing either
	for _, inst := range insts {
		note(path.Join(inst.ConfigDir, "main.cf"), false, true)
	}
	return sum([]byte(seen.String()))
}
