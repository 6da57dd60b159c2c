package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Network is a bridge in a network namespace of its own, with a DNS server at its gateway address: nothing of it is seen on the
// machine's own network, so that all tests use the same addresses.
type Network struct {
	s      *Session
	name   string // the namespace that holds the bridge
	base   string // tree whose dnsmasq is used
	mu     sync.Mutex
	hosts  map[*Host]int // the last number of its address
	dns    *exec.Cmd
	more   []*exec.Cmd // other DNS servers
	next   int
	closed bool
}

const (
	gateway = "10.99.0.254"
	prefix  = "10.99.0."
	// bridgeMAC is the bridge's own. Without one it takes the lowest of its ports', which changes as hosts come and go: the others
	// then sent to a MAC that the bridge takes for somebody else's, and heard no answer for up to ten seconds.
	bridgeMAC = "02:00:00:00:00:fe"
)

// NewNetwork makes a network without hosts. Several of them know nothing of each other.
func (s *Session) NewNetwork(ctx context.Context) (*Network, error) {
	base, err := s.Base(ctx, "bookworm")
	if err != nil {
		return nil, err
	}
	n := &Network{s: s, name: fmt.Sprintf("%s-lan%d", s.prefix, s.networks.Add(1)), base: base, hosts: map[*Host]int{}}
	err = ip(ctx,
		"netns add "+n.name,
		"-n "+n.name+" link set lo up",
		"-n "+n.name+" link add br0 address "+bridgeMAC+" type bridge",
		"-n "+n.name+" addr add "+gateway+"/24 dev br0",
		"-n "+n.name+" link set br0 up",
	)
	if err != nil {
		return nil, err
	}
	return n, nil
}

// ip runs commands of ip(8), each one line.
func ip(ctx context.Context, commands ...string) error {
	for _, line := range commands {
		if out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot run ip %s: %w: %s", line, err, tail(out))
		}
	}
	return nil
}

// space is the network namespace of one host on the network. It outlives a reboot of the host.
func (n *Network) space(h *Host) string { return fmt.Sprintf("%s-%d", n.name, n.number(h)) }

func (n *Network) number(h *Host) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.hosts[h]
}

// join connects a host and tells the DNS server its names.
func (n *Network) join(ctx context.Context, h *Host) error {
	n.mu.Lock()
	n.next++
	number := n.next
	n.hosts[h] = number
	h.address = fmt.Sprint(prefix, number)
	n.mu.Unlock()
	space, port := n.space(h), fmt.Sprint("port", number)
	err := ip(ctx,
		"netns add "+space,
		"-n "+n.name+" link add "+port+" type veth peer name eth0 netns "+space,
		"-n "+n.name+" link set "+port+" master br0 up",
		"-n "+space+" addr add "+h.address+"/24 dev eth0",
		"-n "+space+" link set eth0 up",
		"-n "+space+" link set lo up",
		"-n "+space+" route add default via "+gateway,
	)
	if err != nil {
		return err
	}
	return n.serveDNS(ctx)
}

// leave takes a host off the network.
func (n *Network) leave(h *Host) error {
	space := n.space(h)
	n.mu.Lock()
	_, there := n.hosts[h]
	delete(n.hosts, h)
	n.mu.Unlock()
	if !there {
		return nil
	}
	return ip(context.Background(), "netns delete "+space)
}

// Cut takes a host's cable out; Mend puts it back.
func (n *Network) Cut(ctx context.Context, h *Host) error {
	return ip(ctx, fmt.Sprintf("-n %s link set port%d down", n.name, n.number(h)))
}

// Mend puts back the cable that Cut took out.
func (n *Network) Mend(ctx context.Context, h *Host) error {
	return ip(ctx, fmt.Sprintf("-n %s link set port%d up", n.name, n.number(h)))
}

