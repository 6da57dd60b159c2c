package adopt

import (
	"strings"

	"postfix-maint/internal/version"
)

// release is what this layer knows of the package of one Debian release.
type release struct {
	name       string
	upstream   string // Postfix's version, up to and with the dot that ends it
	units      string // where the package keeps systemd's units
	generators string // where systemd's generators live in that release
	control    string // the control files that the package has, those of Debian's layer and dpkg's own
	instances  scheme // how its units find a further instance
}

// releases are the ones that can be adopted. Everything that differs between them is here and in the table of layer.go.
func releases() []release {
	return []release{
		{
			name: "bookworm", upstream: "3.7.",
			units: "lib/systemd/system/", generators: "lib/systemd/system-generators/",
			control:   "conffiles config control md5sums postinst postrm preinst prerm templates",
			instances: byName,
		},
		{
			name: "trixie", upstream: "3.10.",
			// Everything of systemd moved below /usr with trixie (#1059760).
			units: "usr/lib/systemd/system/", generators: "usr/lib/systemd/system-generators/",
			control:   "conffiles config control md5sums postinst postrm preinst prerm templates triggers",
			instances: byDirectory,
		},
	}
}

// releaseOf finds the release that a Debian version of Postfix belongs to.
func releaseOf(v string) (release, bool) {
	for _, r := range releases() {
		if strings.HasPrefix(version.WithoutEpoch(v), r.upstream) {
			return r, true
		}
	}
	return release{}, false
}

// knownReleases is for messages: "3.7 (bookworm), 3.10 (trixie)".
func knownReleases() string {
	var names []string
	for _, r := range releases() {
		names = append(names, strings.TrimSuffix(r.upstream, ".")+" ("+r.name+")")
	}
	return strings.Join(names, ", ")
}

// watched are the places where a layer can hide: whatever Debian's package has there must be in the table of layer.go or
// among passed, else it is a part of the layer that we would leave behind.
func watched(rel release) []string {
	return []string{
		"DEBIAN/", "etc/", rel.units, rel.generators, "usr/lib/networkd-dispatcher/", "usr/lib/NetworkManager/",
	}
}

// passed are the paths in watched places that go through as they are: Postfix's own configuration, the firewall profile,
// the facility of LSB init scripts, and what dpkg itself needs.
func passed() []string {
	return []string{
		"etc/postfix/", "etc/ufw/applications.d/postfix", "etc/insserv.conf.d/postfix",
		"DEBIAN/control", "DEBIAN/md5sums", "DEBIAN/conffiles",
	}
}
