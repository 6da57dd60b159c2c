package adopt

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"postfix-maint/internal/version"
)

// entry is one member of the stock package, as its tar archives describe it.
type entry struct {
	kind byte // tar's type flag
	mode fs.FileMode
	size int64
}

// stock is Debian's package as it was read: what it says of itself, and what it holds.
type stock struct {
	control   control
	entries   map[string]entry // by path, "etc/init.d/postfix", control files as "DEBIAN/postinst"
	conffiles map[string]bool  // by path without the leading slash
	newest    int64            // time stamp of the newest member
	strange   []string         // members that no package of Debian's should hold
}

func (s *stock) version() string { return s.control.get("Version") }

// readStock reads a package without unpacking it.
func readStock(ctx context.Context, r Runner, deb string) (*stock, error) {
	s := &stock{entries: map[string]entry{}, conffiles: map[string]bool{}}
	texts := map[string]string{}
	for _, part := range []struct{ option, prefix string }{{"--ctrl-tarfile", "DEBIAN/"}, {"--fsys-tarfile", ""}} {
		archive, err := r.Output(ctx, "dpkg-deb", part.option, deb)
		if err != nil {
			return nil, fmt.Errorf("cannot read package %q: %w", deb, err)
		}
		if err := s.add(archive, part.prefix, texts); err != nil {
			return nil, fmt.Errorf("cannot read package %q: %w", deb, err)
		}
	}
	var err error
	if s.control, err = parseControl(texts["DEBIAN/control"]); err != nil {
		return nil, fmt.Errorf("cannot read package %q: %w", deb, err)
	}
	for _, line := range strings.Fields(texts["DEBIAN/conffiles"]) { // a line may start with "remove-on-upgrade "
		if strings.HasPrefix(line, "/") {
			s.conffiles[line[1:]] = true
		}
	}
	return s, nil
}

// plainKinds are the tar types that unpack and pack again unchanged without root. smtp and lmtp are one hard-linked file.
const plainKinds = string(tar.TypeReg) + string(tar.TypeDir) + string(tar.TypeSymlink) + string(tar.TypeLink)

// add takes in the members of one tar archive; control files are kept as text.
func (s *stock) add(archive []byte, prefix string, texts map[string]string) error {
	for tr := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := prefix + strings.TrimPrefix(path.Clean("/"+h.Name), "/")
		if name == prefix { // "./", the tree itself
			continue
		}
		s.newest = max(s.newest, h.ModTime.Unix())
		s.entries[name] = entry{kind: h.Typeflag, mode: h.FileInfo().Mode(), size: h.Size}
		switch {
		case h.Uid != 0 || h.Gid != 0:
			s.strange = append(s.strange, fmt.Sprintf("%q belongs to %d:%d, not to root", name, h.Uid, h.Gid))
		case !strings.ContainsRune(plainKinds, rune(h.Typeflag)):
			s.strange = append(s.strange, fmt.Sprintf("%q is neither file nor directory nor link", name))
		}
		if prefix != "" && h.Typeflag == tar.TypeReg {
			text, err := io.ReadAll(tr)
			if err != nil {
				return err
			}
			texts[name] = string(text)
		}
	}
}

// debianMaintainer matches the people and teams of Debian who maintain Postfix there.
var debianMaintainer = regexp.MustCompile(`@([a-z]+\.)?debian\.org>$`)

// examine tells which release the package is of and what about it is not as the tables say.
func examine(s *stock) (release, []string) {
	c, v := s.control, s.version()
	var reasons []string
	if name := c.get("Package"); name != "postfix" {
		return release{}, []string{fmt.Sprintf("it is the package %q, not postfix", name)}
	}
	if _, adopted := version.Stock(v); adopted {
		return release{}, []string{fmt.Sprintf("version %q is adopted already", v)}
	}
	if source, _, _ := strings.Cut(c.get("Source"), " "); source != "" && source != "postfix" {
		reasons = append(reasons, fmt.Sprintf("it is built from the source %q, not postfix", source))
	}
	if m := c.get("Maintainer"); !debianMaintainer.MatchString(m) {
		reasons = append(reasons, fmt.Sprintf("its maintainer %q is not Debian", m))
	}
	rel, ok := releaseOf(v)
	if !ok {
		rel = nearest(v)
	}
	var differs []string
	for _, found := range [][]string{s.strange, s.missing(rel), s.unknown(rel), s.needs(rel)} {
		differs = append(differs, found...)
	}
	if !ok {
		than := "differs from it"
		if len(differs) == 0 {
			than = "does not differ from it in what is looked at here"
		}
		reasons = append(reasons, fmt.Sprintf("version %q is of no known release: %s; %s is the nearest, and this package %s", v, knownReleases(), rel.name, than))
	}
	return rel, append(reasons, differs...)
}

// needs names the packages that our scripts need and Debian's does not depend on.
func (s *stock) needs(rel release) []string {
	depends := regexp.MustCompile(`[a-z0-9][a-z0-9+.-]+`).FindAllString(s.control.get("Pre-Depends")+" "+s.control.get("Depends"), -1)
	var reasons []string
	for _, p := range strings.Fields(rel.depends) {
		if !slices.Contains(depends, p) {
			reasons = append(reasons, fmt.Sprintf("it does not depend on %q, which accounts are made with", p))
		}
	}
	return reasons
}

// missing names what the release's package should have and this one has not, or has otherwise.
func (s *stock) missing(rel release) []string {
	var reasons []string
	for _, name := range strings.Fields(rel.control) {
		if _, ok := s.entries["DEBIAN/"+name]; !ok {
			reasons = append(reasons, fmt.Sprintf("it has no control file %q", name))
		}
	}
	for _, i := range itemsOf(rel) {
		e, ok := s.entries[i.to]
		switch {
		case strings.HasPrefix(i.to, "DEBIAN/") && !ok: // said above where it matters
		case i.in(rel) && !ok:
			reasons = append(reasons, fmt.Sprintf("it has no %q to replace", i.to))
		case ok && !i.in(rel):
			reasons = append(reasons, fmt.Sprintf("it has a %q of its own, which the package of %s has not", i.to, rel.name))
		case ok && e.kind != tar.TypeReg:
			reasons = append(reasons, fmt.Sprintf("its %q is no plain file", i.to))
		}
	}
	return reasons
}

// unknown names the parts of a layer that no table speaks of.
func (s *stock) unknown(rel release) []string {
	known := map[string]bool{}
	for _, i := range itemsOf(rel) {
		known[i.to] = true
	}
	through := passed(rel)
	var reasons []string
	for _, name := range slices.Sorted(maps.Keys(s.entries)) {
		if s.entries[name].kind != tar.TypeDir && !known[name] && !among(name, through) {
			reasons = append(reasons, fmt.Sprintf("it has %q, which this version does not know", name))
		}
	}
	for _, name := range strings.Fields(rel.brings) {
		if _, ok := s.entries[name]; !ok {
			reasons = append(reasons, fmt.Sprintf("it has no %q", name))
		}
	}
	return reasons
}

// among tells whether a path is one of the places, see passed.
func among(name string, places []string) bool {
	return slices.ContainsFunc(places, func(p string) bool {
		if strings.HasSuffix(p, "/") {
			return strings.HasPrefix(name, p)
		}
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}
