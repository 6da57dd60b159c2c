package doctor

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// manual is the part of the manual page that lists the checks.
func manual() string {
	var b strings.Builder
	for _, area := range []string{"service", "configuration", "tables", "chroot", "trust", "queue", "layer", "identity", "reach"} {
		b.WriteString(".SS " + strings.ToUpper(area[:1]) + area[1:] + "\n")
		for _, c := range Checks() {
			gate := ""
			if c.Gate {
				gate = ", gate"
			}
			switch c.Repair {
			case Safe:
				gate += `, \-\-fix`
			case ByID:
				gate += `, \-\-fix=ID`
			}
			if c.Area == area {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s (%s%s)\n", strings.ReplaceAll(c.ID, "-", `\-`), strings.ReplaceAll(c.Title, "-", `\-`), c.Bad, gate)
			}
		}
	}
	return b.String()
}

// The page has each check as it is.
func TestManual(t *testing.T) {
	const page = "../../debian/man/postfix-maint-checks.8"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ".SH CHECKS\n")
	if list, _, _ := strings.Cut(rest, ".SH "); list != manual() || strings.Count(list, ".TP\n") != len(Checks()) {
		t.Errorf("the list in %s is to be:\n%s", page, manual())
	}
}
