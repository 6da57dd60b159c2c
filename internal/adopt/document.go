package adopt

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"time"

	"postfix-maint/internal/version"
)

// changelogLimit is more than any changelog of a package has, uncompressed.
const changelogLimit = 16 << 20

// stockHead is the first line of the newest entry of Debian's changelog (deb-changelog(5)): version, distributions and urgency are in it.
var stockHead = regexp.MustCompile(`^postfix \(([^)\s]+)\) ([^;\n]+); urgency=(\S+)`)

// changelogEntry is what an adopted package says of itself above Debian's entries: apt-listchanges shows it, and the first entry of a
// changelog has the version of its package (policy 4.4). Distributions and urgency are those of Debian's entry below; its date is a
// second after Debian's newest file, so that it is newer than that entry, and the same package gives the same bytes.
func (l *layer) changelogEntry(of *stock, adopted string, debians []byte) string {
	release, urgency := "unstable", "medium"
	if m := stockHead.FindSubmatch(debians); m != nil {
		release, urgency = string(m[2]), string(m[3])
	}
	return fmt.Sprintf("postfix (%s) %s; urgency=%s\n\n"+
		"  * Adopted by postfix-maint %s: its maintainer scripts, units, hooks\n"+
		"    and init script are in the place of Debian's; README.Debian is about them.\n"+
		"  * All else is %s, byte for byte.\n\n -- %s  %s\n\n",
		adopted, release, urgency, l.version, version.WithoutEpoch(of.version()), l.maintainer, time.Unix(of.newest+1, 0).UTC().Format(time.RFC1123Z))
}

// withEntry puts our entry on top of a compressed changelog.
func (l *layer) withEntry(of *stock, adopted string, compressed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("cannot read the changelog: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, changelogLimit+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the changelog: %w", err)
	case len(text) > changelogLimit:
		return nil, fmt.Errorf("cannot read the changelog: it has more than %d bytes", changelogLimit)
	}
	return packed(append([]byte(l.changelogEntry(of, adopted, text)), text...))
}

// packed compresses as policy 12.3 asks for: at the highest level, without a name or a time stamp.
func packed(text []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	return b.Bytes(), err
}
