package systemd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// Helper keeps deb-systemd-helper's record: which units a package has enabled once, so that one which the administrator
// disabled stays disabled through upgrades.
type Helper struct {
	Run  Runner
	Root string // the system tree, "" for the running one; the Runner must then set DPKG_ROOT to the same
}

// errOdd says that a unit file has settings (aliases, quotes, other units to enable) which only deb-systemd-helper itself
// should interpret.
var errOdd = errors.New("install section is not plain")

// Ensure does what debhelper's part of a postinst does for a unit: undo a mask of an earlier removal, then enable the unit on
// its first installation, or only bring the record up to date where the administrator has disabled it. Where all of that
// would change nothing no program is run. Otherwise deb-systemd-helper does it, which works for a maintainer script only.
func (h Helper) Ensure(ctx context.Context, unit string) (changed bool, err error) {
	due, err := h.Due(unit)
	if err != nil || !due {
		return false, err
	}
	masked, err := h.ourMask(unit)
	if err == nil && masked {
		_, err = h.Run.Output(ctx, dshProgram, "unmask", unit)
	}
	if err != nil {
		return false, fmt.Errorf("cannot undo the mask of unit %q: %w", unit, err)
	}
	was, err := h.wasEnabled(unit)
	if err != nil {
		return false, err
	}
	action := "update-state"
	if was {
		action = "enable"
	}
	if _, err := h.Run.Output(ctx, dshProgram, action, unit); err != nil {
		return true, fmt.Errorf("cannot record unit %q: %w", unit, err)
	}
	return true, nil
}

// Due tells whether Ensure has anything to do. It only reads.
func (h Helper) Due(unit string) (bool, error) {
	if masked, err := h.ourMask(unit); err != nil || masked {
		return masked, err
	}
	record, err := regular(h.real(recordOf(unit)))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // never installed: "systemctl preset" decides
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the record of unit %q: %w", unit, err)
	}
	links, err := h.links(unit)
	if errors.Is(err, errOdd) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	was, err := h.wasEnabled(unit)
	if err != nil {
		return false, err
	}
	if !was { // update-state writes exactly these lines
		return string(record) != joinLines(links), nil
	}
	have := map[string]bool{}
	for line := range bytes.Lines(record) {
		have[strings.TrimSuffix(string(line), "\n")] = true
	}
	for _, link := range links { // enable adds the line and the mark where they are missing
		if !have[link] {
			return true, nil
		}
		mark := path.Join(dshEnabled, strings.TrimPrefix(link, adminUnits))
		if _, err := os.Stat(h.real(mark)); errors.Is(err, fs.ErrNotExist) {
			return true, nil
		} else if err != nil {
			return false, fmt.Errorf("cannot read the record of unit %q: %w", unit, err)
		}
	}
	return false, nil
}

// ourMask tells whether the unit is masked by deb-systemd-helper, at a removal of the package. An administrator's mask has
// no entry in its list.
func (h Helper) ourMask(unit string) (bool, error) {
	target, err := os.Readlink(h.real(path.Join(adminUnits, unit)))
	if err != nil || target != devNull {
		return false, nil
	}
	_, err = os.Stat(h.real(path.Join(dshMasked, unit)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("cannot tell who masked unit %q: %w", unit, err)
	}
	return err == nil, nil
}

// wasEnabled tells whether every link on record is there; without a record the answer is yes, so that a first installation
// enables the unit.
func (h Helper) wasEnabled(unit string) (bool, error) {
	record, err := regular(h.real(recordOf(unit)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("cannot read the record of unit %q: %w", unit, err)
	}
	for line := range bytes.Lines(record) {
		fi, err := os.Lstat(h.real(strings.TrimSuffix(string(line), "\n")))
		if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
			return false, nil
		}
	}
	return true, nil
}

// links are the paths that enabling the unit makes, in deb-systemd-helper's order.
func (h Helper) links(unit string) ([]string, error) {
	data, err := h.unitFile(unit)
	if err != nil {
		return nil, err
	}
	// not variables of the package: the lean programs would compile them at each start
	wantedBy := regexp.MustCompile(`^\s*(WantedBy|RequiredBy)=([^"']+)$`)
	install := regexp.MustCompile(`(?i)^\s*(WantedBy|RequiredBy|Also|Alias|DefaultInstance)\s*=`)
	var links []string
	for _, line := range strings.Split(string(data), "\n") {
		if !install.MatchString(line) {
			continue
		}
		m := wantedBy.FindStringSubmatch(line)
		if m == nil {
			return nil, errOdd
		}
		suffix := ".requires"
		if m[1] == "WantedBy" {
			suffix = ".wants"
		}
		for _, target := range strings.Fields(m[2]) {
			links = append(links, path.Join(adminUnits, target+suffix, unit))
		}
	}
	return links, nil
}

// unitFile reads the file of the unit from the first directory that has it.
func (h Helper) unitFile(unit string) ([]byte, error) {
	for _, dir := range unitDirs() {
		name := h.real(path.Join(dir, unit))
		if fi, err := os.Stat(name); err != nil || !fi.Mode().IsRegular() {
			continue
		}
		data, err := regular(name)
		if err != nil {
			return nil, fmt.Errorf("cannot read unit %q: %w", unit, err)
		}
		return data, nil
	}
	return nil, fmt.Errorf("cannot read unit %q: %w", unit, fs.ErrNotExist)
}

// maxText is more than any unit file or record has.
const maxText = 1 << 20

// regular reads a regular file; a named pipe in its place would be waited for.
func regular(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() > maxText {
		return nil, errors.Join(err, fmt.Errorf("%q is not a regular file of a size that can be meant", name))
	}
	return io.ReadAll(io.LimitReader(f, maxText))
}

func recordOf(unit string) string { return path.Join(dshEnabled, unit+".dsh-also") }

// real gives the path inside the tree, in the plain way of deb-systemd-helper.
func (h Helper) real(p string) string { return filepath.Join("/", h.Root, p) }

func joinLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}
