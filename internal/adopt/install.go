package adopt

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/version"
)

// Install adopts the Postfix of this host for good: the local archive, the pin, the source and the hook, in this order, so that apt
// finds all that it is told of at any moment; then apt installs the adopted package. For a Postfix that cannot be adopted the error
// says why, and nothing is changed.
func (h Host) Install(ctx context.Context) (Report, error) {
	w, err := h.look(ctx)
	if err != nil {
		return Report{}, err
	}
	move, err := w.dropIns()
	if err != nil {
		return Report{}, err
	}
	if err := w.clear(); err != nil {
		return Report{}, err
	}
	if err := w.adoptAll(ctx); err != nil {
		return Report{}, err
	}
	target, err := w.target()
	if err != nil {
		return Report{}, err
	}
	if !w.current(ctx, target) {
		if err := w.held(ctx); err != nil {
			return Report{}, err
		}
	}
	if move {
		if err := w.noteMove(); err != nil {
			return Report{}, err
		}
	}
	for _, do := range []func() error{
		w.store, w.pin,
		func() error { return w.ensure(paths.AptSource, sourceText()) },
		func() error { return w.index(ctx) },
		func() error { return w.ensure(paths.AptConf, confText()) },
		func() error { return w.install(ctx, target) },
	} {
		if err := do(); err != nil {
			return Report{}, err
		}
	}
	return w.report(ctx)
}

// target chooses the adopted version to install: that of what is installed, else that of the version that apt would go to.
func (w *work) target() (string, error) {
	base, next := w.policy.wanted()
	if base == nil && next == nil {
		return "", errNoDebian
	}
	var reasons []string
	for _, o := range []*offer{base, next} {
		if o == nil {
			continue
		}
		if no, refused := w.archive.Refused[o.version]; refused {
			reasons = append(reasons, refusal(o.version, no))
			continue
		}
		return w.adoptedAs(o.version), nil
	}
	return "", errors.New(strings.Join(reasons, "; "))
}

// ensure writes one of apt's files where it is missing. One that somebody edited stays.
func (w *work) ensure(p, text string) error {
	have, err := w.Root.See(p)
	switch {
	case err != nil:
		return err
	case have.Missing:
		return w.file(p, text, have)
	case string(have.Data) != text:
		w.Say(fmt.Sprintf("%s was edited and stays as it is", p))
	}
	return nil
}

// install has apt install a version of postfix, unless it is installed, by this layer, already.
func (w *work) install(ctx context.Context, version string) error {
	if w.current(ctx, version) {
		return nil
	}
	return w.apt(ctx, version)
}

// current tells whether a version of postfix is installed as a whole, by this layer.
func (w *work) current(ctx context.Context, version string) bool {
	whole, have, depends := w.dpkg(ctx)
	return whole && have == version && strings.Contains(depends, dependency(w.archive.Layer))
}

// held refuses beforehand what apt would refuse at the end: to change a package that somebody put on hold.
func (w *work) held(ctx context.Context) error {
	said, err := w.Runner.Output(ctx, "dpkg-query", "--show", "--showformat", "${db:Status-Want}", "postfix")
	if err == nil && string(said) == "hold" {
		return errors.New("postfix is on hold: \"apt-mark unhold postfix\" releases it")
	}
	return nil // not known to dpkg: nothing holds it
}

// dpkg gives what dpkg knows of postfix: whether it is installed as a whole (on hold or not), version and Depends.
func (w *work) dpkg(ctx context.Context) (whole bool, version, depends string) {
	said, err := w.Runner.Output(ctx, "dpkg-query", "--show", "--showformat", "${db:Status-Status}${db:Status-Eflag}\n${Version}\n${Depends}", "postfix")
	lines := strings.SplitN(string(said), "\n", 3)
	if err != nil || len(lines) < 3 {
		return false, "", ""
	}
	return lines[0] == "installedok", lines[1], lines[2]
}

