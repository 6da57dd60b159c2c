package adopt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fetch downloads into dir the version of Debian's package that apt would install, and returns its path. Where that is an
// adopted one, as on a host that gets them from an own archive, it is the version that it was made from.
func fetch(ctx context.Context, r Runner, dir string) (string, error) {
	policy, err := r.Output(ctx, "env", "LC_ALL=C", "apt-cache", "policy", "postfix")
	if err != nil {
		return "", fmt.Errorf("cannot ask apt for postfix: %w", err)
	}
	version, ok := candidate(string(policy))
	if !ok {
		return "", fmt.Errorf("cannot fetch postfix: apt knows no Debian version of it (try \"apt-get update\")")
	}
	// The sandbox user of apt may not write to a directory of ours.
	_, err = r.Output(ctx, "env", "-C", dir, "apt-get", "-o", "APT::Sandbox::User=root", "download", "postfix="+version)
	if err != nil {
		return "", fmt.Errorf("cannot fetch postfix %s: %w", version, err)
	}
	found, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("cannot look at what apt fetched: %w", err)
	}
	for _, f := range found {
		if strings.HasPrefix(f.Name(), "postfix_") && strings.HasSuffix(f.Name(), ".deb") {
			return filepath.Join(dir, f.Name()), nil
		}
	}
	return "", fmt.Errorf("cannot fetch postfix %s: apt left no package", version)
}

// candidate picks the version out of what "apt-cache policy" says, without the suffix of an adopted one.
func candidate(policy string) (string, bool) {
	for line := range strings.Lines(policy) {
		if version, ok := strings.CutPrefix(strings.TrimSpace(line), "Candidate: "); ok && version != "(none)" {
			version, _, _ = strings.Cut(version, "+maint")
			return version, true
		}
	}
	return "", false
}
