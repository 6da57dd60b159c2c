package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// What is only asked of a tree that does not run is answered from its files, and starts nothing.
func TestQuestionsAboutATree(t *testing.T) {
	root := hosts(t)
	environment := func(name string) string { return map[string]string{"MAIL_CONFIG": "/etc/postfix"}[name] }
	for _, row := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"--place /etc/postfix", 0, "", ""},
		{"--place relative", 1, "", "configure-instance: "},
		{"--master /var/spool/postfix", 1, "", ""},
		{"--master -", 1, "", ""},
		{"--enabled", 1, "", "cannot ask postconf(1): " + errOtherSystem.Error()},
		{"--strays", 0, "", ""},
		{"--end", 0, "", ""}, // none runs
		{"--start", 0, "updated etc/hosts\n", "cannot work out the libraries of the chroot"},
		{"--unknown", 2, "", "not defined: -unknown"},
		{"--all one", 2, "", "usage: "},
		{"one two", 2, "", "usage: "},
	} {
		var out, said strings.Builder
		code := run(strings.Fields("--root "+root.Dir()+" "+row.args), environment, &out, &said)
		if code != row.code || out.String() != row.out || !strings.Contains(said.String(), row.err) || row.err == "" && said.Len() > 0 {
			t.Errorf("%s: %d, %q, %q; want %d, %q, %q", row.args, code, &out, &said, row.code, row.out, row.err)
		}
	}
}

func TestNoSuchTree(t *testing.T) {
	var said strings.Builder
	if code := run([]string{"--root", t.TempDir() + "/none"}, func(string) string { return "" }, &said, &said); code != 1 || !strings.Contains(said.String(), "/none") {
		t.Errorf("%d, %s", code, &said)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := sleep(t.Context(), time.Millisecond); err != nil {
		t.Error(err)
	}
}
