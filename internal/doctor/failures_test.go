package doctor

import (
	"slices"
	"strings"
	"testing"
)

// shown says of each failure of integration/failures.md's sources that a running host can show which check finds it.
const shown = `
A01 table-type-missing   A02 index-missing        A04 line-ignored         A07 root-mail            C06 chroot-stale        C10 chroot-stale
C11 chroot-unreachable   C12 chroot-stale         C15 chroot-stale         C16 chroot-unreachable   I01 not-running         I02 instance-unusable
I03 chroot-unreachable   K01 protocols-empty      M01 postfix-refuses      M02 postfix-refuses      M04 outdated-setting    M07 relay-unused
M09 origin-missing       M10 outdated-setting     M11 outdated-setting     P04 mail-deferred        P06 index-missing       R01 chroot-stale
R02 chroot-stale         R06 chroot-stale         R08 chroot-stale         S01 unit-failed          S02 not-running         S03 unit-failed
S04 not-listening        S06 not-running          S07 outside-unit         S10 instance-unusable    S11 unit-failed         T01 mechanisms-missing
T03 relay-login-without-tls   T04 index-old       T05 chroot-unreachable   D14 destination-elsewhere   U01 table-type-missing   U02 table-type-missing  U06 setgid-lost`

// hidden are the others, by why no check looks for them.
var hidden = map[string]string{
	"what a script of Debian's did, or asked, when it ran; the host that it leaves is as somebody may have wanted it": `A06 D01 D02 D04 D06 D07 D09 D10 D11 D12 D15
		D16 D18 M05 M13 P01 P02 P03 T02 U03 U04 X01`,
	"what a removal or an update of a chroot took away is not there to be seen":                           "C01 C02 C03 C07 G01 G02 G03 G04 G05 R07",
	"it is a fault of Debian's layer on every host that has it, and not of the host: adopt is the remedy": `C05 C08 C13 C14 I06 I07 K03 K04 R03 R05 S05 S13`,
	"it shows only when a program of a user's runs for a message":                                         "S08 S09",
	"check-config tells it, as Debian's own files and Postfix's prototypes have it":                       "M12 M14 T07",
	"listening on all addresses is what an Internet Site is for; who relays and who logs in is looked at": "D17",
	"no line may come of a daemon that has nothing to say":                                                "I05 L02 L03",
}

// Each failure has a check or a reason, and one alone.
func TestFailures(t *testing.T) {
	all := strings.Fields(`A01 A02 A04 A06 A07 C01 C02 C03 C05 C06 C07 C08 C10 C11 C12 C13 C14 C15 C16 D01 D02 D04 D06 D07 D09 D10 D11 D12 D14 D15 D16 D17 D18
		G01 G02 G03 G04 G05 I01 I02 I03 I05 I06 I07 K01 K03 K04 L02 L03 M01 M02 M04 M05 M07 M09 M10 M11 M12 M13 M14 P01 P02 P03 P04 P06 R01 R02 R03 R05 R06
		R07 R08 S01 S02 S03 S04 S05 S06 S07 S08 S09 S10 S11 S13 T01 T02 T03 T04 T05 T07 U01 U02 U03 U04 U06 X01`)
	var told []string
	words := strings.Fields(shown)
	for n := 0; n < len(words); n += 2 {
		told = append(told, words[n])
		if !slices.ContainsFunc(Checks(), func(c Check) bool { return c.ID == words[n+1] }) {
			t.Errorf("%s: there is no check %s", words[n], words[n+1])
		}
	}
	for _, ids := range hidden {
		told = append(told, strings.Fields(ids)...)
	}
	slices.Sort(told)
	if !slices.Equal(told, all) {
		t.Errorf("told are  %q\nthere are %q", told, all)
	}
}
