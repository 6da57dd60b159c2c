package adopt

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// fetchNewest downloads into dir the version of Debian's package that apt would install, and returns its path. Where that is an
// adopted one, as on a host that gets them from an own archive, it is the version that it was made from.
func fetchNewest(ctx context.Context, r Runner, dir string) (string, error) {
	p, err := askPolicy(ctx, r)
	if err != nil {
		return "", err
	}
	base, next := p.wanted()
	for _, o := range []*offer{next, base} {
		if o != nil {
			return fetch(ctx, r, dir, o.version)
		}
	}
	return "", errNoDebian
}

// errNoDebian is the answer of a host whose apt lists know no Postfix.
var errNoDebian = fmt.Errorf("cannot fetch postfix: apt knows no Debian version of it (try \"apt-get update\")")

// fetch downloads one version of Debian's package into dir and returns its path.
func fetch(ctx context.Context, r Runner, dir, version string) (string, error) {
	// The sandbox user of apt may not write to a directory of ours.
	_, err := r.Output(ctx, "env", "-C", dir, "apt-get", "-o", "APT::Sandbox::User=root", "download", "postfix="+version)
	if err != nil {
		return "", fmt.Errorf("cannot fetch postfix %s: %w", version, err)
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("cannot look at what apt fetched: %w", err)
	}
	for _, f := range found {
		if strings.HasPrefix(f.Name(), "postfix_") && strings.HasSuffix(f.Name(), ".deb") {
			return filepath.Join(dir, f.Name()), whole(ctx, r, f, version)
		}
	}
	return "", fmt.Errorf("cannot fetch postfix %s: apt left no package", version)
}

// whole tells whether all of a package arrived: from a file: source apt copies it, and does not notice a full disk.
func whole(ctx context.Context, r Runner, f fs.DirEntry, version string) error {
	said, err := r.Output(ctx, "apt-get", "download", "--print-uris", "postfix="+version) // 'URI' NAME SIZE HASH
	if err != nil {
		return fmt.Errorf("cannot ask apt for the size of postfix %s: %w", version, err)
	}
	info, err := f.Info()
	if err != nil {
		return fmt.Errorf("cannot look at what apt fetched: %w", err)
	}
	words := strings.Fields(string(said))
	if len(words) > 2 && words[2] != strconv.FormatInt(info.Size(), 10) {
		return fmt.Errorf("cannot fetch postfix %s: %d bytes of %s came; is the disk full?", version, info.Size(), words[2])
	}
	return nil
}
