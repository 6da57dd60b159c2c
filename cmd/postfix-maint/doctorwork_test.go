package main

import (
	"slices"
	"testing"

	"postfix-maint/internal/lock"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// The journal of a command that is at work is no finding of doctor's.
func TestWorkOfACommandThatIsAtWork(t *testing.T) {
	root := sysroottest.New(t, map[string]string{paths.Transaction[1:]: "{}\n", "run/": ""})
	e := examination{c: &call{root: root}}
	if e.work(); !slices.Equal(e.facts.Work, []string{paths.Transaction}) {
		t.Errorf("of a command that was killed: %q", e.facts.Work)
	}
	held, err := lock.Take(root.Dir()+paths.LockFile, "another")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	e.facts.Work = nil
	if e.work(); len(e.facts.Work) != 0 {
		t.Errorf("of a command that is at work: %q", e.facts.Work)
	}
}
