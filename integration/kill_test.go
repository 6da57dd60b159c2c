//go:build integration

package integration

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// killShell runs a maintainer script in the place of sh. The one that /killat.script names runs under killat, with all that it
// starts: debconf's frontend, config, postfix-maint.
const killShell = `#!/bin/sh
case ${KILLAT:-$1} in *[./]"$(cat /killat.script 2>/dev/null)")
	export KILLAT=begun
	# shellcheck disable=SC2046 # words
	exec /usr/local/sbin/killat -log /killat.log $(cat /killat.how) /bin/sh "$@"
esac
exec /bin/sh "$@"
`

var killStep = flag.Int("killstep", 1, "TestKill, TestBadDisk: disturb fewer calls; 1 is every one")

// step is one run of dpkg that is disturbed.
type step struct {
	name   string
	script string // the maintainer script that is traced
	state  string // of the host: see killHost
	before string // what is done to it first
	do     string // the command that runs the script
	again  string // what heals it: the same once more, and dpkg --configure -a
	mend   string // what heals a warning besides: the next occasion at which it is done again
	below  string // process that stays when the rest is killed
}

// steps are the runs of dpkg of a package's life in which our scripts change files. Config is part of postinst's: the frontend
// of debconf runs it first.
var steps = []step{
	{
		name: "config and postinst", script: "postinst", state: "unpacked", before: login, below: "dpkg",
		do: configureAll, again: configureAll, mend: reconfigureIt,
	},
	{
		name: "preinst", script: "preinst", state: "empty", below: "dpkg",
		do: "dpkg --unpack /killed.deb", again: "dpkg --unpack /killed.deb",
	},
	{
		name: "prerm", script: "prerm", state: "configured", below: "dpkg",
		do: "dpkg -r postfix", again: configureAll + "; dpkg -r postfix", mend: "dpkg -i /killed.deb; dpkg -r postfix",
	},
	{
		name: "postinst of dpkg-reconfigure", script: "postinst", state: "configured", before: wish, below: "bash",
		do: reconfigureIt, again: reconfigureIt, mend: reconfigureIt,
	},
	{
		name: "config and postinst of an upgrade", script: "postinst", state: "configured", before: "dpkg --unpack /killed2.deb", below: "dpkg",
		do: configureAll, again: configureAll, mend: reconfigureIt,
	},
}

const (
	configureAll  = "dpkg --configure -a"
	reconfigureIt = "dpkg-reconfigure -f noninteractive postfix"
)

// eachStep runs a scenario on two hosts for every step on every release.
func eachStep(t *testing.T, do func(ctx context.Context, t *testing.T, release string, s step)) {
	t.Parallel()
	for _, release := range releases() {
		for _, s := range steps {
			t.Run(release+"/"+s.name, func(t *testing.T) { do(scenario(t, 2), t, release, s) })
		}
	}
}

// login is a relay that wants one: the password may end in its table only.
const login = `echo 'postfix postfix/main_mailer_type select Internet with smarthost
postfix postfix/relayhost string [relay.example.test]:587
postfix postfix/maint_relay_account string anna
postfix postfix/maint_relay_password password geheim' | debconf-set-selections`

// wish is something for dpkg-reconfigure to do.
const wish = `echo 'postfix postfix/mynetworks string 127.0.0.0/8, 10.0.0.0/8
postfix postfix/root_address string bert' | debconf-set-selections`

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

