package procs_test

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"postfix-maint/internal/procs"
)

func TestListening(t *testing.T) {
	for _, network := range [][2]string{{"tcp4", "127.0.0.1:0"}, {"tcp4", "0.0.0.0:0"}, {"tcp6", "[::1]:0"}, {"tcp6", "[::]:0"}} {
		l, err := net.Listen(network[0], network[1])
		if err != nil {
			if network[0] == "tcp6" {
				t.Logf("not on a machine without IPv6: %v", err)
				continue
			}
			t.Fatal(err)
		}
		want := netip.MustParseAddrPort(l.Addr().String())
		if got := procs.Listening(os.Getpid()); !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
		l.Close()
		if got := procs.Listening(os.Getpid()); slices.Contains(got, want) {
			t.Errorf("%s is still among %v", want, got)
		}
	}
}
