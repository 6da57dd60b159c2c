//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
)

// adoptedHost gives a host with Debian's Postfix and our package, not booted, whose services may not start, and with killat.
func adoptedHost(ctx context.Context, t *testing.T, release string, script string) hosts.Options {
	t.Helper()
	killat := buildKillat(ctx, t)
	opt, err := session.Layer(ctx, "adopt-kill-"+release, debianHost(ctx, t, release), func(h *hosts.Host) error {
		program, err := os.ReadFile(killat)
		if err != nil {
			return err
		}
		for name, content := range map[string]string{"usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n", "usr/local/sbin/killat": string(program)} {
			if err := os.WriteFile(filepath.Join(h.Root(), name), []byte(content), 0o755); err != nil {
				return err
			}
		}
		_, err = h.Sh(ctx, "apt-get install -y -q /ours/postfix-maint_*.deb")
		return err
	})
	if err != nil || script == "" {
		if err != nil {
			t.Fatal(err)
		}
		return opt
	}
	opt, err = session.Layer(ctx, "adopt-kill-in-force-"+release, opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, script)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// adoptKill runs a command of adopt under killat, which ends it at a call, and then again.
type adoptKill struct {
	name    string
	opt     hosts.Options
	command string // arguments of postfix-maint
	killat  string // options of killat
	between string // what must work before the command runs again
}

// TestAdoptKill ends "adopt --install" and "adopt --revert" by kill -9 at each of their own calls that change a file; apt must work right
// then. Some more are ended while apt-get and dpkg, which they started, are at work. Run again, the host must be as if nothing had been.
func TestAdoptKill(t *testing.T) {
	eachRelease(t, 2, func(ctx context.Context, t *testing.T, release string) {
		const own = "-alone -own -skip /var/lib/postfix-maint/adopt.work/"
		const aptWorks = "apt-get check -qq && apt-get update -q && apt-get -s -q install postfix-pcre"
		plain, inForce := adoptedHost(ctx, t, release, ""), adoptedHost(ctx, t, release, "postfix-maint adopt --install")
		step := *killStep
		if release != "bookworm" { // the same program makes the same calls there
			step *= 3
		}
		for _, k := range []adoptKill{
			{"install", plain, "adopt --install", own, aptWorks},
			{"revert", inForce, "adopt --revert", own, aptWorks},
			{"install while apt works", plain, "adopt --install", "-alone -skip /var/lib/postfix-maint/adopt.work/", "true"},
			{"revert while apt works", inForce, "adopt --revert", "-alone -skip /var/lib/postfix-maint/adopt.work/", "true"},
		} {
			want, calls := k.undisturbed(ctx, t)
			n := step
			if k.between == "true" {
				n = len(calls)/(12/step+1) + 1 // thousands of calls
			}
			if len(calls) < 10 {
				t.Errorf("%s: only %d calls were seen: %q", k.name, len(calls), calls)
			}
			bad := killEach(ctx, calls, n, func(call int) error { return k.once(ctx, call, want) })
			for what, at := range bad {
				t.Errorf("%s: killed at %d calls (%s): %s", k.name, len(at), strings.Join(at, "; "), what)
			}
			t.Logf("%s: killed at every %d. of %d calls:\n%s", k.name, n, len(calls), strings.Join(calls[:min(len(calls), 150)], "\n"))
		}
		if ctx.Err() != nil {
			t.Errorf("not every call was reached: %v", ctx.Err())
		}
	})
}

func (k adoptKill) run(n int) string {
	return fmt.Sprintf("killat -n %d -log /killat.log %s /usr/sbin/postfix-maint %s", n, k.killat, k.command)
}

// undisturbed gives the host after the command, and the calls that were made.
func (k adoptKill) undisturbed(ctx context.Context, t *testing.T) (map[string]string, []string) {
	t.Helper()
	h := newHost(ctx, t, "mail", k.opt)
	t.Logf("%s", sh(ctx, t, h, k.run(0)))
	log, err := os.ReadFile(filepath.Join(h.Root(), "killat.log"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := adoptFiles(ctx, h)
	if err != nil {
		t.Fatal(err)
	}
	return files, strings.Split(strings.TrimSpace(string(log)), "\n")
}

// once kills at call n, runs the command again, and compares.
func (k adoptKill) once(ctx context.Context, n int, want map[string]string) error {
	h, err := session.NewHost(ctx, "mail", k.opt)
	if err != nil {
		return err
	}
	defer h.Remove()
	said, err := h.Sh(ctx, fmt.Sprintf(`if %s > /dev/null 2>&1; then echo "the kill did not happen"; exit 1; fi
		%s
		postfix-maint %s
		echo "=== third"; postfix-maint %[3]s; apt-get update -q; apt-get check -qq; dpkg --audit`, k.run(n), k.between, k.command))
	if err != nil {
		return err
	}
	if _, third, _ := strings.Cut(said, "=== third\n"); !strings.HasPrefix(third, "nothing to do\n") {
		return fmt.Errorf("a third run says %q", third)
	}
	got, err := adoptFiles(ctx, h)
	if err != nil {
		return err
	}
	return sameFiles(want, got)
}

// adoptVolatile are files of a whole run of apt and dpkg that tell of the run itself. The list of what is in a chroot has the times at
// which it was copied.
var adoptVolatile = regexp.MustCompile(`^/(var/cache/apt|var/lib/apt|var/cache/ldconfig|var/cache/debconf/|var/lib/postfix-maint/(chroot/|history))`)

// dates are those of a Release file.
var dates = regexp.MustCompile(`(?m)^Date: .*`)

// adoptFiles is changed, without what apt and dpkg keep of the run itself.
func adoptFiles(ctx context.Context, h *hosts.Host) (map[string]string, error) {
	files, err := changed(ctx, h)
	for name, text := range files {
		if adoptVolatile.MatchString(name) {
			delete(files, name)
			continue
		}
		files[name] = dates.ReplaceAllString(text, "Date: some time")
	}
	return files, err
}
