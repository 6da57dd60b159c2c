package hosts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Options say what a host is made of. The zero value of each means "nothing of it".
type Options struct {
	Release string            // of the base tree; "" means bookworm
	Tree    string            // a directory with another base tree
	Layers  []string          // directories laid over the base, the topmost first
	Binds   map[string]string // read-only: directory of this machine -> place in the host
	Network *Network          // "" leaves the host with its loopback device only
	Mail    []string          // domains whose mail the network's DNS sends to this host
	Names   []string          // further names of this host in the network's DNS
	Durable bool              // fsync(2) costs what it costs on a real host; else it does nothing
}

// Host is one throw-away system: an overlay, and while it runs the processes in it.
type Host struct {
	Name string // also its host name; its domain is example.test

	s       *Session
	opt     Options
	dir     string // up, work, root, console.log
	group   string // name of its cgroup
	nspawn  *exec.Cmd
	done    chan struct{} // closed when nspawn has ended
	leader  int           // process 1 of the host, as this machine counts
	address string        // on the network
}

// NewHost lays a fresh overlay. Nothing runs yet: Command and its kin work on the bare tree, Boot starts the system.
func (s *Session) NewHost(ctx context.Context, name string, opt Options) (*Host, error) {
	if opt.Release == "" {
		opt.Release = "bookworm"
	}
	base := opt.Tree
	if base == "" {
		var err error
		if base, err = s.Base(ctx, opt.Release); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp(s.dir, name+".")
	if err != nil {
		return nil, fmt.Errorf("cannot make the host %s: %w", name, err)
	}
	h := &Host{Name: name, s: s, opt: opt, dir: dir, group: s.prefix + "-" + filepath.Base(dir)}
	for _, sub := range []string{"up", "work", "root"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the host %s: %w", name, err)
		}
	}
	lower := strings.Join(append(append([]string{}, opt.Layers...), base), ":")
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s/up,workdir=%s/work", lower, dir, dir)
	if !opt.Durable {
		data += ",volatile"
	}
	if err := unix.Mount("overlay", h.Root(), "overlay", 0, data); err != nil {
		return nil, fmt.Errorf("cannot mount the overlay of %s: %w", name, err)
	}
	if opt.Network != nil {
		if err := opt.Network.join(ctx, h); err != nil {
			return nil, errors.Join(err, h.Remove())
		}
	}
	if err := h.identify(); err != nil {
		return nil, errors.Join(err, h.Remove())
	}
	return h, nil
}

// Root is the host's file tree as this machine sees it.
func (h *Host) Root() string { return filepath.Join(h.dir, "root") }

// Changes is the upper layer: what differs from the layers below.
func (h *Host) Changes() string { return filepath.Join(h.dir, "up") }

// Address is the host's address on its network.
func (h *Host) Address() string { return h.address }

// identify writes what makes the host another one than its siblings.
func (h *Host) identify() error {
	resolv, err := os.ReadFile("/etc/resolv.conf") // for what runs on this machine's network
	if err != nil {
		return fmt.Errorf("cannot name the host %s: %w", h.Name, err)
	}
	own := "127.0.1.1"
	if h.opt.Network != nil {
		resolv, own = []byte("nameserver "+gateway+"\n"), h.address
	}
	files := map[string]string{
		"etc/machine-id":  "",
		"etc/hostname":    h.Name + "\n",
		"etc/hosts":       fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s.example.test %s\n", own, h.Name, h.Name),
		"etc/resolv.conf": string(resolv),
	}
	for name, content := range files {
		path := filepath.Join(h.Root(), name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // may be a link out of the tree
			return fmt.Errorf("cannot name the host %s: %w", h.Name, err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return fmt.Errorf("cannot name the host %s: %w", h.Name, err)
		}
	}
	return nil
}

// spawn is systemd-nspawn on the host's tree, in its own cgroup and session, with the arguments that every use shares.
func (h *Host) spawn(ctx context.Context, args ...string) (*exec.Cmd, error) {
	if h.s.isClosed() { // an interrupt: nothing new may start while the rest is removed
		return nil, errors.New("cannot start anything: the session is closed")
	}
	dirs, err := groups(h.group)
	if err != nil {
		return nil, fmt.Errorf("cannot make a cgroup for %s: %w", h.Name, err)
	}
	// A shell enters the groups and becomes nspawn: os/exec can start a process in one cgroup of the unified tree only.
	script := `for g in $GROUPS_TO_ENTER; do echo $$ > $g/cgroup.procs || exit 1; done; unset GROUPS_TO_ENTER; exec systemd-nspawn "$@"`
	all := []string{"-c", script, "systemd-nspawn", "--register=no", "--keep-unit", "-q", "-D", h.Root(), "-M", h.group,
		"--hostname=" + h.Name, "--resolv-conf=off", "--timezone=off"}
	if h.opt.Network != nil {
		all = append(all, "--network-namespace-path=/run/netns/"+h.opt.Network.space(h))
	} else {
		all = append(all, "--private-network")
	}
	for from, to := range h.opt.Binds {
		all = append(all, "--bind-ro="+from+":"+to)
	}
	cmd := exec.CommandContext(ctx, "sh", append(all, args...)...)
	// The second setting makes nspawn give the host a pure cgroup2 tree also on a hybrid machine: systemd of Debian 13 warns
	// about the old one, later ones refuse it.
	cmd.Env = append(cleanEnv(), "GROUPS_TO_ENTER="+strings.Join(dirs, " "), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	return cmd, nil
}

// Boot starts the system and waits until systemd says that it is up.
func (h *Host) Boot(ctx context.Context) error {
	console, err := os.OpenFile(h.consoleLog(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer console.Close()
	cmd, err := h.spawn(context.WithoutCancel(ctx), "--boot")
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true} // an interrupt from the keyboard is ours to handle
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot boot %s: %w", h.Name, err)
	}
	h.nspawn, h.done = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(h.done)
	}()
	return h.waitBooted(ctx)
}

func (h *Host) waitBooted(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // two hundred instances of Postfix take one on a busy machine
	defer cancel()
	for {
		select {
		case <-h.done:
			return fmt.Errorf("cannot boot %s: systemd-nspawn ended: %s", h.Name, h.Console())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("cannot boot %s: %w: %s", h.Name, ctx.Err(), h.Console()), h.Kill())
		case <-time.After(50 * time.Millisecond):
		}
		if h.leader = child(h.nspawn.Process.Pid); h.leader == 0 {
			continue
		}
		// "degraded" is up as well; which units failed is the scenario's business. The exit status is not 0 then.
		state, _ := h.Command(ctx, "systemctl", "is-system-running").Output()
		switch strings.TrimSpace(string(state)) {
		case "running", "degraded":
			return nil
		case "offline": // another init system: runlevel(8) is "N 2" from the moment on in which it starts the services
			if level, _ := h.Command(ctx, "runlevel").Output(); strings.HasPrefix(string(level), "N ") {
				return nil
			}
		}
	}
}

