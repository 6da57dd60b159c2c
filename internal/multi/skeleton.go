package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// A new instance is made as "postmulti -e create" (postmulti-script) and the set-permissions at its end make it, byte for byte, but not by
// them: they run over two hundred programs, wait for a main.cf to cool down, and fail while any other instance is broken or an address
// in the primary one's inet_interfaces is not up.

// shared are the parameters that a new instance takes from the primary one where that sets them; else its prototype's are commented out.
var shared = strings.Fields(`command_directory daemon_directory meta_directory mail_owner setgid_group sendmail_path mailq_path
	newaliases_path html_directory manpage_directory sample_directory readme_directory shlib_directory`)

// draftPrototype works out the two files of a new instance.
func (h *Host) draftPrototype(s *site, d *draft, req Request) error {
	meta, err := instance.MetaDir(h.Root, s.primary, paths.ConfigDir)
	if err != nil {
		return err
	}
	var text [2][]byte
	var from [2]string
	for i, name := range []string{path.Base(paths.MainProto), path.Base(paths.MasterProto)} {
		from[i] = path.Join(meta, name)
		if text[i], err = h.Root.ReadFile(from[i]); err != nil {
			return fmt.Errorf("cannot read the prototype of a new instance: %w", err)
		}
	}
	if d.main, err = prototypeMain(text[0], s.primary, d); err != nil {
		return fmt.Errorf("cannot use %q: %w", from[0], err)
	}
	var own []maincf.Edit
	if req.Group != "" {
		own = append(own, maincf.Set("multi_instance_group", req.Group))
	}
	own = append(own, maincf.Set("multi_instance_name", d.Name)) // postconf(1) adds them in this order
	own = append(own, d.changes...)
	if !req.Disabled {
		own = append(own, maincf.Set("multi_instance_enable", "yes"))
	}
	if _, err := d.main.Apply(own...); err != nil {
		return err
	}
	master := ownLogName(text[1])
	if d.master, err = mastercf.Parse(master); err != nil {
		return fmt.Errorf("cannot parse %q: %w", from[1], err)
	}
	off, err := h.chrootIsOff(s)
	if err != nil {
		return err
	}
	moved, err := chroot.Move(d.master, "3.6", !off) // from that level on a column without a word means n
	if err != nil {
		return fmt.Errorf("cannot use %q: %w", from[1], err)
	}
	diff := ""
	if len(moved) > 0 {
		diff = maincf.Diff(masterOf(d.ConfigDir), master, d.master.Bytes(), d.main.Bytes())
	}
	d.files = []copyFile{
		{from: from[0], to: mainOf(d.ConfigDir), data: d.main.Bytes()},
		{from: from[1], to: masterOf(d.ConfigDir), data: d.master.Bytes(), diff: diff},
	}
	return nil
}

// chrootIsOff tells whether the primary instance has services, and none in the chroot: somebody has chosen that ("chroot off"), and a new
// instance follows. What cannot be read is no choice.
func (h *Host) chrootIsOff(s *site) (bool, error) {
	data, err := h.Root.ReadFile(paths.MasterCF)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("cannot see whether the primary instance is chrooted: %w", err)
	}
	master, err := mastercf.Parse(data)
	if err != nil {
		return false, nil // every other command names the line
	}
	level, err := instance.Value(s.primary, paths.ConfigDir, "compatibility_level")
	if err != nil {
		return false, nil
	}
	services := master.Services()
	return len(services) > 0 && !slices.ContainsFunc(services, func(s mastercf.Service) bool { return s.Chrooted(level) }), nil
}

// prototypeMain is the main.cf that upstream makes of its prototype, before the instance gets its name.
func prototypeMain(text []byte, primary *maincf.File, d *draft) (*maincf.File, error) {
	given := map[string]string{"queue_directory": d.QueueDir, "data_directory": d.DataDir, "authorized_submit_users": "", "master_service_disable": "inet"}
	var unset []string
	for _, name := range shared {
		if value, _ := primary.Get(name); value != "" {
			given[name] = value
		} else {
			unset = append(unset, name)
		}
	}
	f, err := maincf.Parse(commentOut(text, unset))
	if err != nil {
		return nil, err
	}
	var edits []maincf.Edit
	added := ""
	for _, name := range slices.Sorted(maps.Keys(given)) { // Debian 13's postconf(1) adds them so, Debian 12's in any order
		if _, there := f.Get(name); there {
			edits = append(edits, maincf.Set(name, given[name]))
		} else {
			added += name + " = " + given[name] + "\n" // with a blank before nothing, too
		}
	}
	if _, err := f.Apply(edits...); err != nil {
		return nil, err
	}
	return maincf.Parse(append(f.Bytes(), added...))
}

