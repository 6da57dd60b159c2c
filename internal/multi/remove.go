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

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
)

// Remove takes an instance off the host: with the queued mail only if purge is set, and never a file that is neither Postfix's
// nor ours. It also takes a directory that holds no configuration any more off the list.
func (h *Host) Remove(ctx context.Context, name string, purge bool) error {
	does := func(j *journal) bool {
		same := name == j.Instance.Name || namePrefix+name == j.Instance.Name || path.Clean(name) == j.Instance.ConfigDir
		return same && (j.Action == "remove" || !j.Complete)
	}
	return h.command(ctx, purge, does, func() (*plan, error) {
		p, err := h.planRemove(ctx, name, purge)
		if err != nil {
			return nil, fmt.Errorf("cannot remove instance %q: %w", name, err)
		}
		return p, nil
	})
}

func (h *Host) planRemove(ctx context.Context, name string, purge bool) (*plan, error) {
	s, err := h.readSite()
	if err != nil {
		return nil, err
	}
	c, err := s.find(h, name)
	if err != nil && path.IsAbs(name) && s.lists(path.Clean(name)) {
		return h.planUnlist(path.Clean(name)) // postmulti(1) does nothing for any instance while it is there
	}
	if err != nil {
		return nil, err
	}
	if c.IsPrimary() {
		return nil, errors.New("it is the primary one, which goes with the package")
	}
	if err := s.own(c.Instance); err != nil {
		return nil, err
	}
	if err := chroot.CheckQueue(chroot.Deps{Root: h.Root, Instances: s.listed}, c.Instance); err != nil {
		return nil, err
	}
	q, err := countQueue(ctx, h.Root, c.QueueDir, queueDirs)
	if err != nil {
		return nil, err
	}
	if q.Total() > 0 && !purge {
		return nil, fmt.Errorf("%w: %d messages in %q; --purge-queue deletes them", errMail, q.Total(), c.QueueDir)
	}
	j := &journal{Action: "remove", Instance: c.Instance, Started: time.Now(), Purge: purge}
	p := &plan{failed: func(ctx context.Context, err error) error { return h.stay(ctx, j, err) }}
	p.addInner("note what is about to be removed in "+paths.InstanceWork, func(context.Context) error { return h.saveJournal(j) })
	return p, h.planRemoval(ctx, p, s, j)
}

// planUnlist plans to take a directory without a configuration off the list.
func (h *Host) planUnlist(dir string) (*plan, error) {
	there, err := h.Root.Exists(mainOf(dir))
	if err != nil {
		return nil, err
	}
	if there {
		return nil, fmt.Errorf("the configuration in %q is broken: mend it, or move it away and remove the instance then", dir)
	}
	p := &plan{}
	p.add("take "+dir+" off multi_instance_directories", func(context.Context) error { return h.unlist(dir, nil) })
	if h.Systemd != nil {
		p.add("make systemd read its units", h.Systemd.Reload)
	}
	return p, nil
}

// planRemoval plans the removal. Each change may find that it was made before: the same plan finishes an interrupted one.
func (h *Host) planRemoval(ctx context.Context, p *plan, s *site, j *journal) error {
	inst := j.Instance
	if err := h.planStop(ctx, p, inst); err != nil {
		return err
	}
	// A submission may come in until the stop; then the remove is called off before anything else is changed.
	p.add("make sure that it does not run and has no mail", func(ctx context.Context) error {
		there, err := h.Root.Exists(mainOf(inst.ConfigDir))
		if err != nil {
			return err
		}
		if there && h.Runs(inst) {
			return fmt.Errorf("its Postfix runs: stop it first (postfix -c %s stop)", inst.ConfigDir)
		}
		return h.noMail(ctx, j)
	})
	h.planUnlink(p, inst)
	if h.Sockets != nil {
		p.add("let the syslog daemon leave its chroot", func(ctx context.Context) error { return h.Sockets.Withdraw(ctx, inst) })
	}
	p.add("remove what was copied into the chroot", func(context.Context) error { return h.clear(inst) })
	p.add("take "+inst.ConfigDir+" off multi_instance_directories", func(context.Context) error { return h.unlist(inst.ConfigDir, nil) })
	p.add("remove what is Postfix's of "+strings.Join([]string{inst.ConfigDir, inst.QueueDir, inst.DataDir}, ", "),
		func(ctx context.Context) error { return h.finish(ctx, j) })
	if h.Systemd != nil {
		p.add("make systemd read its units", h.Systemd.Reload)
		p.add("forget that its unit failed, if it did", func(ctx context.Context) error {
			_ = h.Systemd.ResetFailed(ctx, inst.Unit()) // fails for a unit that is not known any more
			return nil
		})
	}
	p.addInner("remove the note", func(context.Context) error { return h.dropJournal() })
	return nil
}

