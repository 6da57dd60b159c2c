package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/login"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot/sysroottest"
)

// smarthostSet reads the options of "smarthost set" as the command does.
func smarthostSet(t *testing.T, d smarthost.Deps, args ...string) (o smarthost.Options, err error) {
	t.Helper()
	rows := emptied(func(_ context.Context, c *call) error {
		o, err = smarthostOptions(c, d, instance.Instance{Name: "-", ConfigDir: "/etc/postfix"})
		return nil
	})
	var stderr strings.Builder
	if code := executeRows(t.Context(), rows, append([]string{"postfix-maint", "smarthost", "set"}, args...), io.Discard, &stderr); code != 0 {
		t.Fatalf("%v: exit status %d: %s", args, code, stderr.String())
	}
	return o, err
}

// A login that is stored belongs to one host. Another relay needs an answer to who logs in there, and is never used without one.
func TestAnotherRelayDropsNoLoginSilently(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "", "var/lib/postfix-maint/smarthost/postfix@-.json": `{"options": {"relay": "[a.example.net]:587", "user": "me", "rewrite": {}}}`,
	})
	d := smarthost.Deps{Root: root}
	for args, want := range map[string]string{
		"--relay [a.example.net]:465":             "me",
		"--relay a.example.net":                   "me",
		"--relay [b.example.net]:587 --user you":  "you",
		"--relay [b.example.net]:587 --user none": "",
		"--tls secure":                            "me",
	} {
		if o, err := smarthostSet(t, d, strings.Fields(args)...); err != nil || o.User != want {
			t.Errorf("%s: %q, %v; want %q", args, o.User, err, want)
		}
	}
	if _, err := smarthostSet(t, d, "--relay", "[b.example.net]:587"); err == nil || !strings.Contains(err.Error(), "[a.example.net]:587") {
		t.Errorf("another relay is taken without a word: %v", err)
	}
}

// A password is waited for as long as the context allows, and no lock is held meanwhile; a pipe that nobody writes to is not waited for.
func TestPasswordIsNotWaitedForForEver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := readSecret(ctx, silent, time.Minute); !errors.Is(err, context.Canceled) {
		t.Errorf("reading goes on after the end: %v", err)
	}
	if _, err := readSecret(t.Context(), endless{}, time.Minute); err == nil {
		t.Error("a password without end is read")
	}
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	code := execute(t.Context(), []string{"postfix-maint", "smarthost", "set", "--relay", "x", "--user", "u", "--password-file", fifo}, io.Discard, &stderr)
	if code != 1 || !strings.Contains(stderr.String(), "cannot read the password") {
		t.Errorf("exit status %d, %s", code, stderr.String())
	}
}

// A person may look for a password a quarter of an hour long, and the command itself waits longer still; a pipe has a minute.
func TestAPasswordIsWaitedFor(t *testing.T) {
	silent, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	defer silent.Close()
	if _, err := readSecret(t.Context(), silent, time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("from a pipe that says nothing: %v", err)
	}
	if askWait < 15*time.Minute || limit([]string{"postfix-maint", "smarthost", "set"}) <= askWait || secretWait > time.Minute ||
		limit([]string{"postfix-maint", "smarthost", "login"}) <= loginWait || loginWait <= login.Patience {
		t.Errorf("a person has %v, a pipe %v", askWait, secretWait)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Who types a password sees a question, and not what is typed; the terminal is as before afterwards. Nothing typed is none.
func TestAPasswordIsAskedWithoutEcho(t *testing.T) {
	for typed, want := range map[string]string{"geheim": "geheim", "": ""} {
		screen, terminal, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		before, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{})
		var words strings.Builder
		go func() {
			<-asked
			fmt.Fprintf(screen, "%s\n", typed)
		}()
		got, err := askSecret(t.Context(), terminal, &onFirst{Writer: &words, do: func() { close(asked) }}, "me@example.com")
		if err != nil || string(got) != want || !strings.HasPrefix(words.String(), "Password of me@example.com (") {
			t.Errorf("%q gives %q, %v; asked %q", typed, string(got), err, words.String())
		}
		after, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
		if err != nil || after.Lflag != before.Lflag {
			t.Errorf("the terminal is not as before: %v", err)
		}
		terminal.Close()
		shown, _ := io.ReadAll(screen)
		screen.Close()
		if strings.Contains(string(shown), "geheim") {
			t.Errorf("the screen shows %q", shown)
		}
	}
}

// onFirst does something after the first write.
type onFirst struct {
	io.Writer
	do func()
}

func (o *onFirst) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if o.do != nil {
		o.do()
		o.do = nil
	}
	return n, err
}
