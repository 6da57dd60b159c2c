package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// mend plans to put in order what an interrupted command left.
func (h *Host) mend(j *journal) *plan {
	p := &plan{}
	name := j.Instance.Name
	switch {
	case j.Action == "remove":
		p.add("finish the interrupted remove of instance "+name, func(ctx context.Context) error {
			s, err := h.readSite()
			if err != nil {
				return err
			}
			rest := &plan{failed: func(ctx context.Context, err error) error { return h.stay(ctx, j, err) }}
			if err := h.planRemoval(ctx, rest, s, j); err != nil {
				return err
			}
			return h.apply(ctx, rest)
		})
	case j.Complete:
		p.add("finish the interrupted create of instance "+name+": all but its start was done", func(ctx context.Context) error {
			if err := h.dropJournal(); err != nil || j.Disabled {
				return err
			}
			rest, err := h.planEnable(ctx, j.Instance.ConfigDir)
			if err != nil {
				return err
			}
			return h.apply(ctx, rest)
		})
	default:
		p.add("take back the interrupted create of instance "+name, func(ctx context.Context) error {
			if err := h.untouched(ctx, j); err != nil {
				return err
			}
			err := h.takeBack(ctx, j)
			if errors.Is(err, errMail) {
				err = fmt.Errorf("%w; \"instance remove %s --purge-queue\" deletes it", err, name)
			}
			return err
		})
	}
	return p
}

// untouched makes sure that nobody went on by hand from where a create was interrupted.
func (h *Host) untouched(ctx context.Context, j *journal) error {
	fail := func(why string) error {
		return fmt.Errorf("cannot take back the interrupted create of instance %q: %s; remove %q if it is to stay as it is",
			j.Instance.Name, why, paths.InstanceWork)
	}
	fi, err := h.Root.Stat(mainOf(j.Instance.ConfigDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot look at %q: %w", mainOf(j.Instance.ConfigDir), err)
	}
	const most = time.Hour // no create takes that long
	if fi.ModTime().Sub(j.Started) > most {
		return fail(mainOf(j.Instance.ConfigDir) + " was edited since")
	}
	if h.runs(ctx, j.Instance) {
		return fail("its Postfix runs")
	}
	return nil
}

// takeBack undoes a create, from wherever it got to. What it started ends first; main.cf and the list follow, then the files.
func (h *Host) takeBack(ctx context.Context, j *journal) error {
	if err := h.quiet(ctx, j); err != nil {
		return err
	}
	if err := h.restore(j); err != nil {
		return err
	}
	if err := h.sweep(append([]string{paths.MainCF}, j.Made...)...); err != nil {
		return err
	}
	for _, name := range j.Made {
		fi, err := h.Root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return fmt.Errorf("cannot look at %q: %w", name, err)
		case fi.IsDir():
			err = h.removeEmpty(name)
		default:
			_, err = h.Root.Remove(name)
		}
		if err != nil {
			return err
		}
	}
	if left := h.leftovers(j.Instance); len(left) > 0 && j.made(j.Instance.ConfigDir) {
		h.warn("what the create did not make stays: %s", strings.Join(left, ", "))
	}
	if h.Systemd != nil {
		if err := h.Systemd.Reload(ctx); err != nil {
			return err
		}
		_ = h.program(ctx, "systemctl", "reset-failed", j.Instance.Unit()) // fails for a unit that is not known any more
	}
	return h.dropJournal()
}

// quiet ends all that a create started, and empties the directories that it made.
func (h *Host) quiet(ctx context.Context, j *journal) error {
	inst := j.Instance
	var errs []error
	if h.Systemd != nil {
		for _, unit := range h.linked(inst) {
			if !slices.Contains(j.Linked, unit) {
				errs = append(errs, h.program(ctx, "systemctl", "--no-reload", "disable", unit))
			}
		}
		if unit, err := h.unit(inst); err == nil && j.Complete { // else nothing was started
			errs = append(errs, h.stop(ctx, unit))
		}
	}
	if h.Sockets != nil {
		errs = append(errs, h.Sockets.Withdraw(ctx, inst))
	}
	if j.made(inst.QueueDir) {
		if err := h.clear(inst); err != nil {
			h.warn("chroot: %v", err)
		}
	}
	var subs []string
	for _, sub := range queueDirs {
		if j.made(path.Join(inst.QueueDir, sub)) {
			subs = append(subs, sub)
		}
	}
	errs = append(errs, emptyQueue(h.Root, inst.QueueDir, subs, j.Purge, true))
	if j.made(inst.DataDir) {
		errs = append(errs, emptyData(h.Root, inst.DataDir))
	}
	return errors.Join(errs...)
}

// sweep removes what a killed write of ours left beside the files and directories that it was to make.
func (h *Host) sweep(names ...string) error {
	for _, name := range names {
		if _, err := h.Root.SweepTemp(name); err != nil {
			return err
		}
	}
	return nil
}

// restore gives the parameters in main.cf files back their values. "postmulti -e init" stays in force if another instance was
// made since.
func (h *Host) restore(j *journal) error {
	const list = "multi_instance_directories"
	if err := h.unlist(j.Instance.ConfigDir, j.value(paths.MainCF, list)); err != nil {
		return err
	}
	s, err := h.readSite()
	if err != nil {
		return err
	}
	var before string
	if v := j.value(paths.MainCF, list); v != nil {
		before = *v
	}
	byFile := map[string][]maincf.Edit{}
	for _, old := range j.Before {
		if old.File == paths.MainCF && !slices.Equal(s.dirs, words(before)) {
			continue
		}
		edit := maincf.Unset(old.Name)
		if old.Value != nil {
			edit = maincf.Set(old.Name, *old.Value)
		}
		byFile[old.File] = append(byFile[old.File], edit)
	}
	for file, edits := range byFile {
		there, err := h.Root.Exists(file)
		if err == nil && there {
			err = h.edit(file, edits...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
