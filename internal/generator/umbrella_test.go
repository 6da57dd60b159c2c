package generator

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

// fakeSystemctl answers the two questions that the umbrella asks and notes everything else. Each question about the instances
// takes the next answer of the list, the last one again and again.
const fakeSystemctl = `#!/bin/sh
case "$*" in
*--property=Wants*) cat "$0.wants" ;;
*--property=Id*)
	n=$(($(cat "$0.n" 2>/dev/null || echo 0) + 1))
	[ -e "$0.states.$n" ] || n=$((n - 1))
	echo "$n" >"$0.n"
	later=umbrella; [ "$n" = 1 ] || later=later
	echo Id=postfix.service; cat "$0.$later"; echo; cat "$0.states.$n" ;;
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
	none := state(a, "inactive", "dead", "success") + "\n" + state(b, "inactive", "dead", "success")
	dead := state(a, "inactive", "dead", "success") + "\n" + state(b, "failed", "failed", "success")
	reloading := state(a, "reloading", "reload", "success") + "\n" + state(b, "inactive", "dead", "success")
	const up, down, off, queued = "Job=\nActiveState=active\n", "Job=\nActiveState=failed\n", "Job=\nActiveState=inactive\n", "Job=17\nActiveState=failed\n"
	const alone = "--no-block --job-mode=ignore-dependencies "
	for name, c := range map[string]struct {
		action   string
		wants    string
		states   []string
		umbrella string
		later    string // what umbrella becomes after the first look
		jobs     string
		code     int
		stderr   string
		log      string
	}{
		"start: all run":                                 {action: "start", states: []string{good}},
		"start: one has failed":                          {action: "start", states: []string{bad}, code: 1, stderr: b + " does not run"},
		"start: one waits for its next try":              {action: "start", states: []string{retry}, code: 1, stderr: a + " does not run"},
		"start: one is stopped, that is no failure":      {action: "start", states: []string{stopped}},
		"start: an old refusal to reload does not count": {action: "start", states: []string{stale}},
		"reload: all did":                                {action: "reload", states: []string{good}},
		"reload: one refused":                            {action: "reload", states: []string{stale}, code: 1, stderr: a + " kept its old configuration"},
		"reload: one has failed":                         {action: "reload", states: []string{bad}, code: 1, stderr: b + " does not run"},
		"stop stops all and waits": {
			action: "stop", jobs: "12 postfix@-.service stop waiting\n", log: "--job-mode=ignore-dependencies stop postfix@*.service\n",
		},
		"a restart is no stop":                 {action: "stop", jobs: "12 postfix@-.service restart waiting\n"},
		"stopped for the truth, it stops none": {action: "stop"},
		"watch: nothing to say":                {action: "watch", states: []string{good}, umbrella: up},
		"watch: one has failed":                {action: "watch", states: []string{bad}, umbrella: up, log: alone + "restart postfix.service\n"},
		"watch: one has failed, said already":  {action: "watch", states: []string{bad}, umbrella: down},
		"watch: all run again":                 {action: "watch", states: []string{good}, umbrella: down, log: alone + "start postfix.service\n"},
		"watch: one was started by itself, or taken over": {
			action: "watch", states: []string{good}, umbrella: off, log: alone + "start postfix.service\n",
		},
		"watch: one runs, another has failed":    {action: "watch", states: []string{bad}, umbrella: off, log: alone + "start postfix.service\n"},
		"watch: one of them is stopped":          {action: "watch", states: []string{stopped}, umbrella: up},
		"watch: all are stopped, whoever did it": {action: "watch", states: []string{none}, umbrella: up, log: alone + "stop postfix.service\n"},
		"watch: all are stopped, it had failed":  {action: "watch", states: []string{none}, umbrella: down, log: "reset-failed postfix.service\n"},
		"watch: stopped stays stopped":           {action: "watch", states: []string{none}, umbrella: off},
		"watch: stopped, one had failed before":  {action: "watch", states: []string{dead}, umbrella: off},
		"watch: nobody says what belongs to it":  {action: "watch", wants: "other.service", states: []string{none}, umbrella: up},
		"watch: a reload is no end":              {action: "watch", states: []string{reloading}, umbrella: up},
		"watch: a job that may have looked already is waited for": {
			action: "watch", states: []string{good, good}, umbrella: queued, later: down, log: alone + "start postfix.service\n",
		},
		"watch: a job that found out": {action: "watch", states: []string{good, good}, umbrella: queued, later: up},
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
				"": fakeSystemctl, ".wants": cmp.Or(c.wants, "other.service "+a+" "+b) + "\n", ".umbrella": c.umbrella, ".later": cmp.Or(c.later, c.umbrella), ".jobs": c.jobs,
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
			if diff := gocmp.Diff(c.log, string(log)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
