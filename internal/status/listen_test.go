package status

import (
	"net/netip"
	"strings"
	"testing"

	"postfix-maint/internal/procs"
)

func TestCompare(t *testing.T) {
	both := local{v6: true, addrs: map[netip.Addr]bool{netip.MustParseAddr("::1"): true}}
	for name, tc := range map[string]struct {
		expected, held          string
		here                    local
		others                  bool // sockets of whoever it is
		listens, missing, extra string
	}{
		"everywhere":                {"0.0.0.0:25 [::]:25", "0.0.0.0:25 [::]:25", both, false, "0.0.0.0:25 [::]:25", "", ""},
		"not at all":                {"0.0.0.0:25 [::]:25", "", both, false, "", "0.0.0.0:25 [::]:25", ""},
		"a host without IPv6":       {"0.0.0.0:25 [::]:25", "0.0.0.0:25", local{}, false, "0.0.0.0:25", "", ""},
		"a loopback without ::1":    {"127.0.0.1:25 [::1]:25", "127.0.0.1:25", local{v6: true}, false, "127.0.0.1:25", "", ""},
		"the loopback network":      {"127.0.0.1:25", "127.0.1.1:25", both, false, "127.0.0.1:25", "", ""},
		"an address that is not up": {"192.0.2.1:25", "", both, false, "", "192.0.2.1:25", ""},
		"main.cf not reloaded":      {"127.0.0.1:25", "0.0.0.0:25", both, false, "", "127.0.0.1:25", "0.0.0.0:25"},
		"a port besides":            {"0.0.0.0:25", "0.0.0.0:25 0.0.0.0:587", both, false, "0.0.0.0:25", "", "0.0.0.0:587"},
		"other programs' ports":     {"0.0.0.0:25", "0.0.0.0:25 0.0.0.0:22", both, true, "0.0.0.0:25", "", ""},
		"a host name":               {"mx.example:25", "192.0.2.1:25", both, false, "mx.example:25", "", ""},
		"a host name, not listened": {"mx.example:25", "", both, false, "", "", ""},
		"another port":              {"0.0.0.0:25", "0.0.0.0:26", both, false, "", "0.0.0.0:25", "0.0.0.0:26"},
	} {
		i := Instance{Expected: strings.Fields(tc.expected)}
		var held []procs.Listener
		for _, at := range strings.Fields(tc.held) {
			held = append(held, procs.Listener{At: netip.MustParseAddrPort(at)})
		}
		compare(&i, held, tc.here, !tc.others)
		got := [3]string{strings.Join(i.Listening, " "), strings.Join(i.Missing, " "), strings.Join(i.Extra, " ")}
		if want := [3]string{tc.listens, tc.missing, tc.extra}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
