//go:build integration

package integration

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// killWrapper stands in for postfix-maint: as the postinst it runs under killat, which ends it at the call /killat.n asks for.
const killWrapper = `#!/bin/sh
if [ "$1" = postinst ] && [ -e /killat.n ]; then
	exec /usr/local/sbin/killat -n "$(cat /killat.n)" -log /killat.log /usr/sbin/postfix-maint.real "$@"
fi
exec /usr/sbin/postfix-maint.real "$@"
`

var killStep = flag.Int("killstep", 1, "kill at every n-th call only")

// TestKill ends the postinst of a first installation by kill -9, together with the debconf frontend that waits for it, at each
// call by which it or a program of it changes a file, one run each (on Debian 13 at every third call). After "dpkg --configure -a" all files must be
// those of a run that nobody disturbed.
func TestKill(t *testing.T) {
	eachRelease(t, 2, func(ctx context.Context, t *testing.T, release string) {
		opt := unpacked(ctx, t, release)
		want, calls := undisturbed(ctx, t, opt)
		if len(calls) < 10 {
			t.Fatalf("only %d calls were seen: %q", len(calls), calls)
		}
		step := *killStep
		if release != "bookworm" { // the same program makes the same calls there: some of them are enough
			step *= 3
		}
		bad := killEach(ctx, calls, step, func(n int) error { return killOnce(ctx, opt, n, want) })
		if ctx.Err() != nil {
			t.Errorf("not every call was reached: %v", ctx.Err())
		}
		for _, what := range slices.Sorted(maps.Keys(bad)) {
			t.Errorf("killed at %d calls (%s): %s", len(bad[what]), strings.Join(bad[what], "; "), what)
		}
		t.Logf("killed at every %d. of %d calls:\n%s", step, len(calls), strings.Join(calls, "\n"))
	})
}

// killEach has once kill at every step-th call, two hosts at a time, and gives what went wrong with the calls at which it did.
func killEach(ctx context.Context, calls []string, step int, once func(n int) error) map[string][]string {
	bad := map[string][]string{}
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := -step
	for range 2 {
		workers.Go(func() {
			for {
				mu.Lock()
				next += step
				n := next
				mu.Unlock()
				if n >= len(calls) || ctx.Err() != nil {
					return
				}
				if err := once(n + 1); err != nil {
					mu.Lock()
					bad[err.Error()] = append(bad[err.Error()], calls[n])
					mu.Unlock()
				}
			}
		})
	}
	workers.Wait()
	return bad
}

// buildKillat builds the program and gives its path.
func buildKillat(ctx context.Context, t *testing.T) string {
	t.Helper()
	killat := filepath.Join(t.TempDir(), "killat")
	build := exec.CommandContext(ctx, "go", "build", "-o", killat, "./killat")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("cannot build killat: %v: %s", err, out)
	}
	return killat
}

