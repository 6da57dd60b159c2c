package oauthrelay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
)

// established is the state of a connection that both sides hold open (Linux, include/net/tcp_states.h).
const established = "01"

// PeerUID gives the user on the other side of a connection over loopback: the kernel's table has that side's own row, with the user who
// made its socket.
func PeerUID(conn net.Conn) (int, error) {
	f, err := os.Open(paths.TCPSockets)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return 0, err
	}
	remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return 0, err
	}
	return ownerOf(f, remote, local)
}

// ownerOf looks for the socket from one address to another (proc_pid_net(5), tcp). One that was closed on its side has lost its owner, and
// the table says 0 for it, which is root: only a connection that is held open counts. A user namespace of our own would show all as nobody.
func ownerOf(table io.Reader, from, to netip.AddrPort) (int, error) {
	want := [2]string{hexAddr(from), hexAddr(to)}
	if want[0] == "" || want[1] == "" {
		return 0, errors.New("it does not come over IPv4")
	}
	lines := bufio.NewScanner(table)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 10 || f[1] != want[0] || f[2] != want[1] {
			continue
		}
		if f[3] != established || f[9] == "0" {
			return 0, errors.New("its other side has closed it")
		}
		uid, err := strconv.ParseInt(f[7], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read the user %q of a connection", f[7])
		}
		return int(uid), nil
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	return 0, errors.New("its other side is not on this host")
}

// hexAddr is an address as the table has it: four bytes as a number of this machine, "" for what is no IPv4.
func hexAddr(a netip.AddrPort) string {
	ip := a.Addr().Unmap()
	if !ip.Is4() {
		return ""
	}
	raw := ip.As4()
	return fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(raw[:]), a.Port())
}
