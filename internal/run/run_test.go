package run_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/run"
)

func TestOutput(t *testing.T) {
	t.Setenv("DEBIAN_HAS_FRONTEND", "1")
	var r run.Runner
	ctx := context.Background()
	out, err := r.Output(ctx, "sh", "-c", `echo "frontend=$DEBIAN_HAS_FRONTEND"; cat`)
	if err != nil {
		t.Fatal(err)
	}
	if string(out) != "frontend=\n" { // and cat found its input at the end
		t.Errorf("the child saw %q", out)
	}
	_, err = r.Output(ctx, "sh", "-c", "echo gone wrong >&2; exit 30")
	var exit *run.ExitError
	if !errors.As(err, &exit) || exit.Code != 30 || exit.Stderr != "gone wrong" {
		t.Errorf("error %v", err)
	}
	if err := r.Run(ctx, "/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program gives %v", err)
	}
}

// What a program says is kept up to a bound, and one that goes on for ever is ended.
func TestOutputIsBounded(t *testing.T) {
	var r run.Runner
	_, err := r.Output(context.Background(), "sh", "-c", `trap "" PIPE; exec cat /dev/zero`)
	if err == nil || !strings.Contains(err.Error(), `cannot run "sh": it wrote more than`) {
		t.Errorf("output without an end gives %v", err)
	}
	var exit *run.ExitError
	const long = `head -c 1000000 /dev/zero | tr '\0' x >&2; printf '\nfatal: why\n' >&2; exit 3`
	if err := r.Run(context.Background(), "sh", "-c", long); !errors.As(err, &exit) || exit.Stderr != "fatal: why" {
		t.Errorf("behind a line without its beginning %.100v", err)
	}
	const wordy = `yes warning | head -n 200000 >&2; echo "fatal: why" >&2; exit 3`
	for how, err := range map[string]error{
		"into a file": r.Run(context.Background(), "sh", "-c", wordy), "onto a terminal": r.OnTerminal(context.Background(), "sh", "-c", wordy),
	} {
		if !errors.As(err, &exit) || exit.Code != 3 || len(exit.Stderr) > 200_000 || !strings.HasPrefix(exit.Stderr, "warning\n") ||
			!strings.HasSuffix(exit.Stderr, "\nfatal: why") {
			t.Errorf("%s: of many words %T of %d bytes are left, and not their end", how, err, len(err.Error()))
		}
	}
}

// At the end of the context nothing of a program is left, whatever it has started and whatever signals that ignores.
func TestEndsWithContext(t *testing.T) {
	for name, script := range map[string]string{
		"a program":                    `exec sleep 600`,
		"what it waits for":            `sleep 600; :`,
		"what it left behind":          `sleep 600 & exit 3`,
		"one that ignores the request": `trap "" TERM; sleep 600; sleep 600`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The group holds the end that is written to open, so the other end says when the last of it has ended.
			fifo := filepath.Join(t.TempDir(), "fifo")
			if err := unix.Mkfifo(fifo, 0o600); err != nil {
				t.Fatal(err)
			}
			alive, err := os.OpenFile(fifo, os.O_RDONLY|unix.O_NONBLOCK, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer alive.Close()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			go func() {
				_, _ = alive.Read(make([]byte, 1)) // it runs
				cancel()
			}()
			err = run.Runner{}.Run(ctx, "sh", "-c", `exec 3>"$0"; echo >&3; `+script, fifo)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want the context's error", err)
			}
			if err := alive.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(alive); err != nil {
				t.Errorf("something still runs: %v", err)
			}
		})
	}
}

// A program that talks to the administrator is never ended from here.
func TestAttached(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var out, errs strings.Builder
	if err := (run.Runner{}).Attached(ctx, strings.NewReader("in"), &out, &errs, "sh", "-c", "cat; echo err >&2"); err != nil {
		t.Fatal(err)
	}
	if out.String() != "in" || errs.String() != "err\n" {
		t.Errorf("it wrote %q and %q", &out, &errs)
	}
	var exit *run.ExitError
	if err := (run.Runner{}).Attached(ctx, nil, &out, &errs, "sh", "-c", "exit 3"); !errors.As(err, &exit) || exit.Code != 3 ||
		!strings.Contains(exit.Error(), "sh -c exit 3: exit status 3") {
		t.Errorf("got %v", err)
	}
	if err := (run.Runner{}).Attached(ctx, nil, &out, &errs, "/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program gives %v", err)
	}
}

// What a program says is read by us, and by people who look for it on the web: never in a caller's language.
func TestOutputIsNeverTranslated(t *testing.T) {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE"} {
		t.Setenv(name, "de_DE.UTF-8")
	}
	r := run.Runner{Env: []string{"LC_ALL=de_DE.UTF-8"}}
	out, err := r.Output(context.Background(), "sh", "-c", `echo "$LC_ALL,$LANGUAGE"`)
	if err != nil || string(out) != "C.UTF-8,\n" {
		t.Errorf("LC_ALL and LANGUAGE are %q, %v", out, err)
	}
}

// What a program says to a terminal only is kept; an exit with 0 is no error, whatever it said.
func TestOnTerminal(t *testing.T) {
	const onlyThere = `if [ -t 2 ]; then echo "why: $1" >&2; echo more >&2; fi; exit "$1"`
	var r run.Runner
	ctx := context.Background()
	if err := r.OnTerminal(ctx, "sh", "-c", onlyThere, "sh", "0"); err != nil {
		t.Error(err)
	}
	var exit *run.ExitError
	if err := r.OnTerminal(ctx, "sh", "-c", onlyThere, "sh", "3"); !errors.As(err, &exit) || exit.Code != 3 || exit.Stderr != "why: 3\nmore" {
		t.Errorf("error %v", err)
	}
	if err := r.OnTerminal(ctx, "/no/such/program"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing program gives %v", err)
	}
	// More than a terminal holds, from a child that lives on with it.
	const lots = `head -c 300000 /dev/zero | tr '\0' x >&2; sleep 60 2>&2 & exit 1`
	if err := r.OnTerminal(ctx, "sh", "-c", lots); !errors.As(err, &exit) || exit.Code != 1 {
		t.Errorf("error %v", err)
	}
}
