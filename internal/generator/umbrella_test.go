package generator

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeSystemctl answers the three questions that the umbrella asks and notes everything else. Each question about the instances
// takes the next answer of the list, the last one again and again.
const fakeSystemctl = `#!/bin/sh
case "$*" in
*--property=Wants*) cat "$0.wants" ;;
*--property=Id*)
	n=$(($(cat "$0.n" 2>/dev/null || echo 0) + 1))
	[ -e "$0.states.$n" ] || n=$((n - 1))
	echo "$n" >"$0.n"
	cat "$0.states.$n" ;;
*--property=Job*) cat "$0.umbrella" ;;
list-jobs*) cat "$0.jobs" ;;
*) echo "$*" >>"$0.log" ;;
esac
`

// state is what "systemctl show" says of an instance.
func state(unit, active, sub, reload string) string {
	return fmt.Sprintf("ReloadResult=%s\nId=%s\nActiveState=%s\nSubState=%s\n", reload, unit, active, sub)
}

func TestUmbrella(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../systemd/umbrella")
	if err != nil {
		t.Fatal(err)
	}
	const a, b = "postfix@-.service", `postfix@b\x2d.service`
	good := state(a, "active", "running", "success") + "\n" + state(b, "active", "running", "success")
	bad := state(a, "active", "running", "success") + "\n" + state(b, "failed", "failed", "success")
	retry := state(a, "activating", "auto-restart", "success") + "\n" + state(b, "active", "running", "success")
	busy := state(a, "activating", "start", "success") + "\n" + state(b, "active", "running", "success")
	stale := state(a, "active", "running", "exit-code") + "\n" + state(b, "active", "running", "success")
	stopped := state(a, "inactive", "dead", "exit-code") + "\n" + state(b, "active", "running", "success")
	const up, down, off, queued = "Job=\nActiveState=active\n", "Job=\nActiveState=failed\n", "Job=\nActiveState=inactive\n", "Job=17\nActiveState=failed\n"
	const alone = "--no-block --job-mode=ignore-dependencies "
	for name, c := range map[string]struct {
		action   string
		states   []string
		umbrella string
		jobs     string
		code     int
		stderr   string
		log      string
	}{
		"start: all run":                            {action: "start", states: []string{good}},
		"start: one has failed":                     {action: "start", states: []string{bad}, code: 1, stderr: b + " does not run"},
		"start: one waits for its next try":         {action: "start", states: []string{retry}, code: 1, stderr: a + " does not run"},
		"start: one is stopped, that is no failure": {action: "start", states: []string{stopped}},
		"start: an old refusal to reload is none":   {action: "start", states: []string{stale}},
		"reload: all did":                           {action: "reload", states: []string{good}},
		"reload: one refused":                       {action: "reload", states: []string{stale}, code: 1, stderr: a + " kept its old configuration"},
		"reload: one has failed":                    {action: "reload", states: []string{bad}, code: 1, stderr: b + " does not run"},
		"stop stops all and waits": {
			action: "stop", jobs: "12 postfix.service stop running\n", log: "--job-mode=ignore-dependencies stop postfix@*.service\n",
		},
		"a restart is no stop":                {action: "stop", jobs: "12 postfix.service restart running\n"},
		"watch: nothing to say":               {action: "watch", states: []string{good}, umbrella: up},
		"watch: one has failed":               {action: "watch", states: []string{bad}, umbrella: up, log: alone + "restart postfix.service\n"},
		"watch: one has failed, said already": {action: "watch", states: []string{bad}, umbrella: down},
		"watch: all run again":                {action: "watch", states: []string{good}, umbrella: down, log: alone + "start postfix.service\n"},
		"watch: stopped stays stopped":        {action: "watch", states: []string{good}, umbrella: off},
		"watch: a job will find out":          {action: "watch", states: []string{good}, umbrella: queued},
		"watch: what starts is waited for": {
			action: "watch", states: []string{busy, busy, bad}, umbrella: up, log: alone + "restart postfix.service\n",
		},
		"watch: what starts meanwhile is seen": {
			action: "watch", states: []string{bad, busy, bad, bad}, umbrella: up,
			log: alone + "restart postfix.service\n" + alone + "restart postfix.service\n",
		},
		"nonsense": {action: "go", code: 2, stderr: "usage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := filepath.Join(t.TempDir(), "systemctl")
			files := map[string]string{
				"": fakeSystemctl, ".wants": "other.service " + a + " " + b + "\n", ".umbrella": c.umbrella, ".jobs": c.jobs,
			}
			for n, s := range c.states {
				files[fmt.Sprintf(".states.%d", n+1)] = s
			}
			for suffix, text := range files {
				if err := os.WriteFile(fake+suffix, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			text := strings.ReplaceAll(string(script), "/bin/systemctl", fake)
			cmd := exec.Command("/bin/sh", "-c", text, "umbrella", c.action)
			var stderr strings.Builder
			cmd.Stderr = &stderr
			err := cmd.Run()
			code := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != c.code || !strings.Contains(stderr.String(), c.stderr) || c.stderr == "" && stderr.Len() > 0 {
				t.Errorf("exit %d, said %q; want %d, %q", code, &stderr, c.code, c.stderr)
			}
			log, _ := os.ReadFile(fake + ".log")
			if diff := cmp.Diff(c.log, string(log)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestStrays has two masters run outside of their units; one of them has no unit that takes it.
func TestStrays(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../systemd/umbrella")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	master := exec.Command("sleep", "1000")
	if err := master.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Process.Kill(); _ = master.Wait() })
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", master.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	fake := filepath.Join(dir, "systemctl")
	table := fmt.Sprintf("postfix@-.service %[1]s/none\npostfix@a\\x2b.service %[1]s/a b\npostfix@dead.service %[1]s/dead\npostfix@other.service %[1]s/other\n", dir)
	for name, text := range map[string]string{
		"systemctl": fakeSystemctl, "table": table,
		"a b/pid/master.pid":   fmt.Sprintf("%10d\n", master.Process.Pid),
		"dead/pid/master.pid":  "4194304\n",                      // more than any process has
		"other/pid/master.pid": fmt.Sprintf("%d\n", os.Getpid()), // a number that another program has now
	} {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.NewReplacer("/bin/systemctl", fake, "/run/systemd/generator/postfix-instances", filepath.Join(dir, "table"),
		"/usr/lib/postfix/sbin/master*", exe, "sleep 1", "sleep 0", "sleep 2", "sleep 0").Replace(string(script))
	if said, err := exec.Command("/bin/sh", "-c", text, "umbrella", "strays").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, said)
	}
	log, _ := os.ReadFile(fake + ".log")
	if want := "--no-block start -- postfix@a\\x2b.service\n"; string(log) != want {
		t.Errorf("systemctl was called %q, want %q", log, want)
	}
}
