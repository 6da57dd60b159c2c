package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/urfave/cli/v2"
)

// screen is a terminal of some columns, and what is written on it.
func screen(t *testing.T, columns uint16) (theirs *os.File, written func() string) {
	t.Helper()
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := pty.Setsize(theirs, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		_, _ = io.Copy(&text, ours) // EIO is the end
		all <- text.String()
	}()
	return theirs, func() string {
		theirs.Close()
		return <-all
	}
}

// On a terminal there is one line, no wider than that, which makes room for what others write and is gone at the end.
func TestWaitingOnATerminal(t *testing.T) {
	theirs, written := screen(t, 20)
	w := startWaiting(theirs, "waiting for the relay's answer", true, time.Hour)
	w.tell()
	_, err := io.WriteString(beside{w, theirs}, "WARNING: x\n")
	w.say("a short one")
	w.tell()
	if failed := w.aside(func() error { w.tell(); _, err := io.WriteString(theirs, "apt\n"); return err }); err != nil || failed != nil {
		t.Error(err, failed)
	}
	w.tell()
	w.stop()
	const line, other = clearLine + "waiting for th, 0 s", clearLine + "a short one, 0 s"
	want := line + clearLine + "WARNING: x\r\n" + other + clearLine + "apt\r\n" + other + clearLine
	if got := written(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// Elsewhere there are lines, one for each turn, and nothing else.
func TestWaitingByLines(t *testing.T) {
	var out bytes.Buffer
	w := startWaiting(&out, "waiting", false, time.Millisecond)
	time.Sleep(100 * time.Millisecond)
	w.stop()
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for _, line := range lines {
		if line != "postfix-maint: waiting, 0 s" {
			t.Errorf("%q", line)
		}
	}
	if len(lines) < 2 {
		t.Errorf("%q", out.String())
	}
}

// Nobody waits for machines, in maintainer scripts or where nothing takes long; a terminal that can't clear a line gets lines.
func TestWhoWaits(t *testing.T) {
	theirs, _ := screen(t, 80)
	for name, c := range map[string]struct {
		row           row
		args          []string
		term, script  string
		tells, inLine bool
		to            io.Writer
	}{
		"a terminal":       {row: row{waits: "x"}, term: "xterm", tells: true, inLine: true, to: theirs},
		"a dumb terminal":  {row: row{waits: "x"}, term: "dumb", tells: true, to: theirs},
		"one of no kind":   {row: row{waits: "x"}, tells: true, to: theirs},
		"a file":           {row: row{waits: "x"}, term: "xterm", tells: true, to: io.Discard},
		"JSON":             {row: row{waits: "x"}, args: []string{"--json"}, term: "xterm", to: theirs},
		"dpkg's own words": {row: row{waits: "x", who: scripts}, term: "xterm", to: theirs},
		"a script of dpkg": {row: row{waits: "x"}, term: "xterm", script: "postfix", to: theirs},
		"a quick command":  {row: row{}, term: "xterm", to: theirs},
	} {
		t.Setenv("TERM", c.term)
		t.Setenv("DPKG_MAINTSCRIPT_PACKAGE", c.script)
		set := flag.NewFlagSet("", flag.ContinueOnError)
		set.Bool("json", false, "")
		if err := set.Parse(c.args); err != nil {
			t.Fatal(err)
		}
		w := (&call{Context: cli.NewContext(nil, set, nil), row: c.row, stderr: c.to}).waits()
		if (w != nil) != c.tells || w != nil && w.line != c.inLine {
			t.Errorf("%s: %+v", name, w)
		}
		w.say("y")
		w.stop()
	}
}
