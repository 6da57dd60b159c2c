package adopt

import (
	"crypto/md5"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"postfix-maint/internal/sysroot"
)

// tree is an unpacked package, control files in /DEBIAN. All in it belongs to whoever unpacked it.
type tree struct {
	root     *sysroot.Root
	uid, gid int
}

// lay makes the unpacked stock package the adopted one, of that version, and says what it did.
func (t *tree) lay(s *stock, lay *layer, version string) ([]string, error) {
	var changes []string
	before, err := t.size()
	if err != nil {
		return nil, err
	}
	for _, i := range lay.items {
		line, err := t.place(s, lay, i, version)
		if err != nil {
			return nil, err
		}
		changes = append(changes, line)
	}
	after, err := t.size()
	if err != nil {
		return nil, err
	}
	sums, err := t.md5sums(s.conffiles)
	if err != nil {
		return nil, err
	}
	// Debian's figure is taken as it is: how it was counted (with control files, before compression of manual pages)
	// cannot be told from the package.
	var size int64
	if _, err := fmt.Sscan(s.control.get("Installed-Size"), &size); err != nil {
		return nil, fmt.Errorf("cannot read Installed-Size: %w", err)
	}
	if err := t.write("DEBIAN/md5sums", []byte(sums), 0o644); err != nil {
		return nil, err
	}
	if err := t.write("DEBIAN/control", []byte(s.control.adopted(lay, version, size+after-before).String()), 0o644); err != nil {
		return nil, err
	}
	return changes, t.controlModes(s)
}

// place does one item of the table, for a package of that version.
func (t *tree) place(s *stock, lay *layer, i item, version string) (string, error) {
	_, had := s.entries[i.to]
	switch i.do {
	case drop:
		_, err := t.root.Remove("/" + i.to)
		return "left out " + i.to, err
	case link:
		if err := t.parents(i.to); err != nil {
			return "", err
		}
		_, err := t.root.Symlink(linkText(i.to, i.from), "/"+i.to)
		return verb(had) + i.to, err
	case extend, insert, enter:
		return t.change(s, lay, i, version)
	case pack:
		data, err := packed(lay.data[i.from])
		if err != nil {
			return "", err
		}
		return verb(had) + i.to, t.write(i.to, data, i.mode)
	}
	return verb(had) + i.to, t.write(i.to, lay.data[i.from], i.mode)
}

// change does an item that keeps Debian's text.
func (t *tree) change(s *stock, lay *layer, i item, version string) (string, error) {
	data, err := t.root.ReadFile("/" + i.to)
	if err != nil {
		return "", fmt.Errorf("cannot extend %q: %w", i.to, err)
	}
	line := "extended "
	switch i.do {
	case extend:
		data, err = joined(i.to, data, lay.data[i.from])
	case enter:
		data, err = lay.withEntry(s, version, data)
	default:
		var script string
		script, line = withCall(string(data), string(lay.data[i.from]))
		data = []byte(script)
	}
	if err != nil {
		return "", err
	}
	return line + i.to, t.write(i.to, data, i.mode)
}

// postInstallEnd is where post-install has made directories and set modes, and goes on to old configuration files.
const postInstallEnd = "}\n\n# Upgrade existing Postfix configuration files if necessary.\n"

// withCall puts the line by which Postfix's own post-install fills the chroot where Debian has it since 3.9.1-4. "postfix start" runs
// that script first of all, so the chroot is filled in a container and on a host without systemd as well (failure C15). A script that
// has the call, or is otherwise than we know it, stays as it is: service managers and hooks fill the chroot all the same.
func withCall(script, line string) (result, verb string) {
	before, after, found := strings.Cut(script, postInstallEnd)
	switch {
	case strings.Contains(script, "/configure-instance.sh"):
		return script, "kept "
	case !found:
		return script, "kept (there is no place in it for ours) "
	}
	return before + line + postInstallEnd + after, "extended "
}

func verb(had bool) string {
	if had {
		return "replaced "
	}
	return "added "
}