// child gives the one child of a process, 0 if there is none yet.
func child(pid int) int {
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(list)))
	if err != nil {
		return 0
	}
	return n
}

// Console is the end of what the system said on its console.
func (h *Host) Console() string {
	data, err := os.ReadFile(h.consoleLog())
	if err != nil {
		return err.Error()
	}
	return tail(data)
}

func (h *Host) consoleLog() string { return filepath.Join(h.dir, "console.log") }

// haltSignal asks systemd for a clean shutdown: SIGRTMIN+3 as the C library counts, systemd(1).
const haltSignal = unix.Signal(37)

// Stop shuts the system down cleanly; the tree stays and can be booted again.
func (h *Host) Stop() error { return h.end(haltSignal) }

// Kill pulls the plug.
func (h *Host) Kill() error { return h.end(unix.SIGKILL) }

func (h *Host) end(sig unix.Signal) error {
	if h.nspawn == nil {
		return nil
	}
	if h.leader != 0 {
		_ = unix.Kill(h.leader, sig)
	} else {
		_ = h.nspawn.Process.Kill()
	}
	var err error
	if late := h.late(); late != "" {
		select {
		case <-h.done:
			fmt.Printf("  the stop of %s took long; after a quarter of a minute there were\n%s\n", h.Name, late)
		case <-time.After(75 * time.Second): // the longest that systemd waits for a unit of ours is 30 s
			err = fmt.Errorf("cannot stop %s cleanly: %s\n%s", h.Name, h.Console(), late)
			_ = unix.Kill(h.leader, unix.SIGKILL)
			_ = h.nspawn.Process.Kill()
			<-h.done
		}
	}
	h.nspawn, h.leader = nil, 0
	return err
}

// late waits for the end, and after a quarter of a minute gives what still runs, and which signals it does not take.
func (h *Host) late() string {
	select {
	case <-h.done:
		return ""
	case <-time.After(15 * time.Second):
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	said, err := h.Run(ctx, "ps", "-ww", "-eo", "pid,ppid,stat,wchan:20,pending,blocked,ignored,cgroup:60,args")
	if err != nil {
		return err.Error()
	}
	return said
}

// Remove ends the host and deletes it.
func (h *Host) Remove() error {
	err := h.Kill()
	killGroups(h.group)
	removeGroups(h.group)
	if h.opt.Network != nil {
		err = errors.Join(err, h.opt.Network.leave(h))
	}
	if e := unmountBelow(h.dir); e != nil {
		return errors.Join(err, e)
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}

// tail keeps the last lines of an output for a message.
func tail(out []byte) string {
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	if len(lines) > 25 {
		lines = lines[len(lines)-25:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}

// cleanEnv is an environment in which nothing of this machine's is left: a proxy, a debconf frontend, a CA path.
func cleanEnv() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb",
		"DEBIAN_FRONTEND=noninteractive",
	}
}
