package procs

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Listener is a TCP socket of this host that takes connections.
type Listener struct {
	At    netip.AddrPort
	inode string
}

// Listeners are all of the network namespace that we are in, as /proc/net/tcp and tcp6 have them (proc(5)); who holds them is not told there.
func Listeners() (all []Listener) {
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		text, err := os.ReadFile(file(os.Getpid(), table))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			const listen = "0A" // TCP_LISTEN of linux's net/tcp_states.h
			f := strings.Fields(line)
			if len(f) < 10 || f[3] != listen {
				continue
			}
			if a, ok := kernelAddr(f[1]); ok {
				all = append(all, Listener{a, f[9]})
			}
		}
	}
	return all
}

// Of are those of the listeners that a process holds; the error tells that it may not be seen which.
func Of(pid int, all []Listener) (held []Listener, err error) {
	fds, err := os.ReadDir(file(pid, "fd"))
	if err != nil {
		return nil, err
	}
	open := map[string]bool{}
	for _, fd := range fds {
		if to, err := os.Readlink(file(pid, "fd/"+fd.Name())); err == nil {
			open[to] = true
		}
	}
	for _, l := range all {
		if open["socket:["+l.inode+"]"] {
			held = append(held, l)
		}
	}
	return held, nil
}

// Holder is the first process that holds a listener, with its program; 0 where none may be seen. It looks through all processes.
func Holder(l Listener) (pid int, program string) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, ""
	}
	var pids []int
	for _, e := range entries {
		if n, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, n)
		}
	}
	slices.Sort(pids)
	for _, n := range pids {
		if held, err := Of(n, []Listener{l}); err == nil && len(held) > 0 {
			program, _ = Program(n)
			return n, program
		}
	}
	return 0, ""
}
