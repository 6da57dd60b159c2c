package oauthrelay

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
)

func TestOwners(t *testing.T) {
	from, to := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:2525")
	head := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	row := func(local, remote netip.AddrPort, state string, uid int, inode string) string {
		return fmt.Sprintf("   0: %s %s %s 00000000:00000000 00:00000000 00000000 %5d        0 %s 1 0000000000000000 20 4 30 10 -1\n", hexAddr(local), hexAddr(remote), state, uid, inode)
	}
	mine := row(to, from, "01", 61000, "11")
	for name, c := range map[string]struct {
		table string
		uid   int // -1: none
	}{
		"the other side's row": {head + mine + row(from, to, "01", 105, "12"), 105},
		"root's":               {head + row(from, to, "01", 0, "12") + mine, 0},
		"ours alone":           {head + mine, -1},
		"another port":         {head + row(netip.MustParseAddrPort("127.0.0.1:40001"), to, "01", 105, "12"), -1},
		"closed by its side":   {head + row(from, to, "04", 0, "0"), -1},
		"half closed":          {head + row(from, to, "05", 105, "12"), -1},
		"waits":                {head + row(from, to, "06", 0, "0"), -1},
		"without a process":    {head + row(from, to, "01", 0, "0"), -1},
		"damaged":              {head + strings.Replace(row(from, to, "01", 105, "12"), "105", "1x5", 1), -1},
		"short":                {"a b\n\n", -1},
		"empty":                {"", -1},
		"endless line":         {strings.Repeat("x", 1<<20), -1},
	} {
		uid, err := ownerOf(strings.NewReader(c.table), from, to)
		if (err != nil) != (c.uid == -1) || err == nil && uid != c.uid {
			t.Errorf("%s: %d %v", name, uid, err)
		}
	}
	if _, err := ownerOf(strings.NewReader(""), netip.MustParseAddrPort("[::1]:1"), to); err == nil {
		t.Error("IPv6 is taken")
	}
}

func TestTheKernelsTable(t *testing.T) {
	port, err := net.Listen("tcp4", "127.0.0.1:0")
	must(t, err)
	defer port.Close()
	out, err := net.Dial("tcp4", port.Addr().String())
	must(t, err)
	in, err := port.Accept()
	must(t, err)
	defer in.Close()
	if uid, err := PeerUID(in); err != nil || uid != os.Getuid() {
		t.Errorf("%d %v", uid, err)
	}
	_ = out.Close()
	if uid, err := PeerUID(in); err == nil {
		t.Errorf("a connection that its side has closed is user %d's", uid)
	}
}
