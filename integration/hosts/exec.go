package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Command prepares a command inside the host: in all namespaces of a booted one, else on its tree with nothing else running. The
// environment is clean; a booted host's command runs outside its cgroup and sandbox, Unit does not.
func (h *Host) Command(ctx context.Context, args ...string) *exec.Cmd {
	if h.leader == 0 {
		cmd, err := h.spawn(ctx, append([]string{"--as-pid2", "--console=pipe", "--setenv=LANG=C.UTF-8",
			"--setenv=DEBIAN_FRONTEND=noninteractive", "--setenv=TERM=dumb", "--"}, args...)...)
		if err != nil {
			cmd = exec.CommandContext(ctx, "false")
			cmd.Err = err
		}
		return cmd
	}
	return h.enter(ctx, "-a", args)
}

func (h *Host) enter(ctx context.Context, spaces string, args []string) *exec.Cmd {
	all := append([]string{"-t", strconv.Itoa(h.leader)}, strings.Fields(spaces)...)
	all = append(append(all, "env", "-i"), cleanEnv()...)
	return exec.CommandContext(ctx, "nsenter", append(all, args...)...)
}

// Run runs a command inside the host and gives all that it said.
func (h *Host) Run(ctx context.Context, args ...string) (string, error) {
	return h.finish(h.Command(ctx, args...), args)
}

// Sh runs a shell script inside the host; the first command that fails ends it.
func (h *Host) Sh(ctx context.Context, script string) (string, error) {
	return h.Run(ctx, "bash", "-euc", script)
}

// Unit runs a command inside a booted host as a unit of its own: the host's cgroup, capabilities and system call filter hold.
func (h *Host) Unit(ctx context.Context, args ...string) (string, error) {
	return h.Run(ctx, append([]string{"systemd-run", "-q", "--pipe", "--wait"}, args...)...)
}

// OnMachineNet runs a command inside a booted host but on this machine's network, for apt.
func (h *Host) OnMachineNet(ctx context.Context, args ...string) (string, error) {
	return h.finish(h.enter(ctx, "-m -u -i -p -C", args), args)
}

// nspawnNoise is what systemd-nspawn says at its end on a machine whose /run is no tmpfs.
var nspawnNoise = regexp.MustCompile(`(?m)^Attempted to remove disk file system under .*\n`)

func (h *Host) finish(cmd *exec.Cmd, args []string) (string, error) {
	cmd.WaitDelay = 5 * time.Second // what a command leaves running must not keep us, even if it holds the output open
	out, err := cmd.CombinedOutput()
	if h.leader == 0 {
		out = nspawnNoise.ReplaceAll(out, nil)
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return string(out), fmt.Errorf("%s: %s: %w: %s", h.Name, strings.Join(args, " "), err, tail(out))
	}
	return string(out), nil
}

// Dial connects from inside a booted host's network; the address must be numeric.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	space, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", h.leader))
	if err != nil {
		return nil, fmt.Errorf("cannot reach the network of %s: %w", h.Name, err)
	}
	defer space.Close()
	type result struct {
		conn net.Conn
		err  error
	}
	got := make(chan result)
	go func() {
		// The thread is not unlocked: it dies with the goroutine instead of coming back with another network.
		runtime.LockOSThread()
		if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
			got <- result{nil, fmt.Errorf("cannot enter the network of %s: %w", h.Name, err)}
			return
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		got <- result{conn, err}
	}()
	r := <-got
	return r.conn, r.err
}
