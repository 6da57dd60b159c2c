package adopt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/version"
)

// Host is a system whose Postfix is kept adopted: by a local apt source, a pin and a hook of apt's. Every method looks at what
// is there first, so it takes up what an interrupted one left, and does nothing where nothing is to do.
type Host struct {
	Root   *sysroot.Root
	Layer  string // see Options
	Runner Runner
	Attach func(ctx context.Context, name string, args ...string) error // runs apt-get or dpkg before the administrator's eyes
	Say    func(line string)                                            // takes what is done, as it is done
	DryRun bool                                                         // only say it

	DropIns string // MoveDropIns or LeaveDropIns; "" refuses to adopt where there are drop-ins for Debian's units
}

// Report is what a host has, and what was done to it.
type Report struct {
	Installed string              `json:"installed"` // version of postfix, "" for none
	Adopted   bool                `json:"adopted"`   // it has our layer
	Held      bool                `json:"held"`      // it is on hold: apt changes nothing of it
	InForce   bool                `json:"in_force"`  // newer versions are adopted as they come
	Ready     []string            `json:"ready"`     // adopted versions that apt can install
	Refused   map[string][]string `json:"refused"`   // Debian's versions that cannot be adopted, and why
	Instances []Further           `json:"instances"` // the enabled ones but the primary
	Changes   []string            `json:"changes"`
}

// Further is an instance besides the primary one, under the units that are installed.
type Further struct {
	Name  string `json:"name"`
	Unit  string `json:"unit"`
	State string `json:"state"` // as "systemctl is-active" has it, or why there can be no unit
}

// work is one run on a host.
type work struct {
	Host
	policy  policy
	archive archive
	changes []string
	hook    bool // apt-get update waits for us
}

// look reads apt's and our own state.
func (h Host) look(ctx context.Context) (*work, error) {
	layer, err := layerVersion(h.Layer)
	if err != nil {
		return nil, err
	}
	w := &work{Host: h}
	if w.policy, err = askPolicy(ctx, h.Runner); err != nil {
		return nil, err
	}
	w.archive, err = readArchive(h.Root, layer)
	return w, err
}

// step says what is done, and does it unless this is a dry run.
func (w *work) step(what string, do func() error) error {
	w.changes = append(w.changes, what)
	w.Say(what)
	if w.DryRun {
		return nil
	}
	return do()
}

// report describes the host as it is now.
func (w *work) report(ctx context.Context) (Report, error) {
	p, err := askPolicy(ctx, w.Runner)
	if err != nil {
		return Report{}, err
	}
	inForce, err := w.Root.Exists(paths.AptSource)
	r := Report{Installed: p.version(), InForce: inForce, Ready: []string{}, Refused: w.archive.Refused, Instances: w.further(ctx), Changes: append([]string{}, w.changes...)}
	_, r.Adopted = version.Stock(r.Installed)
	r.Held = w.held(ctx) != nil
	for i := range p.offers {
		if v := p.offers[i].version; w.archive.has(v) {
			r.Ready = append(r.Ready, v)
		}
	}
	return r, err
}

// has tells whether the archive has an adopted version.
func (a *archive) has(v string) bool {
	stock, _ := version.Stock(v)
	return v != "" && a.Adopted[stock].Version == v
}

// adoptedAs is the version that one of Debian's has in the archive, or will have.
func (w *work) adoptedAs(stock string) string {
	if b, made := w.archive.Adopted[stock]; made {
		return b.Version
	}
	return version.Adopted(stock, w.archive.Layer, w.policy.version())
}

// Status only looks.
func (h Host) Status(ctx context.Context) (Report, error) {
	w, err := h.look(ctx)
	if err != nil {
		return Report{}, err
	}
	return w.report(ctx)
}

// Refresh adopts what apt would go to, as its hook does after every "apt-get update". Nothing happens where Install was not run.
func (h Host) Refresh(ctx context.Context) (Report, error) {
	if there, err := h.Root.Exists(paths.AptSource); err != nil || !there {
		return Report{}, err
	}
	w, err := h.look(ctx)
	if err != nil {
		return Report{}, err
	}
	w.hook = true
	// First the pin: with one that is too high nothing else of this run may keep Debian's update away.
	if err := errors.Join(w.clear(), w.pin(), w.adoptAll(ctx), w.store(), w.index(ctx)); err != nil {
		return Report{}, err
	}
	return w.report(ctx)
}

