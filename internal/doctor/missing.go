package doctor

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// missing looks for what settings name and nobody finds before mail comes.
func (h Host) missing(i *Instance) {
	if origin := i.get("myorigin", ""); origin.known && path.IsAbs(origin.value) {
		data, err := h.Root.ReadAtMost(origin.value, largest)
		if first, _, _ := strings.Cut(string(data), "\n"); err != nil || strings.TrimSpace(first) == "" {
			i.NoOrigin = origin.value
		}
	}
	local := i.get("local_transport", "local")
	if !strings.HasPrefix(local.value, "local") || i.get("mailbox_transport", "").value != "" {
		return
	}
	if command := i.get("mailbox_command", ""); command.value != "" {
		// a program by its path alone: what the shell does with the rest is not guessed
		if program := strings.Fields(command.value)[0]; path.IsAbs(program) && !strings.ContainsAny(program, "$`'\"\\|&;<>()*?") {
			if there, err := h.Root.Exists(program); err == nil && !there {
				i.NoProgram = program
			}
		}
	} else if i.get("home_mailbox", "").value == "" {
		spool := i.get("mail_spool_directory", paths.MailSpool)
		if there, err := h.Root.Exists(strings.TrimSuffix(spool.value, "/")); spool.known && path.IsAbs(spool.value) && err == nil && !there {
			i.NoSpool = spool.value
		}
	}
}

// groups looks at what makes users' mail get into the queue (postfix-files). An administrator's dpkg-statoverride(1) stands for a decision.
func (h Host) groups(i *Instance) {
	i.SetgidGroup = i.get("setgid_group", "postdrop").value
	gid, known := h.group(i.SetgidGroup)
	if !known {
		return
	}
	i.SetgidGID = gid
	overrides, _ := h.Root.ReadFile(paths.StatOverride)
	for _, p := range []string{paths.Postdrop, paths.Postqueue} {
		fi, err := h.Root.Stat(p)
		if err != nil || strings.Contains(string(overrides), " "+p+"\n") && !debians(string(overrides), i.SetgidGroup, p) {
			continue
		}
		if _, have := sysroot.Owner(fi); have != gid || fi.Mode()&fs.ModeSetgid == 0 {
			i.NoSetgid = append(i.NoSetgid, p)
		}
	}
	for _, d := range []struct {
		name string
		mode fs.FileMode
	}{{"maildrop", 0o730}, {"public", 0o710}} {
		p := path.Join(i.QueueDir, d.name)
		fi, err := h.Root.Lstat(p)
		if err != nil {
			continue
		}
		_, have := sysroot.Owner(fi)
		switch mode := fi.Mode().Perm(); {
		case have != gid:
			i.Groups = append(i.Groups, Other{File: p, Bits: d.mode, Why: fmt.Sprintf("it belongs to group %d and not to %s", have, i.SetgidGroup)})
		case mode&0o070 != d.mode&0o070 || mode&0o007 != 0 && d.name == "maildrop":
			i.Groups = append(i.Groups, Other{File: p, Bits: d.mode, Why: fmt.Sprintf("its mode is %03o and not %03o", mode, d.mode)})
		}
	}
}

// debians tells of an override that it is the package's own.
func debians(overrides, group, program string) bool {
	return strings.Contains(overrides, "root "+group+" 2555 "+program+"\n") || strings.Contains(overrides, "root "+group+" 02555 "+program+"\n")
}

func (h Host) group(name string) (gid int, known bool) {
	data, err := h.Root.ReadFile(paths.Group)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) > 2 && f[0] == name {
			n, err := strconv.Atoi(f[2])
			return n, err == nil
		}
	}
	return 0, false
}

// dropIns looks for drop-ins for units of Postfix's that run no daemon of any instance.
func (h Host) dropIns(f *Facts) {
	units, primary := []string{}, ""
	for _, i := range f.Instances {
		if i.Load == "" || !f.All {
			return
		}
		units = append(append(units, i.Unit), i.Instance.Aliases()...)
		if i.IsPrimary() {
			primary = i.Unit
		}
	}
	for _, base := range []string{paths.AdminUnits, paths.PropUnits} {
		dirs, err := h.Root.ReadDir(base)
		if err != nil {
			continue
		}
		for _, d := range dirs {
			unit, is := strings.CutSuffix(d.Name(), ".d")
			if !is || !isDaemon(unit) || slices.Contains(units, unit) {
				continue
			}
			why, to := "and there is no such instance", ""
			if unit == paths.Umbrella || unit == "postfix@-.service" {
				why, to = "and the daemons run in "+primary, path.Join(base, primary+".d")
			}
			h.dropInsOf(f, path.Join(base, d.Name()), unit, why, to)
		}
	}
}

// isDaemon tells whether somebody may take a unit for one in which daemons run.
func isDaemon(unit string) bool {
	return unit == paths.Umbrella || strings.HasPrefix(unit, "postfix@") && strings.HasSuffix(unit, ".service") && unit != paths.Template
}

// dropInsOf notes those that set something for processes; what orders or names a unit may be meant for that unit.
func (h Host) dropInsOf(f *Facts, dir, unit, why, to string) {
	files, err := h.Root.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range files {
		p := path.Join(dir, e.Name())
		data, err := h.Root.ReadAtMost(p, largest)
		if err == nil && strings.HasSuffix(e.Name(), ".conf") && strings.Contains("\n"+string(data), "\n[Service]") {
			f.DropIns = append(f.DropIns, DropIn{p, unit, why, to})
		}
	}
}
