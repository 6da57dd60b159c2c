// Package debconftest (ring: port) has two frontends for tests: one that follows a script line by line, and one that keeps
// a database in memory and obeys debconf's rules about what is shown and what counts as seen.
package debconftest

import (
	"bufio"
	"io"
	"testing"
)

// Exchange is one command that a script expects and the reply that it gives; no reply for STOP.
type Exchange struct{ Command, Reply string }

// Script returns the two ends that a client needs. The test fails if the client says anything else, or stops early.
func Script(t *testing.T, exchanges ...Exchange) (replies io.Reader, commands io.Writer) {
	t.Helper()
	toFrontend, commandEnd := io.Pipe()
	replyEnd, fromFrontend := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer fromFrontend.Close()
		defer toFrontend.Close()
		lines := bufio.NewScanner(toFrontend)
		for _, exchange := range exchanges {
			if !lines.Scan() {
				t.Errorf("the client ends where %q was expected", exchange.Command)
				return
			}
			if got := lines.Text(); got != exchange.Command {
				t.Errorf("the client says %q, want %q", got, exchange.Command)
				return
			}
			if exchange.Reply != "" {
				_, _ = io.WriteString(fromFrontend, exchange.Reply+"\n")
			}
		}
		if lines.Scan() {
			t.Errorf("the client says %q after the end of the script", lines.Text())
		}
	}()
	t.Cleanup(func() {
		commandEnd.Close()
		<-done
	})
	return replyEnd, commandEnd
}
