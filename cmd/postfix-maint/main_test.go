package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func TestPasswordLine(t *testing.T) {
	for text, want := range map[string]string{
		"geheim": "geheim", "geheim\n": "geheim", "geheim\r\n": "geheim", "\ufeffgeheim\r\n": "geheim", " a b ": " a b ", "\t\n": "\t",
		"": "", "\n": "", "\r\n": "", "\ufeff": "", "a\nb\n": "", "a\n\n": "", "\na": "",
	} {
		if got, err := passwordLine(text); string(got) != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "a\n") {
			t.Errorf("%q gives %q, %v", text, string(got), err)
		}
	}
}

// A call that is not understood ends with 2, whichever command it is for, and nothing is done.
func TestUsage(t *testing.T) {
	t.Setenv("DPKG_ROOT", t.TempDir())
	for call, want := range map[string]int{
		"": 2, "nonsense": 2, "--nonsense": 2, "--help": 0, "--version": 0,
		"instance create --help": 0, "smarthost test --instance --help": 2, "chroot on --help --nonsense": 2, "chroot": 2, "chroot nonsense": 2, "instance": 2, "instance list --help": 0, "apply --help": 0,
		"smarthost": 2, "smarthost show --instance=": 2, "smarthost set --user=": 2, "smarthost test --wait=0s a@example.com": 2,
		"dynamicmap": 2, "adopt --install --revert": 2, "adopt --install x.deb": 2, "adopt --status --output x": 2, "adopt --dry-run": 2,
		"adopt --hand-over x": 2, "adopt --hand-over --status": 2, "adopt --hand-over --dry-run": 2, "adopt --refresh --dry-run": 2,
		"check-config --dry-run": 2, "sandbox status --dry-run": 2, "check-config --detailed-exitcode": 2, "adopt --status --detailed-exitcode": 2, "apply --dry-run=perhaps": 2,
	} {
		t.Run(call, func(t *testing.T) {
			var stderr strings.Builder
			got := execute(t.Context(), append([]string{"postfix-maint"}, strings.Fields(call)...), io.Discard, &stderr)
			if got != want || (stderr.Len() > 0) != (want != 0) {
				t.Errorf("exit status %d, want %d; standard error: %q", got, want, stderr.String())
			}
		})
	}
}

// emptied is the table with something else in the place of every flow, and nothing that looks at this machine.
func emptied(do action) []row {
	rows := table()
	for i := range rows {
		r := &rows[i]
		r.first, r.locks, r.who = nil, false, who{dpkg: r.who.dpkg, hidden: r.who.hidden}
		if r.do != nil {
			r.do = do
		}
	}
	return rows
}

// try runs one call with nothing behind the commands, and tells what reached them.
func try(t *testing.T, args string) (code int, ran string, got []string, stderr string) {
	t.Helper()
	var words strings.Builder
	rows := emptied(func(_ context.Context, c *call) error {
		ran, got = c.words, c.Args().Slice()
		for _, name := range c.LocalFlagNames() {
			got = append(got, "--"+name)
		}
		return nil
	})
	code = executeRows(t.Context(), rows, append([]string{"postfix-maint"}, strings.Fields(args)...), io.Discard, &words)
	return code, ran, got, words.String()
}

// wellFormed is a call of a row with all the operands that it needs.
func wellFormed(r row) string {
	words, least, _ := operandsOf(r.operands)
	if len(words) > 0 {
		return " " + words[0] + strings.Repeat(" x", least-1)
	}
	return strings.Repeat(" x", least)
}

// Every command refuses options and operands that it does not have, wherever they stand, before it runs.
func TestEveryCommandRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, r := range table() {
		if r.do == nil || strings.Contains(r.words, " --") {
			continue
		}
		words, least, most := operandsOf(r.operands)
		good := wellFormed(r)
		bad := map[string]string{"an unknown option": good + " --nonsense", "an unknown option before": " --nonsense" + good, "a short one": good + " -q"}
		if most < math.MaxInt {
			bad["an operand too many"] = good + strings.Repeat(" dry-run", most-least+1)
			bad["an operand too many behind two dashes"] = " --" + good + strings.Repeat(" --dry-run", most-least+1)
		}
		if least > 0 {
			bad["no operand"] = ""
		}
		if len(words) > 0 {
			bad["a wrong word"] = " nonsense" + strings.Repeat(" x", least-1)
		}
		if r.who.dpkg {
			bad["an option in place of the word"] = " --dry-run"
			bad["an option behind the word"] = good + " --dry-run"
		}
		for _, f := range r.flags {
			name := f.Names()[0]
			bad["--"+name+" with a letter too many"] = good + " --" + name + "x"
			if _, boolean := f.(*cli.BoolFlag); boolean {
				bad["--"+name+" with a wrong value"] = good + " --" + name + "=perhaps"
			} else if optional(f) {
				bad["--"+name+" with an empty value"] = good + " --" + name + "="
			} else {
				bad["--"+name+" without its value"] = good + " --" + name
			}
		}
		for what, args := range bad {
			if code, ran, _, stderr := try(t, r.words+args); code != 2 || ran != "" || stderr == "" {
				t.Errorf("%s: %q: exit status %d, ran: %q, %q", what, r.words+args, code, ran, stderr)
			}
		}
		if code, ran, _, stderr := try(t, r.words+" --help"); !r.who.dpkg && (code != 0 || ran != "" || stderr != "") {
			t.Errorf("%q --help: exit status %d, ran: %q, %q", r.words, code, ran, stderr)
		}
		if code, ran, _, stderr := try(t, r.words+good); code != 0 || ran != r.words {
			t.Errorf("%q: exit status %d, ran: %q, %q", r.words+good, code, ran, stderr)
		}
	}
}

