// Package adopt (ring: flow) writes Debian's binary package postfix out again with our layer in place of Debian's:
// maintainer scripts, units, hooks, init script. The mail system itself, its libraries, programs, templates of main.cf and
// manual pages, passes through byte for byte. dpkg-deb(1) reads and writes the packages; no root is needed, and the same input gives
// the same bytes.
//
// What goes where is the table in layer.go; what is expected of each Debian release is the table in release.go. A package
// that differs from them is refused, because replacing half of a layer would leave a host with two.
//
// Run writes one package. Host keeps a system adopted, with an apt source of its own (archive.go, aptfiles.go) and a choice of versions
// that follows apt's (policy.go).
package adopt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/version"
)

// DefaultLayer is where the package postfix-maint keeps the layer's files.
const DefaultLayer = paths.LayerDir

// Runner starts programs: dpkg-deb, apt-cache, apt-get.
type Runner interface {
	Output(ctx context.Context, name string, args ...string) ([]byte, error)
}

// Options says what to adopt.
type Options struct {
	Deb    string // Debian's package; "" fetches the newest that apt knows
	Output string // directory that receives the adopted package
	Layer  string // folder with debian/, systemd/ and rsyslog/ of this project; "" is DefaultLayer
	Work   string // directory for the work; "" is the usual one for temporary files
	Over   string // version of postfix that the adopted one is installed over; "" if that is not known
	Runner Runner
}

// Result says what was made.
type Result struct {
	Path    string   `json:"path"`    // the adopted package
	Release string   `json:"release"` // the Debian release that it was made from
	Stock   string   `json:"stock"`   // Debian's version
	Version string   `json:"version"` // the adopted version
	Changes []string `json:"changes"` // one line per file put in, replaced, extended or left out
	Written bool     `json:"written"` // false if the very same package was there already
}

// RefusedError says that a package is not one that this version of the layer knows how to take over.
type RefusedError struct {
	Deb     string
	Reasons []string // each names one thing that differs
}

// Error lists all that differs.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("cannot adopt %q: %s", e.Deb, strings.Join(e.Reasons, "; "))
}

// Run adopts one package.
func Run(ctx context.Context, opts Options) (Result, error) {
	tmp, err := os.MkdirTemp(opts.Work, "postfix-maint-adopt-")
	if err != nil {
		return Result{}, fmt.Errorf("cannot make a work directory: %w", err)
	}
	defer os.RemoveAll(tmp)

	// 1. Debian's package
	deb := opts.Deb
	if deb == "" {
		if deb, err = fetchNewest(ctx, opts.Runner, tmp); err != nil {
			return Result{}, err
		}
	} else if deb, err = take(deb, tmp); err != nil {
		return Result{}, err
	}
	stock, err := readStock(ctx, opts.Runner, deb)
	if err != nil {
		return Result{}, err
	}
	rel, reasons := examine(stock)
	if len(reasons) > 0 {
		return Result{}, &RefusedError{Deb: filepath.Base(deb), Reasons: reasons}
	}

	// 2. our layer for that release
	if opts.Layer == "" {
		opts.Layer = DefaultLayer
	}
	lay, err := readLayer(opts.Layer, rel)
	if err != nil {
		return Result{}, err
	}

	// 3. the one laid over the other
	tree, err := unpack(ctx, opts.Runner, deb, filepath.Join(tmp, "tree"))
	if err != nil {
		return Result{}, err
	}
	changes, err := tree.lay(stock, lay, lay.over(stock.version(), opts.Over))
	if err != nil {
		return Result{}, err
	}

	// 4. the adopted package
	res := Result{Release: rel.name, Stock: stock.version(), Version: lay.over(stock.version(), opts.Over), Changes: changes}
	built, err := build(ctx, opts.Runner, tree, filepath.Join(tmp, "adopted.deb"), stock.newest)
	if err != nil {
		return Result{}, err
	}
	res.Path, res.Written, err = deliver(opts.Output, fileName(res.Version, stock.control.get("Architecture")), built)
	return res, err
}

// take copies a package into a directory of ours, read once. Whoever owns the file or its directory cannot show one package to the check
// and another one to what unpacks it; and nothing waits for a named pipe.
func take(deb, dir string) (string, error) {
	abs, err := filepath.Abs(deb) // a name may begin with a hyphen
	if err != nil {
		return "", fmt.Errorf("cannot find package %q: %w", deb, err)
	}
	system, err := sysroot.Open("/")
	if err != nil {
		return "", err
	}
	data, err := system.ReadFile(abs)
	if err != nil {
		return "", fmt.Errorf("cannot read package %q: %w", deb, err)
	}
	if dir, err = os.MkdirTemp(dir, "taken-"); err != nil {
		return "", fmt.Errorf("cannot make a work directory: %w", err)
	}
	work, err := sysroot.Open(dir)
	if err != nil {
		return "", err
	}
	if _, err := work.WriteFile("/"+filepath.Base(abs), data, own(0o600)); err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

// over is the version that the layer gives to Debian's.
func (l *layer) over(stock, installed string) string {
	return version.Adopted(stock, l.version, installed)
}

// fileName is the conventional one.
func fileName(v, arch string) string {
	return "postfix_" + version.WithoutEpoch(v) + "_" + arch + ".deb"
}

// unpack extracts deb to dir, control files in dir/DEBIAN.
func unpack(ctx context.Context, r Runner, deb, dir string) (*tree, error) {
	if _, err := r.Output(ctx, "dpkg-deb", "--raw-extract", deb, dir); err != nil {
		return nil, fmt.Errorf("cannot unpack %q: %w", deb, err)
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root: root, uid: os.Getuid(), gid: os.Getgid()}, nil
}

// build packs the tree. dpkg-deb takes the owner from --root-owner-group and clamps each time stamp to SOURCE_DATE_EPOCH:
// with Debian's newest one there, its own files keep theirs and ours get that. gzip, since the package stays on the host: xz takes ten times as
// long and saves a sixth.
func build(ctx context.Context, r Runner, t *tree, deb string, epoch int64) ([]byte, error) {
	_, err := r.Output(ctx, "env", "SOURCE_DATE_EPOCH="+strconv.FormatInt(epoch, 10),
		"dpkg-deb", "--root-owner-group", "-Zgzip", "-z6", "--build", t.root.Dir(), deb)
	if err != nil {
		return nil, fmt.Errorf("cannot pack %q: %w", filepath.Base(deb), err)
	}
	data, err := os.ReadFile(deb)
	if err != nil {
		return nil, fmt.Errorf("cannot read the package just made: %w", err)
	}
	return data, nil
}

// deliver writes the package to dir in one rename, or leaves an identical one alone.
func deliver(dir, name string, data []byte) (deb string, written bool, err error) {
	if dir == "" {
		dir = "."
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", false, fmt.Errorf("cannot use %q for the adopted package: %w", dir, err)
	}
	out, err := sysroot.Open(dir)
	if err != nil {
		return "", false, err
	}
	written, err = out.WriteFile("/"+name, data, sysroot.Attr{Mode: 0o644, UID: os.Getuid(), GID: os.Getgid()})
	return filepath.Join(dir, name), written, err
}
