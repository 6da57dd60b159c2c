package setup

import (
	"fmt"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// release is what differs between Debian's releases for the set-up; everything else is found by looking at the host.
type release struct {
	before  string // data for upstream versions below this one
	protos  bool   // the prototypes and makedefs.out's link in /etc/postfix are made by postinst, not shipped
	chattr  bool   // the question about synchronous updates of the queue exists
	aliases bool   // the alias file is made even where nobody wants a configuration
	etc     bool   // the queue has a directory etc also where nothing is chrooted, as Debian's own makes it
}

// releases in ascending order; the last one holds for all later versions.
var releases = [...]release{
	{before: "3.9", protos: true, chattr: true, aliases: true}, // Debian 12
	{before: "3.11"},        // Debian 13
	{before: "", etc: true}, // later
}

// releaseOf chooses by the version of Debian's package; an unknown version counts as the newest.
func releaseOf(version string) release {
	for _, r := range releases {
		if r.before != "" && version != "" && upstreamLess(version, r.before) {
			return r
		}
	}
	return releases[len(releases)-1]
}

// upstreamLess compares the leading "MAJOR.MINOR" numbers of two versions, which is all that tells releases apart.
func upstreamLess(a, b string) bool {
	var x, y [2]int
	_, _ = fmt.Sscanf(a, "%d.%d", &x[0], &x[1])
	_, _ = fmt.Sscanf(b, "%d.%d", &y[0], &y[1])
	return x[0] < y[0] || x[0] == y[0] && x[1] < y[1]
}

// TableType is the map type that this release of Postfix gives a table without one, as far as Debian's template of main.cf names it: up
// to Debian 13 it says nothing of what is compiled in, which is hash.
func TableType(root *sysroot.Root) string {
	text, err := root.ReadFile(paths.MainTemplate)
	if err != nil {
		return "" // whoever needs the template says so
	}
	f, err := maincf.Parse(text)
	if err != nil {
		return ""
	}
	return value(f, "default_database_type", "")
}