func TestWhatWasMeant(t *testing.T) {
	cases := map[string]struct{ call, word string }{
		"two hyphens forgotten":                {"apply dry-run", "--dry-run"},
		"one hyphen too many":                  {"apply ---dry-run", "--dry-run"},
		"a long dash of a word processor":      {"apply \u2014dry-run", "--dry-run"},
		"letters swapped":                      {"apply --dry-rnu", "--dry-run"},
		"an underscore":                        {"apply --dry_run", "--dry-run"},
		"half an option":                       {"apply --dry", "--dry-run"},
		"an operand too many":                  {"apply primary --dry-run", ""},
		"a second name for an option":          {"check-config --fix a b --dry-run", ""},
		"a command with a letter missing":      {"aply", "apply"},
		"a command in capitals":                {"APPLY", "apply"},
		"a sub command with a letter missing":  {"instance creat x", "create"},
		"a sub command's word":                 {"sandbox stric", "strict"},
		"a maintainer script's word":           {"postinst configur 3.7", "configure"},
		"nothing like it":                      {"frobnicate", ""},
		"an option of another command":         {"sandbox strict --watch", ""},
		"an option without the value it needs": {"instance create x --group", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			code, ran, _, stderr := try(t, c.call)
			_, meant, _ := strings.Cut(strings.TrimSpace(stderr), "; did you mean ")
			if code != 2 || ran != "" || meant != strings.TrimPrefix(c.word+"?", "?") {
				t.Errorf("exit status %d, ran: %q, %q; want %q to be meant", code, ran, stderr, c.word)
			}
		})
	}
}

func TestOptionsAndOperandsInAnyOrder(t *testing.T) {
	for args, want := range map[string]string{
		"instance create a --set x=y --dry-run":                 "a --dry-run --set",
		"instance create --dry-run a":                           "a --dry-run",
		"instance remove -":                                     "-",
		"instance remove help":                                  "help",
		"instance remove -- --odd":                              "--odd",
		"chroot sync - --json":                                  "- --json",
		"--json chroot --dry-run sync -":                        "- --dry-run --json",
		"--instance out smarthost show":                         "--instance",
		"history --json show 3":                                 "3 --json",
		"smarthost test a@b --instance out":                     "a@b --instance",
		"smarthost set --user -dash":                            "--user",
		"adopt --output d p.deb":                                "p.deb --output",
		"postinst triggered a":                                  "triggered a",
		"config configure":                                      "configure",
		"prerm remove in-favour exim4 4.96":                     "remove in-favour exim4 4.96",
		"postinst abort-deconfigure in-favour a 1 removing b 2": "abort-deconfigure in-favour a 1 removing b 2",
	} {
		code, ran, got, stderr := try(t, args)
		slices.Sort(got[min(len(got), strings.Count(want+" ", " ")-strings.Count(" "+want, " --")):])
		if code != 0 || ran == "" || strings.Join(got, " ") != want {
			t.Errorf("%q: exit status %d, got %q, want %q; %s", args, code, got, want, stderr)
		}
	}
}

// A command that does not look at its context is ended all the same, and a second signal is not caught any more.
func TestASignalEndsWhatDoesNotListen(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	order := make(chan string, 2)
	endFor(ctx, time.Millisecond, func() { order <- "signals are let through" }, func() { order <- "end" })
	select {
	case what := <-order:
		t.Fatalf("%q before the signal", what)
	default:
	}
	cancel()
	if first, second := <-order, <-order; first != "signals are let through" || second != "end" {
		t.Errorf("%q, then %q", first, second)
	}
}

// A fault of ours ends in a message, and the scripts that must not stand in anybody's way go on.
func TestAPanicIsAMessage(t *testing.T) {
	for args, want := range map[string]int{
		"apply": 1, "chroot check": 1, "postinst configure 3.7": 1,
		"config configure": 0, "prerm remove": 0, "postinst triggered x": 0, "postinst abort-remove": 0,
	} {
		rows := emptied(func(context.Context, *call) error {
			var none []int
			return fmt.Errorf("%d", none[len(args)])
		})
		var stderr strings.Builder
		got := executeRows(t.Context(), rows, append([]string{"postfix-maint"}, strings.Fields(args)...), io.Discard, &stderr)
		if got != want || !strings.Contains(stderr.String(), "fault of postfix-maint") || !strings.Contains(stderr.String(), "TestAPanic") {
			t.Errorf("%q: exit status %d, want %d; %q", args, got, want, stderr.String())
		}
	}
}
