package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// postmulti runs postmulti(1) with "-e action". It writes main.cf with mode 0644 and may change its owner; both are put back.
func (h *Host) postmulti(ctx context.Context, s *site, dir, action string, args ...string) error {
	var kept []func() error
	for _, name := range []string{paths.MainCF, mainOf(dir)} {
		fi, err := h.Root.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot look at %q: %w", name, err)
		}
		attr := sysroot.Attr{Mode: sysroot.Exact(fi.Mode()), Force: true, Settled: true}
		attr.UID, attr.GID = sysroot.Owner(fi)
		kept = append(kept, func() error {
			return transaction.One(h.Root, func() (*transaction.File, error) {
				now, err := h.Root.See(name)
				if err != nil || now.Missing { // destroyed
					return nil, err
				}
				return &transaction.File{Path: name, Seen: now, New: now.Data, Attr: attr}, nil
			})
		})
	}
	err := h.program(ctx, paths.Postmulti, append([]string{"-e", action}, args...)...)
	if err != nil {
		err = silent(err)
		if len(s.broken) > 0 {
			err = fmt.Errorf("%w; postmulti(1) needs all instances to be readable: %w", err, errors.Join(s.broken...))
		}
	}
	for _, keep := range kept {
		err = errors.Join(err, keep())
	}
	return err
}

// silent adds to the error of a program that said nothing where it did: Postfix's programs tell the log alone why they
// failed, unless their standard error is a terminal.
func silent(err error) error {
	if exit := (*run.ExitError)(nil); errors.As(err, &exit) && exit.Stderr == "" {
		return fmt.Errorf("%w (the mail log says why)", err)
	}
	return err
}

// postmultiLine is the call as a person would type it.
func postmultiLine(action string, args ...string) string {
	return strings.Join(append([]string{"run postmulti -e", action}, args...), " ")
}

// initialised tells whether "postmulti -e init" has been run: its script insists on exactly these two.
func (s *site) initialised() bool {
	wrapper, err := instance.Value(s.primary, paths.ConfigDir, "multi_instance_wrapper")
	enable, err2 := instance.Value(s.primary, paths.ConfigDir, "multi_instance_enable")
	return err == nil && err2 == nil && wrapper != "" && enable == "yes"
}

// edit makes edits in the main.cf of an instance, in one rename.
func (h *Host) edit(name string, edits ...maincf.Edit) error {
	return h.rework(name, func(*maincf.File) ([]maincf.Edit, error) { return edits, nil })
}

// rework is edit with edits that depend on what the file says. What somebody else writes in between is never lost: then both are done anew.
func (h *Host) rework(name string, decide func(*maincf.File) ([]maincf.Edit, error)) error {
	return transaction.One(h.Root, func() (*transaction.File, error) {
		data, err := h.Root.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read configuration: %w", err)
		}
		f, err := maincf.Parse(data)
		if err != nil {
			return nil, fmt.Errorf("cannot parse %q: %w", name, err)
		}
		edits, err := decide(f)
		if err != nil {
			return nil, err
		}
		if changed, err := f.Apply(edits...); err != nil || !changed {
			return nil, err
		}
		return &transaction.File{Path: name, Seen: &sysroot.Seen{Data: data}, New: f.Bytes(), Attr: sysroot.Attr{Settled: true}}, nil
	})
}

// unlist takes a configuration directory off the primary instance's list, without postmulti(1), which does nothing once a
// directory of the list has no main.cf. before is what the list was before the instance was made, if that is known.
func (h *Host) unlist(dir string, before *string) error {
	return h.rework(paths.MainCF, func(f *maincf.File) ([]maincf.Edit, error) {
		const list = "multi_instance_directories"
		now, err := instance.Value(f, paths.ConfigDir, list)
		if err != nil {
			return nil, err
		}
		rest := slices.DeleteFunc(words(now), func(d string) bool { return path.Clean(d) == dir })
		if len(rest) == len(words(now)) {
			return nil, nil
		}
		value := maincf.Set(list, strings.Join(rest, " "))
		if before != nil && slices.Equal(rest, words(*before)) {
			value = maincf.Set(list, *before)
		} else if before == nil && len(rest) == 0 {
			value = maincf.Unset(list)
		}
		return []maincf.Edit{value}, nil
	})
}