// killHost gives a host in the state that a step begins in: "empty" has postfix-maint only, on "unpacked" Postfix is unpacked and
// answered, on "configured" it is configured as well. No service may start.
func killHost(ctx context.Context, t *testing.T, release, state string) hosts.Options {
	t.Helper()
	killat := buildKillat(ctx, t)
	opt := source(ctx, t, release, product.Ours)
	for _, layer := range []struct{ state, script string }{
		{"empty", ""},
		{"unpacked", "dpkg --unpack /killed.deb"},
		{"configured", configureAll + "; /usr/libexec/postfix-maint/configure-instance"},
	} {
		var err error
		opt, err = session.Layer(ctx, "kill-"+layer.state+"-"+release, opt, func(h *hosts.Host) error {
			if layer.script == "" {
				return prepareKill(ctx, h, killat)
			}
			_, err := h.Sh(ctx, layer.script)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if layer.state == state {
			break
		}
	}
	return opt
}

func prepareKill(ctx context.Context, h *hosts.Host, killat string) error {
	answers := product.Answers{
		"main_mailer_type": "Internet Site", "mailname": "mail.example.test",
		"root_address": "anna", "recipient_delim": "-", "destinations": "mail.example.test, localhost",
	}
	if err := product.Preseed(ctx, h, answers); err != nil {
		return err
	}
	program, err := os.ReadFile(killat)
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n", "usr/local/sbin/killat": string(program), "usr/local/sbin/killsh": killShell,
	} {
		if err := os.WriteFile(filepath.Join(h.Root(), name), []byte(content), 0o755); err != nil {
			return err
		}
	}
	_, err = h.Sh(ctx, `dpkg -i /packages/postfix-maint_*.deb
		dpkg-deb -R /packages/postfix_*.deb /tmp/deb
		sed -i '1s,.*,#!/usr/local/sbin/killsh,' /tmp/deb/DEBIAN/preinst /tmp/deb/DEBIAN/prerm /tmp/deb/DEBIAN/postinst
		dpkg-deb --root-owner-group -Znone -b /tmp/deb /killed.deb
		sed -i '/^Version:/s/$/.1/' /tmp/deb/DEBIAN/control
		dpkg-deb --root-owner-group -Znone -b /tmp/deb /killed2.deb; rm -r /tmp/deb`)
	return err
}

// TestKill ends each step by kill -9, together with the debconf frontend that waits for it, at each call by which it or a
// program of it changes a file, one run each (on Debian 13 at every third call). Afterwards the step is repeated: all files must
// be those of a run that nobody disturbed.
func TestKill(t *testing.T) {
	eachStep(t, func(ctx context.Context, t *testing.T, release string, s step) {
		s.disturbAll(ctx, t, release, 3**killStep-2, debconfs, func(opt hosts.Options, n int, want aftermath) error { return s.kill(ctx, opt, n, want) })
	})
}

// debconfs is a call before which debconf's database is not there: it has renamed the old one and not yet the new one. Who is
// killed then has lost all answers to all packages, with any maintainer script; config.dat-old is what is left of them.
var debconfs = regexp.MustCompile(`^\d+ frontend call 82 /var/cache/debconf/config\.dat$`)

// disturbAll runs a step undisturbed and then once for each call but those to leave alone, two hosts at a time.
func (s step) disturbAll(ctx context.Context, t *testing.T, release string, every int, leave *regexp.Regexp, disturb func(hosts.Options, int, aftermath) error) {
	opt := killHost(ctx, t, release, s.state)
	want, calls := s.undisturbed(ctx, t, opt)
	if len(calls) < 3 {
		t.Fatalf("%s: only %d calls were seen: %q", s.name, len(calls), calls)
	}
	if release != "bookworm" { // the same program makes the same calls there: some of them are enough
		every *= 3
	}
	runs := atomic.Int32{}
	bad := killEach(ctx, calls, every, func(n int) error {
		if leave != nil && leave.MatchString(calls[n-1]) {
			return nil
		}
		runs.Add(1)
		return disturb(opt, n, want)
	})
	if ctx.Err() != nil {
		t.Errorf("%s: not every call was reached: %v", s.name, ctx.Err())
	}
	for _, what := range slices.Sorted(maps.Keys(bad)) {
		t.Errorf("%s: disturbed at %d calls (%s): %s", s.name, len(bad[what]), strings.Join(bad[what], "; "), what)
	}
	t.Logf("%s: disturbed at %d of %d calls:\n%s", s.name, runs.Load(), len(calls), strings.Join(calls, "\n"))
}

// begin sets the step going: n is the call, 0 none.
func (s step) begin(n int, fault string) string {
	how := fmt.Sprintf("-n %d -below %s", n, s.below)
	if fault != "" {
		how += " -error " + fault
	}
	return fmt.Sprintf("%s\necho %s > /killat.script; echo '%s' > /killat.how\n", s.before, s.script, how)
}

// killEach has once disturb every step-th call, two hosts at a time, and gives what went wrong with the calls at which it did.
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

// aftermath is the files that an undisturbed step leaves, and those after what mends a warning was done as well.
type aftermath struct{ plain, mended map[string]string }

// undisturbed goes the step without a kill and gives the resulting files and the calls that were made.
func (s step) undisturbed(ctx context.Context, t *testing.T, opt hosts.Options) (aftermath, []string) {
	t.Helper()
	var result aftermath
	var calls []string
	for _, kind := range []struct {
		files  *map[string]string
		script string
	}{{&result.plain, ""}, {&result.mended, s.mend}} {
		h := newHost(ctx, t, "mail", opt)
		sh(ctx, t, h, s.begin(0, "")+s.do+"\nrm /killat.script\n"+kind.script)
		log, err := os.ReadFile(filepath.Join(h.Root(), "killat.log"))
		if err != nil {
			t.Fatal(err)
		}
		if *kind.files, err = changed(ctx, h); err != nil {
			t.Fatal(err)
		}
		calls = strings.Split(strings.TrimSpace(string(log)), "\n")
	}
	return result, calls
}

// kill kills at call n, repeats the step, and compares.
func (s step) kill(ctx context.Context, opt hosts.Options, n int, want aftermath) error {
	h, err := session.NewHost(ctx, "mail", opt)
	if err != nil {
		return err
	}
	defer h.Remove()
	said, err := h.Sh(ctx, s.begin(n, "")+fmt.Sprintf(`if %s; then echo "the kill did not happen"; exit 1; fi
		rm /killat.script
		echo "=== again"; %s`, s.do, s.again)+describe)
	if err != nil {
		return err
	}
	_, again, _ := strings.Cut(said, "=== again")
	return compare(h, again, want.plain)
}

// compare says how a host differs from an undisturbed one, after a run that said this.
func compare(h *hosts.Host, said string, want map[string]string) error {
	got, err := described(h, said)
	if err != nil {
		return err
	}
	if err := sameFiles(want, got); err != nil {
		return err
	}
	for _, word := range []string{"WARNING: alias", "WARNING: main.cf"} {
		if strings.Contains(said, word) {
			return fmt.Errorf("the run that heals warns:%s", said)
		}
	}
	return nil
}
