package main

import (
	"testing"
	"time"
)

// A person may look at a question for as long as they like; nothing else of ours runs for longer than a script may.
func TestAPersonMayThink(t *testing.T) {
	for _, r := range table() {
		if got, want := limit([]string{"postfix-maint", r.words}) > time.Hour, r.words == "config"; got != want {
			t.Errorf("%q may take longer than an hour: %v, want %v", r.words, got, want)
		}
	}
	if limit([]string{"postfix-maint", "status", "-", "--watch"}) < time.Hour {
		t.Error("a screen that is renewed ends by itself")
	}
}
