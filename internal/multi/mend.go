package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
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
		p.add("finish the interrupted remove of instance "+name, func(ctx context.Context) error { return h.finishRemove(ctx, j) })
	case j.Complete:
		p.add("finish the interrupted create of instance "+name+": all but its start was done",
			func(ctx context.Context) error { return h.finishCreate(ctx, j) })
	default:
		p.add("take back the interrupted create of instance "+name, func(ctx context.Context) error { return h.undoCreate(ctx, j) })
	}
	return p
}

func (h *Host) finishRemove(ctx context.Context, j *journal) error {
	s, err := h.readSite()
	if err != nil {
		return err
	}
	rest := &plan{failed: func(ctx context.Context, err error) error { return h.stay(ctx, j, err) }}
	if err := h.planRemoval(ctx, rest, s, j); err != nil {
		return err
	}
	return h.apply(ctx, rest)
}

func (h *Host) finishCreate(ctx context.Context, j *journal) error {
	if flag := quickStart(j.Instance.QueueDir); j.made(flag) { // nobody knows what became of the queue since
		_, err := h.Root.Remove(flag)
		if err = errors.Join(err, h.sweep(flag)); err != nil {
			return err
		}
	}
	if err := h.dropJournal(); err != nil || j.Disabled {
		return err
	}
	rest, err := h.planEnable(ctx, j.Instance.ConfigDir)
	if err != nil {
		return err
	}
	return h.apply(ctx, rest)
}

func (h *Host) undoCreate(ctx context.Context, j *journal) error {
	if err := h.untouched(ctx, j); err != nil {
		return err
	}
	err := h.takeBack(ctx, j)
	if errors.Is(err, errMail) {
		return fmt.Errorf("%w; \"instance remove %s --purge-queue\" deletes it", err, j.Instance.Name)
	}
	return err
}

// errEdited says that somebody edited what an interrupted create made.
var errEdited = errors.New("was edited since")

// untouched makes sure that nobody went on by hand from where a create was interrupted.
func (h *Host) untouched(ctx context.Context, j *journal) error {
	fail := func(why error) error {
		return fmt.Errorf("the interrupted create of instance %q is not taken back: %w", j.Instance.Name, why)
	}
	for _, name := range slices.Sorted(maps.Keys(j.Sums)) {
		now, err := h.Root.See(name)
		if err != nil || !now.Missing && sumOf(name, now.Data) != j.Sums[name] { // what can't be read isn't what was made either
			return fail(fmt.Errorf("%s %w", name, errEdited))
		}
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
		return fail(fmt.Errorf("%s %w", mainOf(j.Instance.ConfigDir), errEdited))
	}
	if h.Runs(j.Instance) {
		return fail(errors.New("its Postfix runs"))
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
		_ = h.Systemd.ResetFailed(ctx, j.Instance.Unit()) // fails for a unit that is not known any more
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
				errs = append(errs, h.Systemd.Disable(context.WithoutCancel(ctx), unit))
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
	errs = append(errs, emptyQueue(ctx, h.Root, inst.QueueDir, subs, j.Purge, true))
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
