package multi

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// Request is what "instance create" is asked for.
type Request struct {
	Name      string   // with or without the prefix "postfix-", which postmulti(1) insists on
	ConfigDir string   // "" for /etc/postfix-NAME
	QueueDir  string   // "" for the name beside the primary one's
	DataDir   string   // "" likewise
	Group     string   // multi_instance_group
	From      string   // instance whose configuration is taken, "" for Postfix's prototypes
	Set       []string // name=value for main.cf
	Disabled  bool     // neither enabled nor started
}

// Where a new instance's configuration comes from.
type origin int

const (
	prototype origin = iota // Postfix's prototypes
	copied                  // another instance's
	found                   // it is in the directory already
)

// draft is the new instance as it will be.
type draft struct {
	*config
	origin  origin
	source  *config    // of a copy
	files   []copyFile // main.cf and master.cf last; none where they are there
	naming  bool       // it gets its name from us
	changes []maincf.Edit
	shown   []string // the same, for people
}

// namePrefix is what postmulti(1) insists on for the names it gives.
const namePrefix = "postfix-"

// safe are the bytes that postmulti.c allows in names, and that its script can handle in paths.
func safe(s, more string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!@%-_=+:."+more, c))
	})
}

// fullName checks a name and puts the prefix before it.
func fullName(name string) (string, error) {
	full := name
	if !strings.HasPrefix(name, namePrefix) {
		full = namePrefix + name
	}
	switch {
	case name == "" || name == instance.Primary:
		return "", fmt.Errorf("cannot make an instance with the name %q: it is the primary one's", name)
	case !safe(full, ""):
		return "", fmt.Errorf("cannot make an instance with the name %q: letters, digits and !@%%-_=+:. make a name", name)
	case len((instance.Instance{Name: full}).Unit()) > 255: // UNIT_NAME_MAX of systemd
		return "", fmt.Errorf("cannot make an instance with the name %q: it is too long for a unit", name)
	}
	return full, nil
}

// reserved are the parameters that have an option of their own, or are not the instance's to set.
var reserved = map[string]string{
	"config_directory": "use --config-dir", "queue_directory": "use --queue-dir", "data_directory": "use --data-dir",
	"multi_instance_name": "it is the instance's name", "multi_instance_group": "use --group",
	"multi_instance_enable": "use --disabled", "multi_instance_directories": "only the primary instance has it",
	"multi_instance_wrapper": "only the primary instance has it", "alternate_config_directories": "only the primary instance has it",
}

