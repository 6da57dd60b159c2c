package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestStrays has two masters run outside of their units; the unit of one does not take it. A third one is started meanwhile.
func TestStrays(t *testing.T) {
	t.Parallel()
	table := "postfix@-.service /none\n" + `postfix@a\x2b.service /a b` + "\npostfix@in.service /in\npostfix@bad.service /bad\n"
	masters := map[string]int{"/a b": 10, "/in": 11, "/bad": 12}
	var started []string
	var waited time.Duration
	var said strings.Builder
	search{
		table:      func() string { return table },
		master:     func(queue string) int { return masters[queue] },
		supervised: func(pid int) bool { return pid == 11 || pid == 20 },
		start: func(unit string) error {
			started = append(started, unit)
			if unit == "postfix@bad.service" {
				return errors.New("refused")
			}
			masters["/a b"], masters["/none"] = 20, 13
			return nil
		},
		wait: func(d time.Duration) { waited += d },
	}.strays(&said)
	if want := []string{`postfix@a\x2b.service`, "postfix@bad.service", "postfix@-.service"}; !slices.Equal(started, want) {
		t.Errorf("started %q, want %q", started, want)
	}
	if want := 7 * time.Second; waited != want { // 1 and 2, twice, and 1
		t.Errorf("waited %v, want %v", waited, want)
	}
	if got := said.String(); !strings.Contains(got, `/a b: started by hand, goes on as postfix@a\x2b.service`) || !strings.Contains(got, "refused") {
		t.Errorf("said %q", got)
	}
}

func TestSupervised(t *testing.T) {
	t.Parallel()
	if supervised(os.Getpid()) {
		t.Error("this process is no unit of Postfix's")
	}
	if !supervised(1 << 22) { // more than any process has
		t.Error("a process that is gone is looked for")
	}
}

// TestMasterOfInstance asks for the master of an instance that does not run, and of one whose directory is not to be told.
func TestMasterOfInstance(t *testing.T) {
	t.Parallel()
	dir := hosts(t).Dir()
	for config, want := range map[string]int{"/srv/out": 1, "/etc/postfix": 1, "/srv/none": 3, "relative": 3} {
		env := func(name string) string { return map[string]string{"MAIL_CONFIG": config}[name] }
		if got := run([]string{"--root", dir, "--master", "-"}, env, io.Discard, io.Discard); got != want {
			t.Errorf("with %s it exits %d, want %d", config, got, want)
		}
	}
}
