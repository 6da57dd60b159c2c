package adopt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/version"
)

// What to do with an administrator's drop-ins for units that are daemons with Debian 13's own layer, and no daemons with ours.
const (
	MoveDropIns  = "move"  // to the unit that runs that daemon; back again with the return
	LeaveDropIns = "leave" // where they are
)

// daemonUnits maps each unit by which Debian 13 runs a daemon to the one that runs it with our layer. Debian 12's have our names.
func daemonUnits(root *sysroot.Root) map[string]string {
	primary := instance.Instance{Name: instance.Primary, ConfigDir: paths.ConfigDir}
	units := map[string]string{"postfix.service": primary.Unit()}
	insts, _ := instance.List(root) // one that cannot be read has no unit
	for _, inst := range insts {
		if h := handOver(inst, byDirectory); !inst.IsPrimary() && h.unit != h.ours {
			units[h.unit] = h.ours
		}
	}
	return units
}

// misplaced finds the administrator's drop-ins for such units (systemd.unit(5)), and where each has an effect with ours. It matters: a
// "Restart=always" for the daemon makes systemd refuse our postfix.service, which is no daemon.
func misplaced(root *sysroot.Root) (map[string]string, error) {
	moves := map[string]string{}
	for from, to := range daemonUnits(root) {
		for _, base := range []string{paths.AdminUnits, paths.PropUnits} {
			dir := path.Join(base, from+".d")
			entries, err := root.ReadDir(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("cannot look for drop-ins: %w", err)
			}
			for _, e := range entries {
				if strings.HasSuffix(e.Name(), ".conf") {
					moves[path.Join(dir, e.Name())] = path.Join(base, to+".d", e.Name())
				}
			}
		}
	}
	return moves, nil
}

// dropIns plans what happens to them, before anything is done: they are moved, left, or the administrator has to say which.
func (w *work) dropIns() (move bool, err error) {
	_, s, debians := w.units()
	if !debians {
		return false, nil
	}
	for _, unit := range []string{"postfix.service", paths.Template} { // they would hide ours, and run the primary instance beside it
		p := path.Join(paths.AdminUnits, unit)
		if fi, err := w.Root.Lstat(p); err == nil && fi.Mode().IsRegular() {
			return false, fmt.Errorf("%s takes the place of the package's unit, with Debian's layer and with this one: move what it changes "+
				"into a drop-in (\"systemctl edit %s\") and remove it", p, strings.Replace(unit, "postfix.service", "postfix@-.service", 1))
		}
	}
	if s != byDirectory {
		return false, nil
	}
	moves, err := misplaced(w.Root)
	if err != nil || len(moves) == 0 {
		return false, err
	}
	switch w.DropIns {
	case MoveDropIns:
		for _, from := range slices.Sorted(maps.Keys(moves)) {
			if there, err := w.Root.Exists(moves[from]); err != nil || there && !w.same(from, moves[from]) {
				return false, errors.Join(err, fmt.Errorf("cannot move %q: there is another %q", from, moves[from]))
			}
			w.Say(fmt.Sprintf("to be moved: %s to %s", from, moves[from]))
		}
		return true, nil
	case LeaveDropIns:
		w.Say("without effect on the daemons from now on: " + list(moves))
		return false, nil
	}
	return false, fmt.Errorf("these drop-ins are meant for daemons, which other units run with this layer: %s; add \"--drop-ins move\" to take them "+
		"along, and back again with --revert, or \"--drop-ins leave\"", list(moves))
}

// list names drop-ins and where they would have an effect.
func list(moves map[string]string) string {
	var all []string
	for _, from := range slices.Sorted(maps.Keys(moves)) {
		all = append(all, fmt.Sprintf("%s (would be %s)", from, moves[from]))
	}
	return strings.Join(all, ", ")
}

// moved is the list of the drop-ins that were moved, by where they were. That the file is there says that somebody wants them moved.
type moved map[string]string

func readMoved(root *sysroot.Root) (moved, error) {
	data, err := root.ReadFile(paths.DropInState)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	m := moved{}
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %q, so drop-ins stay where they are: %w", paths.DropInState, err)
	}
	return m, nil
}

// noteMove says for the maintainer script, which moves them when the adopted package is there, that somebody wants it.
func (w *work) noteMove() error {
	if have, err := readMoved(w.Root); have != nil || err != nil {
		return err
	}
	return w.step("note: drop-ins are moved along", func() error { return w.writeMoved(moved{}) })
}

