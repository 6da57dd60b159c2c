package adopt

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// scheme is how the units of Debian's own package find a further instance.
type scheme int

const (
	byName      scheme = iota // Debian 12: its generator makes postfix.service want postfix@NAME, which runs "postmulti -i NAME"
	byDirectory               // Debian 13: postfix@NAME runs /etc/postfix-NAME, and somebody has to enable it (README.Debian since 3.9.1-7)
)

// schemeOf tells it from the text of a template unit; false for our own.
func schemeOf(template string) (scheme, bool) {
	if strings.Contains(template, "MAIL_CONFIG="+paths.ConfigDir+"-%I") {
		return byDirectory, !strings.Contains(template, paths.LibexecDir)
	}
	return byName, !strings.Contains(template, paths.LibexecDir)
}

// handover is what becomes of a further instance when Debian's own units take the place of ours.
type handover struct {
	name   string
	ours   string // its unit with our layer
	unit   string // its unit with Debian's
	dropIn string // what must be added to that unit, "" for nothing
	why    string // why Debian's units cannot run it, "" if they can
}

// nameOfUnit matches what may stand in a unit's name (systemd.unit(5)). Debian 12's generator puts the instance's name there as it is.
var nameOfUnit = regexp.MustCompile(`^[A-Za-z0-9:_.\\@-]+$`)

