// Package instance (ring: flow) finds the Postfix instances of a host, as postmulti(1) would, from the main.cf files
// alone. It only reads, and it imports nothing but the standard library, maincf and paths, because the systemd generator
// and the chroot helper link it.
//
// One bad instance never hides the others: what cannot be understood comes back as an error beside those that can
// (Debian 12's generator ended at the first one).
package instance

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// Primary is the name of the instance in /etc/postfix, as postmulti(1) and the unit postfix@- have it.
const Primary = "-"

// maxInstances bounds what is read and said for a multi_instance_directories that went wild.
const maxInstances = 20_000

// Reader is what the package needs of a system tree.
type Reader interface {
	ReadFile(path string) ([]byte, error)
}

// Instance is one Postfix with its own configuration, queue and data directory.
type Instance struct {
	Name      string // multi_instance_name, or Primary
	ConfigDir string
	QueueDir  string
	DataDir   string
	Enabled   bool // may be started by a multi-instance manager: multi_instance_enable in postconf(5)
}

// IsPrimary tells whether the instance is the one in /etc/postfix.
func (i Instance) IsPrimary() bool { return i.Name == Primary }

// List returns the primary instance and those of its multi_instance_directories, in that order. Each instance that cannot
// be used gives one error. Without a readable main.cf of the primary one there is no instance, and errors.Is(err,
// fs.ErrNotExist) tells a host that has no configuration from a broken one.
func List(r Reader) ([]Instance, []error) {
	f, err := read(r, paths.ConfigDir)
	if err != nil {
		return nil, []error{err}
	}
	dirs, err := Value(f, paths.ConfigDir, "multi_instance_directories")
	if err != nil {
		return nil, []error{err}
	}
	var insts []Instance
	var errs []error
	seen := map[string]string{} // name -> directory
	// argv_split with CHARS_COMMA_SP in postmulti.c: commas count, braces do not.
	secondary := strings.FieldsFunc(dirs, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
	if len(secondary) > maxInstances {
		errs = append(errs, fmt.Errorf("cannot use more than %d of the %d multi_instance_directories", maxInstances, len(secondary)))
		secondary = secondary[:maxInstances]
	}
	for n, dir := range append([]string{paths.ConfigDir}, secondary...) {
		if n > 0 && path.Clean(dir) == paths.ConfigDir {
			errs = append(errs, fmt.Errorf("cannot use %q as another instance: it is the primary one's directory", dir))
			continue
		}
		inst, err := load(r, dir, n == 0, len(secondary) > 0)
		if n > 0 && errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; if it is gone for good, take %q out of multi_instance_directories in %s", err, dir, paths.MainCF)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, dup := seen[inst.Name]; dup {
			errs = append(errs, fmt.Errorf("cannot use instance %q in %q: %q has that name already", inst.Name, dir, other))
			continue
		}
		seen[inst.Name] = dir
		insts = append(insts, inst)
	}
	return insts, errs
}

// read parses the main.cf in dir.
func read(r Reader, dir string) (*maincf.File, error) {
	name := path.Join(dir, "main.cf")
	data, err := r.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read configuration of the instance in %q: %w", dir, err)
	}
	f, err := maincf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", name, err)
	}
	return f, nil
}

// load reads one instance. With others beside it, the primary one too needs multi_instance_enable: create_primary_instance
// and load_all_instances in postmulti.c.
func load(r Reader, dir string, primary, others bool) (inst Instance, err error) {
	defer func() { // whatever is in one main.cf, the others are there
		if fault := recover(); fault != nil {
			inst, err = Instance{}, fmt.Errorf("cannot use the instance in %q: %v (this should not happen: please report it with its main.cf)", dir, fault)
		}
	}()
	fail := func(err error) (Instance, error) { return Instance{}, err }
	if !path.IsAbs(dir) {
		return fail(fmt.Errorf("cannot use %q as instance: not an absolute path", dir))
	}
	if !utf8.ValidString(dir) || strings.ContainsFunc(dir, control) { // systemd would ignore each line with it
		return fail(fmt.Errorf("cannot use %q as instance: a unit cannot hold such a path", dir))
	}
	dir = path.Clean(dir)
	f, err := read(r, dir)
	if err != nil {
		return fail(err)
	}
	inst = Instance{ConfigDir: dir, Name: Primary}
	for name, to := range map[string]*string{"queue_directory": &inst.QueueDir, "data_directory": &inst.DataDir} {
		if *to, err = Value(f, dir, name); err != nil {
			return fail(err)
		}
		if !path.IsAbs(*to) {
			return fail(fmt.Errorf("cannot use %s %q of %q: not an absolute path", name, *to, dir))
		}
		*to = path.Clean(*to)
	}
	enable, err := Value(f, dir, "multi_instance_enable")
	if err != nil {
		return fail(err)
	}
	if inst.Enabled, err = yes(enable); err != nil {
		return fail(fmt.Errorf("cannot use multi_instance_enable of %q: %w", dir, err))
	}
	if primary {
		inst.Enabled = inst.Enabled || !others
		return inst, nil
	}
	inst.Name, err = name(f, dir)
	return inst, err
}

