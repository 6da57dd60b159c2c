package setup

import "fmt"

// release is what differs between Debian's releases for the set-up; everything else is found by looking at the host.
type release struct {
	before  string // data for upstream versions below this one
	protos  bool   // the prototypes and makedefs.out's link in /etc/postfix are made by postinst, not shipped
	chattr  bool   // the question about synchronous updates of the queue exists
	aliases bool   // the alias file is made even where nobody wants a configuration
}

// releases in ascending order; the last one holds for all later versions.
var releases = [...]release{
	{before: "3.9", protos: true, chattr: true, aliases: true}, // Debian 12
	{before: ""}, // Debian 13 and later
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
