package smarthost

import (
	"context"
	"fmt"
	"path"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Recover ends what a killed change of this instance left besides a transaction, which whoever holds the lock has ended. Where nothing is left
// it writes nothing and runs no program.
func Recover(ctx context.Context, d Deps, inst instance.Instance) error {
	for _, name := range []string{paths.SmarthostState, statePath(inst)} {
		if _, err := d.Root.SweepTemp(name); err != nil {
			return err
		}
	}
	_ = settleLogins(ctx, d) // what fails stays due: an unset must be possible where systemd does not answer
	h, err := glance(d, inst)
	if err != nil {
		return err
	}
	if err := h.resume(); err != nil {
		return err
	}
	return h.sweep()
}

// resume gives main.cf the lasting names of tables, where somebody read it on a detour of the transaction and wrote it afterwards.
func (h *host) resume() error {
	if string(h.live.Bytes()) == string(h.disk) {
		return nil
	}
	_, err := h.d.Root.WriteFile(h.file("main.cf"), h.live.Bytes(),
		sysroot.Attr{Mode: 0o644, Settled: true, Seen: &sysroot.Seen{Missing: h.disk == nil, Data: h.disk}})
	return err
}

// sweep removes the stage and what is in it: a password may be.
func (h *host) sweep() error {
	dir := h.stage("")
	there, err := h.d.Root.Exists(dir)
	if err != nil || !there {
		return err
	}
	entries, err := h.d.Root.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot clear %q: %w", dir, err)
	}
	for _, e := range entries {
		if _, err := h.d.Root.Remove(path.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	_, err = h.d.Root.Remove(dir)
	return err
}