// joined appends ours to theirs. debconf separates templates by an empty line and takes the first of two with one name,
// so a name that Debian has as well is an error of the layer; and so are fields that po2debconf(1) has not merged yet, which
// debconf does not know.
func joined(name string, theirs, ours []byte) ([]byte, error) {
	text := strings.TrimRight(string(theirs), "\n") + "\n"
	if name == "DEBIAN/templates" {
		for _, line := range strings.Split(string(ours), "\n") {
			if strings.HasPrefix(line, "Template: ") && strings.Contains("\n"+text, "\n"+line+"\n") {
				return nil, fmt.Errorf("cannot extend the templates: Debian has %q too", line)
			}
			if strings.HasPrefix(line, "_") {
				return nil, fmt.Errorf("cannot extend the templates: the layer's are without translations (%q): take the layer of a built package", line)
			}
		}
		text += "\n"
	}
	return []byte(text + strings.TrimLeft(string(ours), "\n")), nil
}

// linkText is what a link in a package says: relative within a top-level directory, absolute out of it (Debian Policy 10.5).
func linkText(from, target string) string {
	top, _, _ := strings.Cut(from, "/")
	if !strings.HasPrefix(target, "/"+top+"/") {
		return target
	}
	rel, err := filepath.Rel(path.Dir("/"+from), target)
	if err != nil {
		return target
	}
	return rel
}

// write makes a file of the tree, whatever was there, with exactly that mode.
func (t *tree) write(name string, data []byte, mode fs.FileMode) error {
	if err := t.parents(name); err != nil {
		return err
	}
	_, err := t.root.WriteFile("/"+name, data, sysroot.Attr{Mode: mode, UID: t.uid, GID: t.gid, Force: true})
	return err
}

// parents makes the directories that lead to name, each 0755 whatever the umask.
func (t *tree) parents(name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	if err := t.parents(dir); err != nil {
		return err
	}
	_, err := t.root.MkdirAll("/"+dir, sysroot.Attr{Mode: 0o755, UID: t.uid, GID: t.gid})
	return err
}

// controlModes gives the control files the modes of the package: dpkg-deb extracts them under the umask.
func (t *tree) controlModes(s *stock) error {
	if _, err := t.root.MkdirAll("/DEBIAN", sysroot.Attr{Mode: 0o755, UID: t.uid, GID: t.gid, Force: true}); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.entries)) {
		if path.Dir(name) != "DEBIAN" {
			continue
		}
		data, err := t.root.ReadFile("/" + name)
		if err != nil {
			return err
		}
		if err := t.write(name, data, s.entries[name].mode.Perm()); err != nil {
			return err
		}
	}
	return nil
}

// walk calls fn for all that the package installs, in the order of the paths.
func (t *tree) walk(fn func(name string, fi fs.FileInfo) error) error {
	var visit func(dir string) error
	visit = func(dir string) error {
		list, err := t.root.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range list {
			name := path.Join(dir, e.Name())
			if name == "/DEBIAN" {
				continue
			}
			fi, err := e.Info()
			if err != nil {
				return err
			}
			if err := fn(strings.TrimPrefix(name, "/"), fi); err != nil {
				return err
			}
			if fi.IsDir() {
				if err := visit(name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return visit("/")
}

// size is counted as deb-substvars(5) says for Installed-Size: files and links by their KiB, everything else as one.
func (t *tree) size() (int64, error) {
	var total int64
	err := t.walk(func(_ string, fi fs.FileInfo) error {
		if fi.Mode().IsRegular() || fi.Mode()&fs.ModeSymlink != 0 {
			total += (fi.Size() + 1023) / 1024
		} else {
			total++
		}
		return nil
	})
	return total, err
}

// md5sums is DEBIAN/md5sums: every plain file but the conffiles, sorted by path as dh_md5sums(1) does.
func (t *tree) md5sums(conffiles map[string]bool) (string, error) {
	lines := map[string]string{}
	err := t.walk(func(name string, fi fs.FileInfo) error {
		if !fi.Mode().IsRegular() || conffiles[name] {
			return nil
		}
		data, err := t.root.ReadFile("/" + name)
		if err != nil {
			return err
		}
		lines[name] = fmt.Sprintf("%x  %s\n", md5.Sum(data), name)
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("cannot sum up the package: %w", err)
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(lines)) {
		b.WriteString(lines[name])
	}
	return b.String(), nil
}