// commentOut is "postconf -#": a "#" before each line of the settings of some parameters.
func commentOut(text []byte, names []string) []byte {
	var b strings.Builder
	within := false
	for line := range strings.Lines(string(text)) {
		bare := strings.TrimSpace(line)
		switch {
		case bare == "" || bare[0] == '#':
		case strings.IndexByte(" \t\v\f\r", line[0]) < 0:
			name, _, _ := strings.Cut(strings.Fields(line)[0], "=")
			within = slices.Contains(names, name)
			fallthrough
		default:
			if within {
				b.WriteByte('#')
			}
		}
		b.WriteString(line)
	}
	return []byte(b.String())
}

// makeQueue makes what is missing of the directories, as set-permissions does by postfix-files.
func (h *Host) makeQueue(ctx context.Context, d *draft) error {
	owner, err := h.id(ctx, d, paths.Passwd, "mail_owner")
	if err != nil {
		return err
	}
	group, err := h.id(ctx, d, paths.Group, "setgid_group")
	if err != nil {
		return err
	}
	if _, err := h.Root.MkdirAll(d.DataDir, sysroot.Attr{Mode: 0o700, UID: owner, Force: true}); err != nil {
		return err
	}
	real, err := h.Root.Resolve(d.QueueDir)
	if err != nil {
		return err
	}
	queue, err := sysroot.OpenDir(real)
	if err != nil {
		return fmt.Errorf("cannot open directory %q: %w", d.QueueDir, err)
	}
	defer queue.Close()
	for _, sub := range queueDirs {
		mode, uid, gid := fs.FileMode(0o700), owner, 0
		switch sub {
		case "pid":
			mode, uid = 0o755, 0
		case "public":
			mode, gid = 0o710, group
		case "maildrop":
			mode, gid = 0o730, group
		}
		if _, err := sysroot.Mkdir(queue, sub, sysroot.Attr{Mode: mode, UID: uid, GID: gid, Force: true}); err != nil { // follows no link
			return fmt.Errorf("cannot make directory %q: %w", path.Join(d.QueueDir, sub), err)
		}
	}
	return nil
}

// id is the number of the account or group that a parameter names: from passwd(5) or group(5), or by getent(1), which knows the other
// name services.
func (h *Host) id(ctx context.Context, d *draft, file, parameter string) (int, error) {
	name, err := instance.Value(d.main, d.ConfigDir, parameter)
	if err != nil {
		return 0, err
	}
	text, _ := h.Root.ReadFile(file) // where it cannot be read getent(1) says why
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, ":"); fields[0] == name && len(fields) > 2 {
			return strconv.Atoi(fields[2]) // in both
		}
	}
	ctx, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	out, err := h.Run.Output(ctx, "getent", path.Base(file), name)
	if fields := strings.Split(string(out), ":"); err == nil && len(fields) > 2 {
		return strconv.Atoi(fields[2])
	}
	return 0, fmt.Errorf("cannot find %s %q: %w", parameter, name, err)
}

// planJoin plans to put a new instance on the primary one's list, and what "postmulti -e init" does before the first: one write.
func (c *creation) planJoin() {
	primary := c.s.primary
	var edits []maincf.Edit
	if len(c.s.dirs) == 0 { // else an administrator has disabled it among others
		edits = append(edits, maincf.Set("multi_instance_enable", "yes"))
	}
	if value, _ := primary.Get("multi_instance_wrapper"); value == "" {
		edits = append(edits, maincf.Set("multi_instance_wrapper", "${command_directory}/postmulti -p --"))
	}
	const alternate = "alternate_config_directories"
	if value, ok := primary.Get(alternate); ok && slices.Contains(words(value), c.d.ConfigDir) {
		rest := slices.DeleteFunc(words(value), func(d string) bool { return d == c.d.ConfigDir })
		edits = append(edits, maincf.Set(alternate, strings.Join(rest, " ")))
	}
	c.add("put "+c.d.ConfigDir+" on the list multi_instance_directories", func(context.Context) error {
		return c.h.rework(paths.MainCF, func(f *maincf.File) ([]maincf.Edit, error) {
			const list = "multi_instance_directories" // as it is now: postmulti(1) may have been run by hand since
			now, err := instance.Value(f, paths.ConfigDir, list)
			return append(slices.Clone(edits), maincf.Set(list, strings.Join(append(words(now), c.d.ConfigDir), " "))), err
		})
	})
}
