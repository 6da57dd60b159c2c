package adopt

import (
	"fmt"
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
	brings     string // further files of its layer, which ours uses as they are
	depends    string // the packages with which our scripts make accounts: Debian's depends on them as well
	instances  scheme // how its units find a further instance
}

// releases are the ones that can be adopted. Everything that differs between them is here and in the table of layer.go.
func releases() []release {
	return []release{
		{
			name: "bookworm", upstream: "3.7.",
			units: "lib/systemd/system/", generators: "lib/systemd/system-generators/",
			control:   "conffiles config control md5sums postinst postrm preinst prerm templates",
			depends:   "adduser",
			instances: byName,
		},
		{
			name: "trixie", upstream: "3.10.",
			// Everything of systemd moved below /usr with trixie (#1059760).
			units: "usr/lib/systemd/system/", generators: "usr/lib/systemd/system-generators/",
			control:   "conffiles config control md5sums postinst postrm preinst prerm templates triggers",
			depends:   "adduser",
			instances: byDirectory,
		},
		{
			name: "sid", upstream: "3.11.", // what becomes Debian 14
			units: "usr/lib/systemd/system/", generators: "usr/lib/systemd/system-generators/",
			control: "conffiles config control md5sums postinst postrm preinst prerm templates triggers",
			// Accounts and the owner of the data directory are declared there from 3.11.2-1 on.
			brings:    "usr/lib/sysusers.d/postfix.conf usr/lib/tmpfiles.d/postfix.conf",
			depends:   "systemd-sysusers",
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

// nearest is the known release whose upstream version is least far from that of v; of two the later one.
func nearest(v string) release {
	var best release
	least := -1
	for _, r := range releases() {
		if d := distance(v, r.upstream); least < 0 || d <= least {
			best, least = r, d
		}
	}
	return best
}

// distance tells how many minor versions lie between two versions; of another major version every one is far.
func distance(a, b string) int {
	var x, y [2]int
	_, _ = fmt.Sscanf(version.WithoutEpoch(a), "%d.%d", &x[0], &x[1])
	_, _ = fmt.Sscanf(b, "%d.%d", &y[0], &y[1])
	d := (x[0]-y[0])*1000 + x[1] - y[1]
	return max(d, -d)
}

// knownReleases is for messages: "3.7 (bookworm), 3.10 (trixie)".
func knownReleases() string {
	var names []string
	for _, r := range releases() {
		names = append(names, strings.TrimSuffix(r.upstream, ".")+" ("+r.name+")")
	}
	return strings.Join(names, ", ")
}

// passed are the paths of Debian's package that go through as they are: programs, libraries, documentation and Postfix's own configuration,
// the firewall profile, the facility of LSB init scripts, and what dpkg itself needs. A layer can hide anywhere else: what the package has
// there must be in the table of layer.go or among what the release brings, else it is a part of the layer that we would leave behind. A name
// with a slash at its end is all below it; others are patterns as path.Match has them.
func passed(rel release) []string {
	return append(strings.Fields(rel.brings),
		"usr/bin/", "usr/sbin/", "usr/lib/sendmail", "usr/lib/postfix/sbin/", "usr/lib/postfix/*.so", "usr/lib/postfix/*.a",
		"usr/lib/postfix/postfix_groups.pl", "usr/share/doc/", "usr/share/man/", "usr/share/postfix/", "usr/share/lintian/",
		"etc/postfix/", "etc/ufw/applications.d/postfix", "etc/insserv.conf.d/postfix",
		"DEBIAN/control", "DEBIAN/md5sums", "DEBIAN/conffiles",
	)
}
