package adopt

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Lay puts the layer into a package that is being built from source: dir is the tree of debian/rules, after dh_installdeb(1), which would put
// scripts of its own over the layer's. What is built then has the same files as an adopted package; its control file, sums and
// changelog are the source's. The tree's changelog tells the release; one that is not known is refused.
func Lay(dir, layerDir string) (Result, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return Result{}, fmt.Errorf("cannot find the tree %q: %w", dir, err)
	}
	root, err := sysroot.Open(abs)
	if err != nil {
		return Result{}, fmt.Errorf("cannot use the tree %q: %w", dir, err)
	}
	v, err := builtVersion(root)
	if err != nil {
		return Result{}, fmt.Errorf("cannot use the tree %q: %w", dir, err)
	}
	rel, ok := releaseOf(v)
	if !ok {
		return Result{}, fmt.Errorf("cannot use the tree %q: version %q is of no known release: %s", dir, v, knownReleases())
	}
	if layerDir == "" {
		layerDir = DefaultLayer
	}
	lay, err := readLayer(layerDir, rel)
	if err != nil {
		return Result{}, err
	}
	t := &tree{root: root, uid: os.Getuid(), gid: os.Getgid()}
	res := Result{Path: abs, Release: rel.name, Stock: v, Version: v, Written: true}
	s := &stock{entries: map[string]entry{}}
	for _, i := range lay.items {
		if i.do == enter {
			continue
		}
		if fi, err := root.Lstat("/" + i.to); err == nil {
			s.entries[i.to] = entry{mode: fi.Mode()}
		}
		line, err := t.place(s, lay, i, v)
		if err != nil {
			return Result{}, err
		}
		res.Changes = append(res.Changes, line)
	}
	return res, nil
}

// builtVersion is the version of the newest entry of the tree's changelog.
func builtVersion(root *sysroot.Root) (string, error) {
	data, err := root.ReadFile(paths.PackageChangelog)
	if err != nil {
		return "", err
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return "", fmt.Errorf("%s: %w", paths.PackageChangelog, err)
	}
	head := make([]byte, 256)
	n, err := r.Read(head)
	m := stockHead.FindSubmatch(head[:n])
	if m == nil {
		return "", fmt.Errorf("%s is no changelog of postfix (%v)", paths.PackageChangelog, err)
	}
	return string(m[1]), nil
}