func (h *Host) noMail(ctx context.Context, j *journal) error {
	q, err := countQueue(ctx, h.Root, j.Instance.QueueDir, queueDirs)
	if err == nil && q.Total() > 0 && !j.Purge {
		err = fmt.Errorf("%w: %d messages in %q; --purge-queue deletes them", errMail, q.Total(), j.Instance.QueueDir)
	}
	return err
}

// stay ends a remove that failed. One that met mail which came in meanwhile is called off, and the instance started again.
func (h *Host) stay(ctx context.Context, j *journal, cause error) error {
	cause = fmt.Errorf("cannot remove instance %q: %w", j.Instance.Name, cause)
	if !errors.Is(cause, errMail) {
		return fmt.Errorf("%w; the next command of this kind goes on from here", cause)
	}
	err := h.dropJournal()
	if !j.Instance.Enabled {
		return errors.Join(cause, err)
	}
	again, e := h.planEnable(ctx, j.Instance.ConfigDir)
	if e == nil {
		e = h.apply(ctx, again)
	}
	return errors.Join(cause, err, e)
}

// clear takes our files out of the chroot.
func (h *Host) clear(inst instance.Instance) error {
	res, err := chroot.NewEmptyPlan(chroot.Deps{Root: h.Root}, inst).Apply()
	for _, w := range res.Warnings {
		h.warn("chroot: %s", w)
	}
	return err
}

// finish takes away what is still there of an instance that is on no list any more. postmulti(1) would refuse while the primary one is
// disabled, or any other is broken.
func (h *Host) finish(ctx context.Context, j *journal) error {
	inst := j.Instance
	// As long as it was listed, a change of resolv.conf may have filled its chroot once more.
	if err := h.clear(inst); err != nil {
		return err
	}
	if err := emptyQueue(ctx, h.Root, inst.QueueDir, queueDirs, j.Purge, true); err != nil {
		return err
	}
	if err := emptyData(h.Root, inst.DataDir); err != nil {
		return err
	}
	files := []string{masterOf(inst.ConfigDir), mainOf(inst.ConfigDir), mainOf(inst.ConfigDir) + ".tmp", quickStart(inst.QueueDir)}
	half := append(slices.Clone(files), paths.MainCF)
	for _, sub := range queueDirs {
		half = append(half, path.Join(inst.QueueDir, sub))
	}
	if err := h.sweep(half...); err != nil {
		return err
	}
	for _, name := range files {
		if _, err := h.Root.Remove(name); err != nil {
			return err
		}
	}
	if err := h.removeEmpty(inst.QueueDir, inst.DataDir, inst.ConfigDir); err != nil {
		return err
	}
	if left := h.leftovers(inst); len(left) > 0 {
		h.warn("what is not Postfix's stays: %s", strings.Join(left, ", "))
	}
	return nil
}

// removeEmpty removes the directories that are empty.
func (h *Host) removeEmpty(dirs ...string) error {
	for _, dir := range dirs {
		entries, err := h.Root.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot remove directory %q: %w", dir, err)
		}
		if _, err := h.Root.Remove(dir); err != nil {
			return err
		}
	}
	return nil
}
