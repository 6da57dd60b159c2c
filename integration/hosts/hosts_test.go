//go:build integration

package hosts

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHosts(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	s, err := Open(t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left := ownGroups(s.prefix + "-*"); len(left) > 0 {
			t.Errorf("cgroups left behind: %v", left)
		}
		if left, _ := filepath.Glob("/run/netns/" + s.prefix + "-*"); len(left) > 0 {
			t.Errorf("network namespaces left behind: %v", left)
		}
		if _, err := os.Stat(s.dir); err == nil {
			t.Errorf("%s is left behind", s.dir)
		}
	}()
	net, err := s.NewNetwork(ctx)
	if err != nil {
		t.Fatal(err)
	}
	boot := func(name string, opt Options) *Host {
		t.Helper()
		start := time.Now()
		h, err := s.NewHost(ctx, name, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: booted after %v", name, time.Since(start))
		return h
	}
	opt, err := s.Layer(ctx, "mark", Options{Network: net, Mail: []string{"mail.test"}}, func(h *Host) error {
		_, err := h.Sh(ctx, "echo marked > /etc/mark; hostname")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	a, b := boot("a", opt), boot("b", Options{Release: "trixie", Network: net})
	if out, err := exec.CommandContext(ctx, "ip", "-n", net.name, "link", "show", "br0").Output(); err != nil || !strings.Contains(string(out), bridgeMAC) {
		t.Errorf("the bridge took another MAC with its ports: %s %v", out, err)
	}
	for _, c := range []struct {
		h            *Host
		script, want string
	}{
		{a, "cat /etc/mark; hostname -f", "marked\na.example.test\n"},
		{b, "hostname -f; test ! -e /etc/mark", "b.example.test\n"},
		{b, "getent hosts a.example.test | tr -s ' '", a.Address() + " a.example.test\n"},
		{b, "systemctl --failed --no-legend; stat -fc %T /sys/fs/cgroup", "cgroup2fs\n"},
	} {
		got, err := c.h.Sh(ctx, c.script)
		if err != nil || got != c.want {
			t.Errorf("%s: %s: got %q, want %q (%v)", c.h.Name, c.script, got, c.want, err)
		}
	}
	if out, err := a.Unit(ctx, "sh", "-c", "cat /proc/self/cgroup"); err != nil || !strings.Contains(out, "run-") {
		t.Errorf("unit: %q %v", out, err)
	}
	if _, err := b.Sh(ctx, "nc -l 25 </dev/null >/tmp/got 2>&1 & sleep 0.3"); err != nil {
		t.Error(err)
	}
	conn, err := a.Dial(ctx, "tcp", b.Address()+":25")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := net.Cut(ctx, b); err != nil {
		t.Error(err)
	}
	if _, err := a.Sh(ctx, "timeout 2 bash -c '</dev/tcp/"+b.Address()+"/25'"); err == nil {
		t.Error("connected through a cut cable")
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	if err := b.Boot(ctx); err != nil {
		t.Error(err)
	}
	if err := a.Kill(); err != nil {
		t.Error(err)
	}
	if out, err := a.Run(ctx, "cat", "/etc/mark"); err != nil || out != "marked\n" {
		t.Errorf("not booted: %q %v", out, err)
	}
	if err := a.Remove(); err != nil {
		t.Error(err)
	}
}
