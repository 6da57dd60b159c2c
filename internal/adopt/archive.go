package adopt

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// archive is the folder that apt takes adopted packages from. A change makes a new folder; the link paths.Archive leads to it once it
// is whole, so apt never sees an index that does not fit.
type archive struct {
	Layer   string              `json:"layer"`             // version of the layer that all of it was made with
	Adopted map[string]built    `json:"adopted"`           // by Debian's version
	Refused map[string][]string `json:"refused,omitempty"` // Debian's versions that cannot be adopted, and why
	name    string              // of the folder; "" before the first
	release []byte              // its Release file
}

// built is one adopted package.
type built struct {
	Version string `json:"version"`
	File    string `json:"file"`
	Stanza  string `json:"stanza"` // of the Packages file
	data    []byte // only of a package that was just made
}

// own is the attribute of a file of ours.
func own(mode fs.FileMode) sysroot.Attr {
	return sysroot.Attr{Mode: mode, UID: os.Geteuid(), GID: os.Getegid()}
}

const (
	archivePrefix   = "archive-"
	archiveManifest = "/adopted.json"
)

// readArchive reads the folder in force. None at all is an empty one, and so is one that is damaged or was made with another layer:
// it has to be made again.
func readArchive(root *sysroot.Root, layer string) (archive, error) {
	fresh := archive{Layer: layer, Adopted: map[string]built{}, Refused: map[string][]string{}}
	release, err := root.ReadFile(paths.Archive + "/Release")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fresh, fmt.Errorf("cannot read the local archive: %w", err)
	}
	fresh.release = release
	data, err := root.ReadFile(paths.Archive + archiveManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return fresh, nil
	} else if err != nil {
		return fresh, fmt.Errorf("cannot read the local archive: %w", err)
	}
	a := archive{Refused: map[string][]string{}}
	if err := json.Unmarshal(data, &a); err != nil || a.Layer != layer || a.Adopted == nil {
		return fresh, nil
	}
	for _, b := range a.Adopted {
		if ok, err := root.Exists(path.Join(paths.Archive, b.File)); err != nil || !ok {
			return fresh, err
		}
	}
	a.release = release
	a.name, err = root.Readlink(paths.Archive)
	return a, err
}

// keep drops all but these of Debian's versions, and refusals of versions that are no longer offered.
func (a *archive) keep(versions []string) {
	gone := func(version string) bool { return !slices.Contains(versions, version) }
	maps.DeleteFunc(a.Adopted, func(v string, _ built) bool { return gone(v) })
	maps.DeleteFunc(a.Refused, func(v string, _ []string) bool { return gone(v) })
}

// packages is the Packages file.
func (a *archive) packages() string {
	var all []string
	for _, v := range slices.Sorted(maps.Keys(a.Adopted)) {
		all = append(all, a.Adopted[v].Stanza)
	}
	return strings.Join(all, "\n")
}

// write brings the archive to disk and makes it the one in force; one that is so already is left alone. The folder is named by what
// is in it, so a run that was interrupted is taken up where it ended.
func (a *archive) write(root *sysroot.Root) (changed bool, err error) {
	manifest, err := json.MarshalIndent(a, "", "\t")
	if err != nil {
		return false, fmt.Errorf("cannot write the local archive: %w", err)
	}
	index := a.packages()
	name := fmt.Sprintf("%s%x", archivePrefix, sha256.Sum256(append(manifest, index...)))[:len(archivePrefix)+12]
	if name == a.name {
		return false, nil
	}
	dir := path.Join(paths.StateDir, name)
	if _, err := root.MkdirAll(dir, own(0)); err != nil {
		return false, err
	}
	for _, b := range a.Adopted {
		if b.data == nil {
			if b.data, err = root.ReadFile(path.Join(paths.StateDir, a.name, b.File)); err != nil {
				return false, fmt.Errorf("cannot keep an adopted package: %w", err)
			}
		}
		if _, err := root.WriteFile(path.Join(dir, b.File), b.data, own(0)); err != nil {
			return false, err
		}
	}
	date := time.Now()
	if least := dateOf(string(a.release)).Add(time.Second); date.Before(least) {
		date = least
	}
	a.release = []byte(releaseText(index, date))
	for file, data := range map[string][]byte{"Packages": []byte(index), "Release": a.release, archiveManifest: append(manifest, '\n')} {
		if _, err := root.WriteFile(path.Join(dir, file), data, own(0)); err != nil {
			return false, err
		}
	}
	if _, err := root.Symlink(name, paths.Archive); err != nil {
		return false, err
	}
	a.name = name
	return true, sweep(root, name)
}

// sweep removes what is not in force of the archive and of work on it: folders that were replaced, and what a run left that was
// interrupted.
func sweep(root *sysroot.Root, keep string) error {
	all, err := root.ReadDir(paths.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("cannot clear the local archive: %w", err)
	}
	for _, e := range all {
		name := e.Name()
		target, temporary := sysroot.Temporary(name)
		if !temporary {
			target = name
		}
		if name == keep || name == path.Base(paths.Archive) || !strings.HasPrefix(target, path.Base(paths.Archive)) && !strings.HasPrefix(target, path.Base(paths.AdoptWork)) {
			continue
		}
		if err := removeAll(root, path.Join(paths.StateDir, name)); err != nil {
			return err
		}
	}
	return nil
}

// removeAll removes a tree of ours.
func removeAll(root *sysroot.Root, p string) error {
	real, err := root.Path(p)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(real); err != nil {
		return fmt.Errorf("cannot remove %q: %w", p, err)
	}
	return nil
}
