package adopt

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"time"

	"postfix-maint/internal/paths"
)

// origin is the name of our source: in its Release file, in the pin, and for unattended-upgrades.
const origin = "postfix-maint"

// head opens every file that we give to apt.
func head(mark string) string {
	text := ""
	for _, line := range []string{
		`Written by "postfix-maint adopt --install" and taken away by "postfix-maint adopt --revert":`,
		"see postfix-maint(8). What is edited here stays as it is.",
	} {
		text += mark + " " + line + "\n"
	}
	return text
}

// sourceText is the apt source. It is not signed, as that of Debian's own package local-apt-repository is not: who can write to a
// folder of root's could use a key kept on the same host as well. What it may deliver is bounded by the pin.
func sourceText() string {
	return head("#") + "Types: deb\nURIs: file:" + paths.Archive + "\nSuites: ./\nTrusted: yes\n"
}

// pinText gives our postfix the priority that apt gives Debian's, and lets nothing else come from our source. At the same priority
// the higher version wins: an adopted one over its own Debian version, Debian's next update over both.
func pinText(priority int) string {
	return head("#") + fmt.Sprintf(`
Package: postfix
Pin: release o=%[1]s
Pin-Priority: %[2]d

Package: *
Pin: release o=%[1]s
Pin-Priority: -1
`, origin, priority)
}

// pinPriority gives the priority of a pin file of ours; false for a file that is edited.
func pinPriority(text string) (int, bool) {
	_, rest, _ := strings.Cut(text, "Pin-Priority: ")
	n := 0
	if _, err := fmt.Sscanf(rest, "%d\n", &n); err != nil {
		return 0, false
	}
	return n, pinText(n) == text
}

// confText has apt adopt a newer Postfix as soon as it knows of it: APT::Update::Post-Invoke-Success runs where at least one source was
// reached. A hook that fails would fail "apt-get update", and one that hangs would hang it. unattended-upgrades takes packages of the
// origins that it is told of only, else it would put Debian's own version in place of ours.
func confText() string {
	return head("//") + `APT::Update::Post-Invoke-Success { "if [ -x ` + paths.Program + ` ]; then timeout -k 10 300 ` + paths.Program +
		` adopt --refresh </dev/null || true; fi"; };
Unattended-Upgrade::Origins-Pattern { "origin=` + origin + `"; };
`
}

// stanza is the entry of a package in a Packages file: its control fields and where it is.
func stanza(control, file string, deb []byte) string {
	return fmt.Sprintf("%s\nFilename: ./%s\nSize: %d\nSHA256: %x\n", strings.TrimRight(control, "\n"), file, len(deb), sha256.Sum256(deb))
}

// releaseText is the Release file of a folder with this Packages file. apt takes no Release file for a newer one that is not
// younger by its Date.
func releaseText(packages string, date time.Time) string {
	return fmt.Sprintf("Origin: %[1]s\nLabel: %[1]s\nSuite: local\nCodename: local\nDate: %[2]s\nDescription: Postfix of this host, adopted\nSHA256:\n %[3]x %[4]d Packages\n",
		origin, date.UTC().Format(releaseDate), sha256.Sum256([]byte(packages)), len(packages))
}

// releaseDate is the form of dates in Release files.
const releaseDate = "Mon, 02 Jan 2006 15:04:05 UTC"

// dateOf gives the Date of a Release file, the zero time if it has none.
func dateOf(release string) time.Time {
	_, rest, _ := strings.Cut("\n"+release, "\nDate: ")
	line, _, _ := strings.Cut(rest, "\n")
	t, _ := time.Parse(releaseDate, line) // the zero time is older than any
	return t
}
