package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// lookupLimit bounds the one name lookup of a run.
const lookupLimit = 2 * time.Second

// openRoot is the tree that dpkg works on: DPKG_ROOT (dpkg(1)), else the running system.
func openRoot() (*sysroot.Root, error) { return sysroot.Open(os.Getenv("DPKG_ROOT")) }

// facts looks at the host. The host's own name is that of the running system, below DPKG_ROOT the tree's /etc/hostname.
func facts(ctx context.Context, root *sysroot.Root, version string) answers.Facts {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	name := ""
	var res setup.Resolver
	if root.IsHost() {
		name, _ = os.Hostname()
		res = &net.Resolver{PreferGo: true}
	}
	return setup.ReadFacts(ctx, root, name, version, res)
}

// installedVersion is the version of Debian's package postfix from dpkg's status file; "" if it is not there.
func installedVersion(root *sysroot.Root) string {
	data, err := root.ReadFile(paths.DpkgStatus)
	if err != nil {
		return ""
	}
	_, stanza, ok := strings.Cut("\n"+string(data), "\nPackage: postfix\n")
	if !ok {
		return ""
	}
	stanza, _, _ = strings.Cut(stanza, "\n\n")
	for line := range strings.Lines(stanza) {
		if v, ok := strings.CutPrefix(line, "Version: "); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// service is the init system of root, nil where there is no system to run services.
func service(root *sysroot.Root) (setup.Service, func()) {
	if !root.IsHost() {
		return nil, func() {}
	}
	r := run.Runner{}
	links := setup.SysV{Run: r, Root: root}
	if !systemd.Booted("/") {
		return links, func() {}
	}
	s := &setup.Systemd{Run: r, Links: links, Record: systemd.Helper{Run: r}}
	return s, s.Close
}

// show prints a change as it is done.
func show(w io.Writer) func(setup.Change) {
	return func(c setup.Change) {
		fmt.Fprintf(w, "%s: %s\n", c.Step, c.What)
		fmt.Fprint(w, c.Diff)
	}
}

func warn(w io.Writer, warnings []string) {
	for _, text := range warnings {
		fmt.Fprintf(w, "WARNING: %s\n", text)
	}
}
