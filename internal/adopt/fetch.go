package adopt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// fetch downloads Debian's package into dir and returns its path. The newest version that is not an adopted one is taken:
// on a host that gets its adopted packages from an own archive apt's candidate would be one of those.
func fetch(ctx context.Context, r Runner, dir string) (string, error) {
	list, err := r.Output(ctx, "apt-cache", "madison", "postfix")
	if err != nil {
		return "", fmt.Errorf("cannot ask apt for postfix: %w", err)
	}
	version, ok := newestStock(string(list))
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

// newestStock picks from the table of "apt-cache madison", newest first: "postfix | VERSION | ARCHIVE Packages".
func newestStock(madison string) (string, bool) {
	for _, line := range strings.Split(madison, "\n") {
		col := strings.Split(line, "|")
		if len(col) != 3 || strings.TrimSpace(col[0]) != "postfix" || !strings.HasSuffix(strings.TrimSpace(col[2]), "Packages") {
			continue
		}
		if version := strings.TrimSpace(col[1]); !strings.Contains(version, "+maint") {
			return version, true
		}
	}
	return "", false
}