// yes reads a boolean as get_mail_conf_bool does.
func yes(value string) (bool, error) {
	switch {
	case strings.EqualFold(value, "yes"):
		return true, nil
	case strings.EqualFold(value, "no"):
		return false, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", value)
}

// name is the name of the secondary instance in dir. One without multi_instance_name is known by its directory where that
// is /etc/postfix-NAME, as Debian 13 has it since postfix 3.9.1-7; elsewhere no unit could mean it.
func name(f *maincf.File, dir string) (string, error) {
	n, err := Value(f, dir, "multi_instance_name")
	if err != nil {
		return "", err
	}
	if n == "" {
		n = byDirectory(dir)
	}
	switch {
	case n == "":
		return "", fmt.Errorf("cannot use the instance in %q: it has no multi_instance_name", dir)
	case n == Primary, n == ".", n == "..", strings.ContainsAny(n, "/ \t\n") || strings.ContainsFunc(n, control):
		return "", fmt.Errorf("cannot use the instance in %q: %q is no name for an instance", dir, n)
	case len(Instance{Name: n}.Unit()) > MaxUnit:
		return "", fmt.Errorf("cannot use the instance in %q: its name is too long for a unit", dir)
	}
	return n, nil
}

func control(c rune) bool { return c < ' ' || c == 0x7f }

// byDirectory gives NAME for /etc/postfix-NAME, "" for other directories.
func byDirectory(dir string) string {
	n, ok := strings.CutPrefix(path.Clean(dir), paths.ConfigDir+"-")
	if !ok || strings.Contains(n, "/") {
		return ""
	}
	return n
}

// Find returns the instance that name means: "" or "-" the primary one, else its multi_instance_name, the instance part
// of its unit, or one of the other names in Aliases. Debian 13 also runs /etc/postfix-NAME without an entry in
// multi_instance_directories, so that is looked for last.
func Find(r Reader, name string) (Instance, error) {
	if name == "" || name == Primary {
		return load(r, paths.ConfigDir, true, false)
	}
	insts, errs := List(r)
	for _, inst := range insts {
		if inst.Name == name {
			return inst, nil
		}
	}
	for _, inst := range insts {
		for _, unit := range append(inst.Aliases(), inst.Unit()) {
			if unit == unitName(name) {
				return inst, nil
			}
		}
	}
	for _, plain := range []string{name, unescape(name)} {
		inst, err := load(r, paths.ConfigDir+"-"+plain, false, true)
		if err == nil && byDirectory(inst.ConfigDir) == plain {
			return inst, nil
		}
	}
	return Instance{}, fmt.Errorf("cannot find instance %q (\"postfix-maint instance list\" shows all): %w", name, errors.Join(append(errs, fs.ErrNotExist)...))
}

// ByConfigDir returns the instance whose configuration is in dir, the way postfix(1) names it to its helpers (MAIL_CONFIG).
// It needs no entry in multi_instance_directories and, without a name, is called by its directory.
func ByConfigDir(r Reader, dir string) (Instance, error) {
	if !path.IsAbs(dir) {
		return Instance{}, fmt.Errorf("cannot use %q as instance: not an absolute path", dir)
	}
	if path.Clean(dir) == paths.ConfigDir {
		return Find(r, Primary)
	}
	inst, err := load(r, dir, false, true)
	if err != nil && inst.ConfigDir != "" { // all is known but a usable name
		inst.Name, err = strings.ReplaceAll(strings.TrimPrefix(inst.ConfigDir, "/"), "/", "_"), nil
	}
	return inst, err
}

// Cause gives of what Postfix's programs said the lines that say why they gave up, each once: "postfix: fatal: ...", and those of its
// shell scripts. Their words are never translated. All of it where there is none.
func Cause(said string) string {
	var why []string
	for line := range strings.Lines(said) {
		line = strings.TrimSpace(line)
		if (strings.Contains(line, ": fatal: ") || strings.Contains(line, ": panic: ")) && !slices.Contains(why, line) {
			why = append(why, line)
		}
	}
	if len(why) == 0 {
		return strings.TrimSpace(said)
	}
	return strings.Join(why, "\n")
}