// serveDNS starts the DNS server anew with the names of all hosts.
func (n *Network) serveDNS(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stopDNS()
	args := n.dnsArgs(gateway)
	for h, number := range n.hosts {
		fqdn := h.Name + ".example.test"
		args = append(args, fmt.Sprintf("--host-record=%s,%s%d", fqdn, prefix, number), "--mx-host="+fqdn+","+fqdn+",10")
		for _, name := range h.opt.Names {
			args = append(args, fmt.Sprintf("--host-record=%s,%s%d", name, prefix, number))
		}
		for _, domain := range h.opt.Mail {
			args = append(args, "--mx-host="+domain+","+fqdn+",10")
		}
	}
	// Names that nobody has are answered at once, instead of after a resolver's timeouts.
	args = append(args, "--local=//", "--local=/test/")
	var err error
	n.dns, err = n.startDNS(ctx, gateway, args)
	return err
}

// AddDNS starts one more DNS server on the network, which knows nothing but the names given, each with its address and as a mail
// domain. number is the last one of the server's own address, which is returned. It ends with the network.
func (n *Network) AddDNS(ctx context.Context, number int, names map[string]string) (string, error) {
	address := fmt.Sprint(prefix, number)
	if err := ip(ctx, "-n "+n.name+" addr add "+address+"/24 dev br0"); err != nil {
		return "", err
	}
	args := n.dnsArgs(address)
	for name, to := range names {
		args = append(args, "--host-record="+name+","+to, "--mx-host="+name+","+name+",10")
	}
	server, err := n.startDNS(ctx, address, append(args, "--local=//", "--local=/test/"))
	if err != nil {
		return "", err
	}
	n.more = append(n.more, server)
	return address, nil
}

// dnsArgs runs dnsmasq of a base tree in the bridge's namespace.
func (n *Network) dnsArgs(address string) []string {
	return []string{"--net=/run/netns/" + n.name, "chroot", n.base, "dnsmasq", "--keep-in-foreground", "--user=root", "--conf-file=/dev/null",
		"--pid-file=", "--no-resolv", "--no-hosts", "--bind-interfaces", "--listen-address=" + address, "--log-facility=-"}
}

// startDNS starts a server and waits until it answers.
func (n *Network) startDNS(ctx context.Context, address string, args []string) (*exec.Cmd, error) {
	log, err := os.CreateTemp(n.s.dir, "dns-*.log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	dirs, err := groups(n.name)
	if err != nil {
		return nil, err
	}
	server := exec.Command("nsenter", args...)
	server.Env, server.Stdout, server.Stderr = cleanEnv(), log, log
	if err := server.Start(); err != nil {
		return nil, fmt.Errorf("cannot start the DNS server: %w", err)
	}
	for _, dir := range dirs { // so that a later session finds it if this one dies
		if err := os.WriteFile(dir+"/cgroup.procs", fmt.Append(nil, server.Process.Pid), 0o644); err != nil {
			return nil, fmt.Errorf("cannot start the DNS server: %w", err)
		}
	}
	return server, n.waitDNS(ctx, address, log.Name())
}

// waitDNS waits until the server's socket is there.
func (n *Network) waitDNS(ctx context.Context, address, log string) error {
	for range 100 {
		out, err := exec.CommandContext(ctx, "ip", "netns", "exec", n.name, "ss", "-Hlun", "sport", "=", "53").Output()
		if err == nil && strings.Contains(string(out), net.JoinHostPort(address, "53")) {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	said, _ := os.ReadFile(log)
	return fmt.Errorf("cannot start the DNS server: no socket: %s", tail(said))
}

func (n *Network) stopDNS() {
	if n.dns != nil {
		_ = n.dns.Process.Kill()
		_ = n.dns.Wait()
		n.dns = nil
	}
}

// Remove ends the network; its hosts must be gone.
func (n *Network) Remove() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil
	}
	n.closed = true
	n.stopDNS()
	for _, server := range n.more {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	removeGroups(n.name)
	if len(n.hosts) > 0 {
		return errors.New("cannot remove a network that hosts still use")
	}
	return ip(context.Background(), "netns delete "+n.name)
}
