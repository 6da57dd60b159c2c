//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"

	"postfix-maint/integration/hosts"
)

// terminal is a program in a host at a terminal of ours.
type terminal struct {
	tty  *os.File
	cmd  *exec.Cmd
	done chan error

	mu     sync.Mutex
	screen vt10x.Terminal // what a person sees
	said   []byte
	last   time.Time
	seen   int // of the plain text: what expect has passed
}

// open starts a program at a terminal. 50 rows: with fewer, dialogs scroll and readline pages.
func open(ctx context.Context, t *testing.T, h *hosts.Host, args ...string) *terminal {
	t.Helper()
	return openSized(ctx, t, h, 100, 50, args...)
}

// openSized is open with another size.
func openSized(ctx context.Context, t *testing.T, h *hosts.Host, columns, rows int, args ...string) *terminal {
	t.Helper()
	cmd := h.Command(ctx, append([]string{"env", "-u", "DEBIAN_FRONTEND", "TERM=xterm"}, args...)...)
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: uint16(rows), Cols: uint16(columns)})
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{tty: tty, cmd: cmd, done: make(chan error, 1), screen: vt10x.New(vt10x.WithSize(columns, rows))}
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			term.mu.Lock()
			term.said = append(term.said, buf[:n]...)
			_, _ = term.screen.Write(buf[:n])
			term.last = time.Now()
			term.mu.Unlock()
			if err != nil { // the program has closed its side
				break
			}
		}
		term.done <- cmd.Wait()
	}()
	t.Cleanup(func() { tty.Close() })
	return term
}

var escapes = regexp.MustCompile(`\x1b(\[[0-9;?]*[ -/]*[@-~]|\][^\a]*\a|[()][A-Z0-9]|[=>78M])|[\x00-\x08\x0b-\x1f]`)

// plain is what was said without escapes and blanks: a screen is drawn with both as it is convenient.
func (term *terminal) plain() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return strings.Join(strings.Fields(escapes.ReplaceAllString(string(term.said), "")), "")
}

// expect waits until one of the texts has been written since the last one that was expected, and the program waits for keys. It gives
// the text's place in the list.
func (term *terminal) expect(texts ...string) (int, error) {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		term.mu.Lock()
		quiet := time.Since(term.last) > 300*time.Millisecond
		term.mu.Unlock()
		if !quiet {
			continue
		}
		all := term.plain()
		for i, text := range texts {
			if at := strings.LastIndex(all[term.seen:], strings.Join(strings.Fields(text), "")); at >= 0 {
				term.seen = len(all)
				return i, nil
			}
		}
	}
	return 0, fmt.Errorf("none of %q was shown; since then: %q", texts, term.plain()[term.seen:])
}

// send types keys.
func (term *terminal) send(keys string) error {
	_, err := term.tty.WriteString(keys)
	return err
}

// wait waits for the end of the program and gives all that it said.
func (term *terminal) wait() (string, error) {
	select {
	case err := <-term.done:
		return escapes.ReplaceAllString(string(term.said), ""), err
	case <-time.After(30 * time.Second):
		_ = term.cmd.Process.Kill()
		return "", fmt.Errorf("it did not end; the last it said: %q", term.plain()[term.seen:])
	}
}
