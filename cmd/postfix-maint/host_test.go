package main

import (
	"testing"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// While dpkg runs, the status file is that of before the run: a first installation must not take the release for the newest one.
func TestInstalledVersion(t *testing.T) {
	const other = "Package: postfix-doc\nVersion: 1\n\n"
	cases := map[string]struct {
		files map[string]string
		want  string
	}{
		"no database":          {nil, ""},
		"another package only": {map[string]string{paths.DpkgStatus: other}, ""},
		"in the status file":   {map[string]string{paths.DpkgStatus: other + "Package: postfix\nStatus: install ok installed\nVersion: 3.7.11-0+deb12u1\n"}, "3.7.11-0+deb12u1"},
		"a first installation that runs": {map[string]string{
			paths.DpkgStatus: other, paths.DpkgUpdates + "/0003": "Package: postfix\nStatus: install ok half-configured\nVersion: 3.7.11\nDescription: x\n",
		}, "3.7.11"},
		"an upgrade that runs": {map[string]string{
			paths.DpkgStatus: "Package: postfix\nVersion: 3.7\n", paths.DpkgUpdates + "/0001": "Package: postfix\nVersion: 3.8\n",
			paths.DpkgUpdates + "/0002": "Package: postfix\nVersion: 3.9\n", paths.DpkgUpdates + "/0003": other,
		}, "3.9"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := installedVersion(sysroottest.New(t, c.files)); got != c.want {
				t.Errorf("installedVersion() = %q, want %q", got, c.want)
			}
		})
	}
}