// edits reads name=value settings.
func edits(set []string) ([]maincf.Edit, []string, error) {
	var all []maincf.Edit
	var shown []string
	probe, _ := maincf.Parse(nil)
	for _, text := range set {
		name, value, ok := strings.Cut(text, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if why := reserved[name]; why != "" {
			return nil, nil, fmt.Errorf("cannot set %s: %s", name, why)
		}
		if !ok {
			return nil, nil, fmt.Errorf("cannot set %q: it is not name=value", text)
		}
		edit := maincf.Set(name, value)
		if _, err := probe.Apply(edit); err != nil {
			return nil, nil, err
		}
		all, shown = append(all, edit), append(shown, strings.TrimSpace(name+" = "+value))
	}
	return all, shown, nil
}

// CheckRequest refuses what can be told to be wrong without a look at the host.
func CheckRequest(req Request) error {
	if _, err := fullName(req.Name); err != nil {
		return err
	}
	if _, _, err := edits(req.Set); err != nil {
		return err
	}
	for _, dir := range []string{req.ConfigDir, req.QueueDir, req.DataDir} {
		if dir != "" && !path.IsAbs(dir) {
			return fmt.Errorf("%q is no absolute path", dir)
		}
	}
	return checkGroup(req.Group)
}

func checkGroup(group string) error {
	if group != "" && !safe(group, "/") {
		return fmt.Errorf("cannot use %q as group: letters, digits and !@%%-_=+:./ make a name", group)
	}
	return nil
}

// draft works out the new instance. It reads only.
func (h *Host) draft(s *site, req Request) (*draft, error) {
	d := &draft{config: &config{}, naming: true}
	var err error
	if d.Name, err = fullName(req.Name); err != nil {
		return nil, err
	}
	if d.changes, d.shown, err = edits(req.Set); err != nil {
		return nil, err
	}
	if err := checkGroup(req.Group); err != nil {
		return nil, err
	}
	if err := d.places(s, req); err != nil {
		return nil, err
	}
	if err := h.findOrigin(s, d, req); err != nil {
		return nil, err
	}
	for _, dir := range []string{d.ConfigDir, d.QueueDir, d.DataDir} {
		if err := h.mayHold(dir); err != nil {
			return nil, err
		}
	}
	for _, c := range s.insts {
		if c.Name == d.Name {
			return nil, fmt.Errorf("there is an instance %q already, in %q", c.Name, c.ConfigDir)
		}
	}
	if err := s.own(d.Instance); err != nil {
		return nil, err
	}
	if err := chroot.CheckQueue(chroot.Deps{Root: h.Root, Instances: s.listed}, d.Instance); err != nil {
		return nil, err
	}
	if err := h.rootsAlone(d); err != nil {
		return nil, err
	}
	d.Enabled = !req.Disabled
	return d, nil
}

// places chooses the directories, as postmulti(1) does: beside the primary instance's own.
func (d *draft) places(s *site, req Request) error {
	for _, p := range []struct {
		flag, given, beside string
		to                  *string
	}{
		{"--config-dir", req.ConfigDir, "config_directory", &d.ConfigDir},
		{"--queue-dir", req.QueueDir, "queue_directory", &d.QueueDir},
		{"--data-dir", req.DataDir, "data_directory", &d.DataDir},
	} {
		*p.to = p.given
		if p.given == "" {
			own, err := instance.Value(s.primary, paths.ConfigDir, p.beside)
			if err != nil {
				return err
			}
			*p.to = path.Join(path.Dir(path.Clean(own)), d.Name)
		}
		*p.to = path.Clean(*p.to)
		if !path.IsAbs(*p.to) || *p.to == "/" || !safe(*p.to, "/") {
			return fmt.Errorf("cannot use %q for %s: an absolute path of letters, digits and !@%%-_=+:. is needed", *p.to, p.flag)
		}
	}
	if d.ConfigDir == d.QueueDir || d.QueueDir == d.DataDir || d.ConfigDir == d.DataDir {
		return errors.New("the directories for configuration, queue and data must be three")
	}
	return nil
}

// mayHold makes sure that a directory is one, or can be made.
func (h *Host) mayHold(dir string) error {
	for at := dir; ; at = path.Dir(at) {
		fi, err := h.Root.Stat(at)
		switch {
		case err == nil && fi.IsDir():
			return nil
		case err == nil:
			return fmt.Errorf("cannot use %q: %q is no directory", dir, at)
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
			return fmt.Errorf("cannot use %q: %w", dir, err)
		}
		if there, err := h.Root.Lstat(at); err == nil && there.Mode()&fs.ModeSymlink != 0 {
			return fmt.Errorf("cannot use %q: the link %q leads nowhere", dir, at)
		}
		if at == "/" {
			return nil
		}
	}
}

// rootsAlone refuses places where another account decides what a name means: root, and postmulti(1) as root, writes there and gives owners
// and modes by name. The data directory and those of the queue are Postfix's own account's; the way to them must not be.
func (h *Host) rootsAlone(d *draft) error {
	names := []string{mainOf(d.ConfigDir), masterOf(d.ConfigDir), d.DataDir, path.Join(d.QueueDir, queueDirs[0])}
	for _, f := range d.files {
		names = append(names, f.to)
	}
	for _, name := range names {
		if err := h.Root.TrustedPlace(name); err != nil {
			return err
		}
	}
	for _, sub := range queueDirs {
		name := path.Join(d.QueueDir, sub)
		fi, err := h.Root.Lstat(name)
		switch {
		case err == nil && !fi.IsDir():
			return fmt.Errorf("cannot use %q: %q is no directory, a link to one neither (move it away)", d.QueueDir, name)
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("cannot use %q: %w", d.QueueDir, err)
		}
	}
	return nil
}

// findOrigin decides where the configuration comes from and what it will be.
func (h *Host) findOrigin(s *site, d *draft, req Request) error {
	if s.lists(d.ConfigDir) {
		return fmt.Errorf("%q is an instance's directory already", d.ConfigDir)
	}
	var there [2]bool
	for i, name := range []string{mainOf(d.ConfigDir), masterOf(d.ConfigDir)} {
		var err error
		if there[i], err = h.Root.Exists(name); err != nil {
			return err
		}
	}
	switch {
	case there[0] != there[1]:
		return fmt.Errorf("there is half a configuration in %q: complete it or move it away", d.ConfigDir)
	case there[0] && req.From != "":
		return fmt.Errorf("there is a configuration in %q: it is used without --from, or moved away first", d.ConfigDir)
	case there[0]:
		d.origin = found
		return h.draftFound(d, req)
	case req.From != "":
		d.origin = copied
		return h.draftCopy(s, d, req.From)
	}
	return h.draftPrototype(s, d, req)
}

// draftFound takes over a configuration that is there. Its own name, queue and data directory hold.
func (h *Host) draftFound(d *draft, req Request) error {
	inst, err := instance.ByConfigDir(h.Root, d.ConfigDir)
	if err != nil {
		return err
	}
	if req.QueueDir != "" && d.QueueDir != inst.QueueDir || req.DataDir != "" && d.DataDir != inst.DataDir {
		return fmt.Errorf("the configuration in %q has its own queue and data directory, %q and %q", d.ConfigDir, inst.QueueDir, inst.DataDir)
	}
	c, err := h.readConfig(inst, false)
	if err != nil {
		return err
	}
	if own := c.value("multi_instance_name"); own != "" {
		if own != d.Name && own != req.Name {
			return fmt.Errorf("the instance in %q is called %q: create it by that name", d.ConfigDir, own)
		}
		d.Name, d.naming = own, false
	}
	c.Name = d.Name
	d.config = c
	_, err = c.main.Apply(d.changes...)
	return err
}