// adoptAll makes what the archive lacks, and drops what it needs no more. A package that is refused is noted and is no error: apt
// goes on with Debian's own.
func (w *work) adoptAll(ctx context.Context) error {
	base, next := w.policy.wanted()
	var keep []string
	if v := w.policy.version(); v != "" { // cannot be made again where Debian's own is no longer to be had
		stock, _ := version.Stock(v)
		keep = append(keep, stock)
	}
	var failed error
	for _, o := range []*offer{base, next} {
		if o == nil {
			continue
		}
		keep = append(keep, o.version)
		_, made := w.archive.Adopted[o.version]
		reasons, refused := w.archive.Refused[o.version]
		if refused && !w.hook { // the hook said it once
			w.Say(refusal(o.version, reasons))
		}
		if made || refused {
			continue
		}
		err := w.step("adopt: postfix "+o.version, func() error { return w.adopt(ctx, o.version) })
		failed = errors.Join(failed, err)
	}
	w.archive.keep(keep)
	return failed
}

// store writes the archive.
func (w *work) store() error {
	if w.DryRun {
		return nil
	}
	_, err := w.archive.write(w.Root)
	return err
}

// adopt makes one version and takes it, or its refusal, into the archive.
func (w *work) adopt(ctx context.Context, version string) error {
	if _, err := w.Root.MkdirAll(paths.AdoptWork, own(0o700)); err != nil {
		return err
	}
	defer func() { _ = removeAll(w.Root, paths.AdoptWork) }() // the next run sweeps it
	dir, err := w.Root.Path(paths.AdoptWork)
	if err != nil {
		return err
	}
	deb, err := fetch(ctx, w.Runner, dir, version)
	if err != nil {
		return err
	}
	res, err := Run(ctx, Options{Deb: deb, Output: dir + "/out", Layer: w.Layer, Work: dir, Over: w.policy.version(), Runner: w.Runner})
	if no := (*RefusedError)(nil); errors.As(err, &no) {
		w.archive.Refused[version] = no.Reasons
		w.Say(refusal(version, no.Reasons))
		if rel, ok := releaseOf(version); ok {
			for _, x := range handovers(w.Root, rel.instances) {
				w.Say(x.String())
			}
		}
		return nil
	} else if err != nil {
		return err
	}
	control, err := w.Runner.Output(ctx, "dpkg-deb", "--field", res.Path)
	if err != nil {
		return fmt.Errorf("cannot describe the adopted package: %w", err)
	}
	data, err := os.ReadFile(res.Path)
	if err != nil {
		return fmt.Errorf("cannot read the adopted package: %w", err)
	}
	file := res.Path[strings.LastIndex(res.Path, "/")+1:]
	w.archive.Adopted[version] = built{Version: res.Version, File: file, Stanza: stanza(string(control), file, data), data: data}
	return nil
}

// refusal says what happens to a version that cannot be adopted.
func refusal(version string, reasons []string) string {
	return fmt.Sprintf("postfix %s cannot be adopted, so apt installs Debian's own: %s", version, strings.Join(reasons, "; "))
}

// pin writes the pin file, or brings its priority up to date. One that somebody edited stays.
func (w *work) pin() error {
	have, err := w.Root.See(paths.AptPin)
	if err != nil {
		return err
	}
	if !have.Missing {
		n, ours := pinPriority(string(have.Data))
		if n == w.policy.priority() {
			return nil
		}
		if !ours {
			w.Say(fmt.Sprintf("%s was edited and stays as it is", paths.AptPin))
			return nil
		}
	}
	return w.file(paths.AptPin, pinText(w.policy.priority()), have)
}

// file writes one of apt's files. seen is what it was when that was decided.
func (w *work) file(p, text string, seen *sysroot.Seen) error {
	return w.step("write: "+p, func() error {
		attr := own(0)
		attr.Seen = seen
		_, err := w.Root.WriteFile(p, []byte(text), attr)
		return err
	})
}

// index has apt read our source, and no other. In a hook apt holds the lock of its lists and has written them; it waits
// for us, so we take no lock of our own: apt.conf(5), Debug::NoLocking.
func (w *work) index(ctx context.Context) error {
	have, err := w.Root.ReadFile(paths.ArchiveList + "Release")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read apt's lists: %w", err)
	}
	if bytes.Equal(have, w.archive.release) && !w.DryRun || w.DryRun && len(w.changes) == 0 {
		return nil
	}
	args := []string{"update", "-q", "-o", "Dir::Etc::sourcelist=" + paths.AptSource, "-o", "Dir::Etc::sourceparts=-", "-o", "APT::Get::List-Cleanup=0"}
	if w.hook {
		args = append(args, "-o", "Debug::NoLocking=true")
	}
	return w.step("apt: read "+paths.AptSource, func() error {
		for try := 0; ; try++ {
			_, err := w.Runner.Output(ctx, "apt-get", args...)
			if err == nil {
				return nil
			}
			if w.hook || try == 30 || !strings.Contains(err.Error(), "Could not get lock") {
				return fmt.Errorf("cannot have apt read the local archive: %w", err)
			}
			select { // apt itself does not wait for this lock
			case <-ctx.Done():
				return fmt.Errorf("cannot have apt read the local archive: %w", err)
			case <-time.After(2 * time.Second):
			}
		}
	})
}
