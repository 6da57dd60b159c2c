package procs_test

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"postfix-maint/internal/procs"
)

func TestListeners(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Logf("%s: %v", addr, err) // a host without IPv6
			continue
		}
		at := l.Addr().(*net.TCPAddr).AddrPort()
		is := func(l procs.Listener) bool { return l.At == netip.AddrPortFrom(at.Addr().Unmap(), at.Port()) }
		all := procs.Listeners()
		i := slices.IndexFunc(all, is)
		if i < 0 {
			t.Fatalf("%s is not among %v", at, all)
		}
		if mine, err := procs.Of(os.Getpid(), all); err != nil || !slices.ContainsFunc(mine, is) {
			t.Errorf("%s is not ours: %v %v", at, mine, err)
		}
		if other, err := procs.Of(os.Getppid(), all); err == nil && slices.ContainsFunc(other, is) {
			t.Errorf("%s is our parent's", at)
		}
		if pid, program := procs.Holder(all[i]); pid != os.Getpid() || program == "" {
			t.Errorf("%s is held by %d, %q", at, pid, program)
		}
		l.Close()
		if slices.ContainsFunc(procs.Listeners(), is) {
			t.Errorf("%s is still there", at)
		}
	}
}