// unpacked is a host on which all is unpacked and answered, only Postfix is not configured yet. No service may start.
func unpacked(ctx context.Context, t *testing.T, release string) hosts.Options {
	t.Helper()
	killat := buildKillat(ctx, t)
	opt, err := session.Layer(ctx, "unpacked-"+release, source(ctx, t, release, product.Ours), func(h *hosts.Host) error {
		answers := product.Answers{
			"main_mailer_type": "Internet with smarthost", "mailname": "mail.example.test", "relayhost": "[relay.example.test]:587",
			"root_address": "anna", "recipient_delim": "-", "destinations": "mail.example.test, localhost",
			"maint_relay_account": "anna", "maint_relay_password": "geheim",
		}
		if err := product.Preseed(ctx, h, answers); err != nil {
			return err
		}
		program, err := os.ReadFile(killat)
		if err != nil {
			return err
		}
		for name, content := range map[string]string{
			"usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n", "usr/local/sbin/killat": string(program), "wrapper": killWrapper,
		} {
			if err := os.WriteFile(filepath.Join(h.Root(), name), []byte(content), 0o755); err != nil {
				return err
			}
		}
		_, err = h.Sh(ctx, `dpkg --unpack /packages/postfix-maint_*.deb /packages/postfix_*.deb
			dpkg --configure postfix-maint
			mv /usr/sbin/postfix-maint /usr/sbin/postfix-maint.real; mv /wrapper /usr/sbin/postfix-maint`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// undisturbed configures once without a kill and gives the resulting files and the calls that were made.
func undisturbed(ctx context.Context, t *testing.T, opt hosts.Options) (map[string]string, []string) {
	t.Helper()
	h := newHost(ctx, t, "mail", opt)
	said := sh(ctx, t, h, "echo 0 > /killat.n; dpkg --configure -a")
	t.Logf("dpkg said:\n%s", said)
	log, err := os.ReadFile(filepath.Join(h.Root(), "killat.log"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := changed(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	return files, strings.Split(strings.TrimSpace(string(log)), "\n")
}

// killOnce kills at call n, configures again, and compares.
func killOnce(ctx context.Context, opt hosts.Options, n int, want map[string]string) error {
	h, err := session.NewHost(ctx, "mail", opt)
	if err != nil {
		return err
	}
	defer h.Remove()
	said, err := h.Sh(ctx, fmt.Sprintf(`echo %d > /killat.n
		if dpkg --configure -a; then echo "the kill did not happen"; exit 1; fi
		rm /killat.n
		echo "=== again"; dpkg --configure -a`, n))
	if err != nil {
		return err
	}
	got, err := changed(ctx, h)
	if err != nil {
		return err
	}
	if err := sameFiles(want, got); err != nil {
		return err
	}
	_, again, _ := strings.Cut(said, "=== again")
	for _, word := range []string{"WARNING: alias", "WARNING: main.cf"} {
		if strings.Contains(again, word) {
			return fmt.Errorf("the second run warns:%s", again)
		}
	}
	return nil
}

// sameFiles compares what a host has after it was killed with one that was not.
func sameFiles(want, got map[string]string) error {
	if names := differing(want, got); len(names) > 0 {
		text := ""
		for _, name := range names {
			text += "\n  " + numbers.ReplaceAllString(name, "N") + onlyIn("undisturbed", want[name], got[name]) + onlyIn("killed", got[name], want[name])
		}
		return fmt.Errorf("these files differ:%s", text)
	}
	return nil
}

// numbers are those of temporary files: the same fault with another number is the same fault.
var numbers = regexp.MustCompile(`\d{5,}`)

// onlyIn lists the lines that one description of a file has and the other has not.
func onlyIn(side, one, other string) string {
	text, n := "", 0
	for line := range strings.Lines(one) {
		if !strings.Contains("\n"+other, "\n"+line) {
			if n++; n > 6 {
				return text + "\n    ..."
			}
			text += fmt.Sprintf("\n    %s: %s", side, strings.TrimSpace(line))
		}
	}
	return text
}

// volatile are files that tell of the runs themselves: dpkg's and debconf's books' former versions, logs, our own; and what
// useradd, groupadd and deb-systemd-helper leave when they are killed, which their next run takes over. The tables' indexes and
// debconf's database are compared by what stands in them.
var volatile = regexp.MustCompile(`^/(var/lib/dpkg/(status|status-old|lock|lock-frontend|triggers/Lock|updates|statoverride-(old|new))|` +
	`var/cache/debconf/(.*-old|passwords\.dat|config\.dat)|var/lib/systemd/deb-systemd-helper-enabled/\.state.*|var/log/.*|killat\.(n|log)|etc/\.pwd\.lock|tmp|root|run|` +
	`etc/(passwd|group)([-+]|\.lock|\.\d+)|etc/g?shadow.*|etc/aliases\.db|etc/postfix/sasl_passwd\.db)$`)

// changed describes every file of a host that differs from the layers below: kind, mode, owner, content.
func changed(ctx context.Context, h *hosts.Host) (map[string]string, error) {
	top, files := h.Changes(), map[string]string{}
	for name, script := range map[string]string{
		"what /etc/aliases.db holds":   "postalias -s hash:/etc/aliases | grep -v ^YP_LAST_MODIFIED | sort",
		"what sasl_passwd.db holds":    "postmap -s hash:/etc/postfix/sasl_passwd",
		"what debconf's database says": "debconf-show postfix | sort; grep -c geheim /var/cache/debconf/passwords.dat || true",
	} {
		out, err := h.Sh(ctx, script)
		if err != nil {
			return nil, err
		}
		files[name] = out
	}
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, top)
		if err != nil || name == "" || volatile.MatchString(name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%v %d:%d", info.Mode(), stat.Uid, stat.Gid)
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if len(data) < 1<<17 && utf8.Valid(data) {
				text += "\n" + string(data)
			} else {
				text += fmt.Sprintf(" %x\n", sha256.Sum256(data))
			}
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			text += " -> " + target + "\n"
		}
		files[name] = text
		return nil
	})
	return files, err
}