// handOver decides for one instance.
func handOver(inst instance.Instance, s scheme) handover {
	h := handover{name: inst.Name, ours: inst.Unit(), unit: inst.Unit()}
	if s == byName {
		if !nameOfUnit.MatchString(inst.Name) {
			h.why = "its name cannot stand in a unit's, as Debian 12 writes it there; set another multi_instance_name"
		}
		return h
	}
	if part, ok := strings.CutPrefix(inst.ConfigDir, paths.ConfigDir+"-"); ok && part != "" && !strings.Contains(part, "/") {
		h.unit = "postfix@" + instance.Escape(part) + ".service"
		return h
	}
	word := strings.NewReplacer("%", "%%", `\`, `\\`, `"`, `\"`)
	h.dropIn = fmt.Sprintf("%s\n[Unit]\nAssertPathExists=\nAssertPathExists=%s\n[Service]\nEnvironment=\"MAIL_CONFIG=%s\"\n", dropInHead,
		strings.ReplaceAll(path.Join(inst.ConfigDir, path.Base(paths.MainCF)), "%", "%%"), word.Replace(inst.ConfigDir))
	return h
}

// dropInHead opens a drop-in of ours. It is of use with Debian's own units alone, and says with ours what these say themselves.
const dropInHead = "# Made by postfix-maint: Debian's own units know only instances in /etc/postfix-NAME."

// dropInOf is where it is; the generator's 50-instance.conf comes before it.
func dropInOf(unit string) string {
	return path.Join(paths.AdminUnits, unit+".d", "60-postfix-maint-directory.conf")
}

// wantOf is the link that makes postfix.service want a unit, so that its start, also that of Debian's own postinst, brings the unit
// along. Debian 13's "systemctl enable" makes one of multi-user.target only: "systemctl restart postfix" would leave it stopped.
func wantOf(unit string) string { return path.Join(paths.AdminUnits, "postfix.service.wants", unit) }

// String says it to the administrator.
func (h handover) String() string {
	switch {
	case h.why != "":
		return fmt.Sprintf("instance %s cannot run under Debian's own units: %s", h.name, h.why)
	case h.unit != h.ours:
		return fmt.Sprintf("instance %s is %s then", h.name, h.unit)
	}
	return fmt.Sprintf("instance %s stays %s", h.name, h.unit)
}

// handovers decides for all enabled further instances. One whose unit is masked stays as it is: somebody does not want it to run.
func handovers(root *sysroot.Root, s scheme) []handover {
	var all []handover
	insts, _ := instance.List(root) // what cannot be read runs under no layer
	for _, inst := range insts {
		if !inst.IsPrimary() && inst.Enabled && !masked(root, inst.Unit()) {
			all = append(all, handOver(inst, s))
		}
	}
	found := unlisted(root)
	for _, unit := range slices.Sorted(maps.Keys(found)) {
		if !enabled(root, unit) || masked(root, unit) {
			continue
		}
		h := handover{name: found[unit].Name, ours: unit, unit: unit}
		if s == byName {
			h.why = "Debian 12 goes by multi_instance_directories, where it is not listed"
		}
		all = append(all, h)
	}
	return all
}

func masked(root *sysroot.Root, unit string) bool {
	target, err := root.Readlink(path.Join(paths.AdminUnits, unit))
	return err == nil && target == paths.DevNull
}

// enabled tells whether "systemctl enable" has made a link for a unit, as Debian's template says or as ours does.
func enabled(root *sysroot.Root, unit string) bool {
	for _, link := range []string{wantOf(unit), path.Join(paths.AdminUnits, "multi-user.target.wants", unit)} {
		if _, err := root.Lstat(link); err == nil {
			return true
		}
	}
	return false
}

// unlisted are the instances that Debian 13's units, and ours, can run without an entry in multi_instance_directories: those in
// /etc/postfix-NAME, by unit.
func unlisted(root *sysroot.Root) map[string]instance.Instance {
	listed, found := map[string]bool{}, map[string]instance.Instance{}
	insts, _ := instance.List(root)
	for _, inst := range insts {
		listed[inst.ConfigDir] = true
	}
	entries, _ := root.ReadDir(path.Dir(paths.ConfigDir))
	for _, e := range entries {
		dir := path.Join(path.Dir(paths.ConfigDir), e.Name())
		part, ok := strings.CutPrefix(dir, paths.ConfigDir+"-")
		if !ok || listed[dir] {
			continue
		}
		if inst, err := instance.ByConfigDir(root, dir); err == nil {
			found["postfix@"+instance.Escape(part)+".service"] = inst
		}
	}
	return found
}

// Unlisted are those of them that are enabled.
func Unlisted(root *sysroot.Root) (insts []instance.Instance) {
	found := unlisted(root)
	for _, unit := range slices.Sorted(maps.Keys(found)) {
		if enabled(root, unit) {
			insts = append(insts, found[unit])
		}
	}
	return insts
}

// Stays tells whether a unit that runs goes on under Debian's own units by itself, as one that nobody enabled: the restart of Debian's
// postinst reaches it, and would not start it once it is stopped.
func Stays(root *sysroot.Root, unit string) bool {
	_, known := unlisted(root)[unit]
	return known && !enabled(root, unit)
}

// returning says what becomes of each instance when Debian's version comes, and refuses if one could not run any more.
func (w *work) returning(version string) error {
	rel, ok := releaseOf(version)
	if !ok {
		return nil // a release of its own way: said when its units are there
	}
	var bad []error
	for _, h := range handovers(w.Root, rel.instances) {
		if h.why != "" {
			bad = append(bad, fmt.Errorf("%v; \"postfix-maint instance disable %s\" leaves it out", h, h.name))
			continue
		}
		w.Say(h.String())
	}
	if len(bad) > 0 {
		return fmt.Errorf("cannot go back to Debian's layer: %w", errors.Join(bad...))
	}
	return nil
}

// units tells whose template unit is installed: its path, "" for none, and how it finds instances, if it is Debian's own.
func (h Host) units() (template string, s scheme, debians bool) {
	for _, dir := range []string{paths.Units, paths.OldUnits} {
		p := path.Join(dir, paths.Template)
		if data, err := h.Root.ReadFile(p); err == nil {
			s, debians = schemeOf(string(data))
			return p, s, debians
		}
	}
	return "", 0, false
}

// further asks systemd for the enabled further instances; where it does not run the system there is nothing to say.
func (h Host) further(ctx context.Context) []Further {
	all := []Further{}
	if booted, err := h.Root.Exists(paths.SystemdBooted); err != nil || !booted {
		return all
	}
	_, s, debians := h.units()
	for _, x := range handovers(h.Root, s) {
		f := Further{Name: x.name, Unit: x.ours, State: x.why}
		if debians {
			f.Unit = x.unit
		}
		if !debians || x.why == "" {
			said, _ := h.Runner.Output(ctx, "systemctl", "is-active", f.Unit) // its exit status says the same
			f.State = strings.TrimSpace(string(said))
		}
		all = append(all, f)
	}
	return all
}

// HandOver does nothing where the units are ours. Else it gives each enabled further instance what it needs to run under Debian's own
// units, once these are unpacked in the place of ours: the maintainer scripts call it. The links stay with an adoption: our units know
// an instance by these names too.
func (h Host) HandOver() (done bool, err error) {
	template, s, debians := h.units()
	if !debians {
		return false, nil // ours, or none: nothing changes hands
	}
	var errs []error
	if s == byDirectory {
		errs = append(errs, h.moveBack())
	}
	for _, x := range handovers(h.Root, s) {
		h.Say(x.String())
		if x.why == "" && s == byDirectory {
			errs = append(errs, h.link(x, template))
		}
	}
	return true, errors.Join(errs...)
}

// link makes postfix.service want an instance's unit by Debian's name. A link by our name stays: the adopted package may be back soon.
func (h Host) link(x handover, template string) error {
	if x.dropIn != "" {
		if _, err := h.Root.MkdirAll(path.Dir(dropInOf(x.unit)), own(0)); err != nil {
			return err
		}
		if _, err := h.Root.WriteFile(dropInOf(x.unit), []byte(x.dropIn), own(0)); err != nil {
			return err
		}
	}
	want := wantOf(x.unit)
	if _, err := h.Root.Lstat(want); err == nil {
		return nil
	}
	if enabled(h.Root, x.unit) { // by multi-user.target: so at a boot, but not by the restart that comes now
		want = path.Join(paths.RunUnits, path.Base(path.Dir(want)), x.unit)
	}
	if _, err := h.Root.MkdirAll(path.Dir(want), own(0)); err != nil {
		return err
	}
	_, err := h.Root.Symlink(template, want)
	return err
}

// unlink removes the link of each instance by one of its two names, where it has one by both.
func (h Host) unlink(name func(handover) string) error {
	var errs []error
	for _, x := range handovers(h.Root, byDirectory) {
		both := x.unit != x.ours
		for _, unit := range []string{x.unit, x.ours} {
			_, err := h.Root.Lstat(wantOf(unit))
			both = both && err == nil
		}
		if both {
			_, err := h.Root.Remove(wantOf(name(x)))
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