// apt has "apt-get install" put a version of postfix in place, whatever is there now. Files that the administrator edited stay, other
// packages are not removed for it, and it waits for whoever else runs dpkg. What an interrupted dpkg left is finished first, as apt-get
// would ask the administrator to do; a package that was half unpacked dpkg can't finish, but apt can, as it installs it.
func (w *work) apt(ctx context.Context, version string) error {
	pending, err := w.Root.ReadDir(paths.DpkgUpdates)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot look at what dpkg is doing: %w", err)
	}
	if len(pending) > 0 {
		_ = w.step("dpkg: finish what was interrupted", func() error { return w.Attach(ctx, "dpkg", "--configure", "-a") })
	}
	args := []string{"install", "--yes", "--no-remove", "--allow-downgrades", "-o", "DPkg::Lock::Timeout=120",
		"-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold", "postfix=" + version}
	if _, have, _ := w.dpkg(ctx); have == version {
		args = append(args, "--reinstall")
	}
	return w.step("apt: install postfix "+version, func() error { return w.Attach(ctx, "apt-get", args...) })
}

// Revert takes back all that Install did. First apt installs Debian's version of what is installed (the one that it would go to, where
// that is no longer to be had); if that fails nothing is changed. Then the hook and the source go, and the archive last.
func (h Host) Revert(ctx context.Context) (Report, error) {
	w := &work{Host: h, archive: archive{Refused: map[string][]string{}}}
	if err := w.clear(); err != nil {
		return Report{}, err
	}
	var err error
	if w.policy, err = askPolicy(ctx, w.Runner); err != nil {
		return Report{}, err
	}
	_, adopted := version.Stock(w.policy.version())
	if whole, _, _ := w.dpkg(ctx); adopted || !whole && w.policy.version() != "" { // or half unpacked
		if err := w.installDebians(ctx); err != nil {
			return Report{}, err
		}
	}
	if _, s, debians := w.units(); debians && s == byDirectory && !w.DryRun { // for good: Debian's units do not know our names
		if err := w.unlink(func(x handover) string { return x.ours }); err != nil {
			return Report{}, err
		}
	}
	if err := w.removeFiles(); err != nil {
		return Report{}, err
	}
	if err := w.removeArchive(); err != nil {
		return Report{}, err
	}
	return w.report(ctx)
}

// installDebians has apt install Debian's version of what is installed.
func (w *work) installDebians(ctx context.Context) error {
	base, next := w.policy.wanted()
	if base == nil {
		base = next
	}
	if base == nil {
		return errNoDebian
	}
	if err := w.held(ctx); err != nil {
		return err
	}
	if err := w.returning(base.version); err != nil {
		return err
	}
	return w.apt(ctx, base.version)
}

// removeFiles removes the hook, the source, what apt has read of it, and our notes.
func (w *work) removeFiles() error {
	lists, err := w.lists()
	if err != nil {
		return err
	}
	for _, p := range append([]string{paths.AptConf, paths.AptSource, paths.AptPin, paths.DropInState}, lists...) {
		_, err := w.Root.Lstat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := w.step("remove: "+p, func() error { _, err := w.Root.Remove(p); return err }); err != nil {
			return err
		}
	}
	return nil
}

// lists are the files that apt made of our source.
func (w *work) lists() ([]string, error) {
	all, err := w.Root.ReadDir(paths.AptLists)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read apt's lists: %w", err)
	}
	var ours []string
	for _, e := range all {
		if p := path.Join(paths.AptLists, e.Name()); strings.HasPrefix(p, paths.ArchiveList) {
			ours = append(ours, p)
		}
	}
	return ours, nil
}

// removeArchive takes the archive away, the link first: it never leads to half a folder.
func (w *work) removeArchive() error {
	_, err := w.Root.Lstat(paths.Archive)
	if errors.Is(err, fs.ErrNotExist) && w.DryRun {
		return nil
	} else if errors.Is(err, fs.ErrNotExist) {
		return sweep(w.Root, "")
	}
	return w.step("remove: "+paths.Archive, func() error {
		if _, err := w.Root.Remove(paths.Archive); err != nil {
			return err
		}
		return sweep(w.Root, "")
	})
}

// clear removes what interrupted runs left beside our files.
func (w *work) clear() error {
	if w.DryRun {
		return nil
	}
	for _, p := range []string{paths.AptSource, paths.AptPin, paths.AptConf} {
		if _, err := w.Root.SweepTemp(p); err != nil {
			return err
		}
	}
	name, err := w.Root.Readlink(paths.Archive)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read the local archive: %w", err)
	}
	return sweep(w.Root, name)
}
