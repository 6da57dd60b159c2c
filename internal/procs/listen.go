package procs

import (
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strings"
)

// Listening gives the addresses at which a process takes TCP connections, as the kernel tells them in /proc/PID/net/tcp (proc(5)). What may
// not be seen is left out.
func Listening(pid int) (at []netip.AddrPort) {
	open := map[string]bool{}
	fds, _ := os.ReadDir(file(pid, "fd"))
	for _, fd := range fds {
		if to, err := os.Readlink(file(pid, "fd/"+fd.Name())); err == nil {
			open[to] = true
		}
	}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(file(pid, table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			const listen = "0A" // TCP_LISTEN of linux's net/tcp_states.h
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listen || !open["socket:["+f[9]+"]"] {
				continue
			}
			if a, ok := kernelAddr(f[1]); ok {
				at = append(at, a)
			}
		}
	}
	return at
}

// kernelAddr reads an address as the kernel prints it: words of 32 bits in this machine's byte order, which is little endian on all
// architectures that we are built for.
func kernelAddr(text string) (at netip.AddrPort, ok bool) {
	host, port, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(host)
	p, err2 := hex.DecodeString(port)
	if err != nil || err2 != nil || len(ip)%4 != 0 || len(p) != 2 {
		return at, false
	}
	for word := range slices.Chunk(ip, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(addr, uint16(p[0])<<8|uint16(p[1])), ok
}