func (h Host) writeMoved(m moved) error {
	text, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return fmt.Errorf("cannot note which drop-ins are moved: %w", err)
	}
	if _, err := h.Root.MkdirAll(paths.StateDir, own(0)); err != nil {
		return err
	}
	_, err = h.Root.WriteFile(paths.DropInState, append(text, '\n'), own(0o644))
	return err
}

// TakeOver moves the drop-ins that are for Debian 13's units, where somebody said so, and names them where not: the maintainer script
// calls it when an adopted package takes the place of this version, before systemd reads the units. It notes what it moves before it does.
func (h Host) TakeOver(from string) error {
	_, adopted := version.Stock(from)
	if rel, ok := releaseOf(from); !ok || rel.instances != byDirectory || adopted {
		return nil // the units had our names before
	}
	err := errors.Join(h.dropDirectories(), h.unlink(func(x handover) string { return x.unit }))
	if err != nil {
		return err
	}
	have, err := readMoved(h.Root)
	if err != nil {
		return err
	}
	moves, err := misplaced(h.Root)
	if err != nil || len(moves) == 0 {
		return err
	}
	if have == nil {
		return fmt.Errorf("without effect on the daemons, which run under other units now: %s; \"systemctl edit\" makes drop-ins for those", list(moves))
	}
	maps.Copy(have, moves)
	if err := h.writeMoved(have); err != nil {
		return err
	}
	var errs []error
	for _, from := range slices.Sorted(maps.Keys(moves)) {
		errs = append(errs, h.moveFile(from, moves[from]))
	}
	return errors.Join(errs...)
}

// dropDirectories removes the drop-ins that tell Debian's units where an instance is: ours look themselves, and would go by an old one.
func (h Host) dropDirectories() error {
	entries, err := h.Root.ReadDir(paths.AdminUnits)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot look for drop-ins: %w", err)
	}
	for _, e := range entries {
		unit, ok := strings.CutSuffix(e.Name(), ".d")
		if !ok || !strings.HasPrefix(unit, "postfix@") {
			continue
		}
		text, err := h.Root.ReadFile(dropInOf(unit))
		if err != nil || !strings.HasPrefix(string(text), dropInHead) {
			continue
		}
		if _, err := h.Root.Remove(dropInOf(unit)); err != nil {
			return err
		}
		_, _ = h.Root.Remove(path.Dir(dropInOf(unit))) // where something else is in it, it stays
	}
	return nil
}

// moveBack undoes what TakeOver did.
func (h Host) moveBack() error {
	have, err := readMoved(h.Root)
	var errs []error
	for _, from := range slices.Sorted(maps.Keys(have)) {
		errs = append(errs, h.moveFile(have[from], from))
	}
	return errors.Join(append(errs, err)...)
}

// same tells whether two drop-ins say the same: an interrupted run has made one of the other.
func (h Host) same(a, b string) bool {
	one, err := h.Root.ReadFile(a)
	two, err2 := h.Root.ReadFile(b)
	return err == nil && err2 == nil && string(one) == string(two)
}

// moveFile moves one drop-in and takes an empty directory away. What is gone already, or has another in its place, stays so; what somebody
// writes into it meanwhile stays where it is, and the next run has to say what becomes of it.
func (h Host) moveFile(from, to string) error {
	fi, err := h.Root.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	data, err := h.Root.ReadFile(from) // a link becomes what it leads to
	if err != nil {
		return fmt.Errorf("cannot move %q: %w", from, err)
	}
	if _, err := h.Root.MkdirAll(path.Dir(to), own(0)); err != nil {
		return err
	}
	attr := own(0o644)
	if attr.Seen, err = h.Root.See(to); err != nil {
		return err
	} else if !attr.Seen.Missing && !bytes.Equal(attr.Seen.Data, data) {
		return fmt.Errorf("cannot move %q: there is another %q", from, to)
	}
	if fi.Mode().IsRegular() {
		attr.Mode = fi.Mode().Perm()
		attr.UID, attr.GID = sysroot.Owner(fi)
	}
	if _, err := h.Root.WriteFile(to, data, attr); err != nil {
		return err
	}
	if !h.same(from, to) {
		return fmt.Errorf("cannot move %q: %w", from, sysroot.ErrChanged)
	}
	if _, err := h.Root.Remove(from); err != nil {
		return err
	}
	_, _ = h.Root.Remove(path.Dir(from)) // where something else is in it, it stays
	h.Say(fmt.Sprintf("moved %s to %s", from, to))
	return nil
}
