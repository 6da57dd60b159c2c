package main

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/history"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

// What the history says of a call is the call as a person would type it again.
func TestLineOfACall(t *testing.T) {
	for typed, want := range map[string]string{
		"smarthost set --relay [relay.example]:587 --user me@x --wrapper": "smarthost set --relay=[relay.example]:587 --wrapper --user=me@x",
		"chroot on out":                "chroot on out",
		"check-config --fix a --fix b": "check-config --fix=a --fix=b",
		"apply":                        "apply",
		"doctor --fix":                 "doctor --fix",
		"doctor --fix=a --fix x --fix=b,c --dry-run":                                   "doctor --fix --fix=a --fix=b --fix=c --dry-run x",
		"instance create out --set smtp_sasl_password_maps=static:me:hidden --set a=1": `instance create "--set=smtp_sasl_password_maps=static:***" --set=a=1 out`,
		"instance create out --set smtp_sasl_password_maps=inline:{$mine} --set mine=me:hidden": "instance create \"--set=smtp_sasl_password_maps=inline:***\" " +
			`"--set=mine=***" out`,
		"instance remove out\x1b[2J --purge-queue": `instance remove --purge-queue "out\x1b[2J"`,
	} {
		got := ""
		rows := table()
		for i := range rows {
			if rows[i].do != nil {
				rows[i].who, rows[i].locks, rows[i].first = anybody, false, nil
				rows[i].do = func(_ context.Context, c *call) error { got = c.line(); return nil }
			}
		}
		if code := executeRows(t.Context(), rows, append([]string{"postfix-maint"}, strings.Fields(typed)...), io.Discard, io.Discard); code != 0 || got != want {
			t.Errorf("%q: exit status %d, line %q, want %q", typed, code, got, want)
		}
	}
}

// Whatever is set shows, of each command.
func TestLineOfEveryFlag(t *testing.T) {
	for _, r := range table() {
		for _, f := range r.flags {
			args := append(strings.Fields("postfix-maint "+r.words), "--"+f.Names()[0])
			if _, bare := f.(*cli.BoolFlag); !bare && !optional(f) {
				args = append(args, "5s")
			}
			rows, got := table(), ""
			for i := range rows {
				if rows[i].do != nil {
					rows[i].who, rows[i].locks, rows[i].first, rows[i].operands = anybody, false, nil, ""
					rows[i].do = func(_ context.Context, c *call) error { got = c.line(); return nil }
				}
			}
			if code := executeRows(t.Context(), rows, args, io.Discard, os.Stderr); code != 0 || !strings.Contains(got, "--"+f.Names()[0]) {
				t.Errorf("%q: exit status %d, line %q", args, code, got)
			}
		}
	}
}

func TestHistoryCommands(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "a = 1\nb = 2\n", "run/": ""})
	walk(t, root, []step{
		{"history", 0, "nothing was changed yet\n", ""},
		{"history --json", 0, "{\n\t\"format\": 1,\n\t\"entries\": []\n}\n", ""},
		{"history show 1", 1, "", `there is no entry "1"`},
		{"undo", 1, "", "there is nothing to take back"},
	})
	recorded, err := sysroot.Open(root.Dir())
	if err != nil {
		t.Fatal(err)
	}
	log := history.NewLog(recorded, "postfix-maint a test")
	log.Now = func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local) }
	recorded.Recorder = log
	if err := transaction.Write(recorded, transaction.File{Path: paths.MainCF, Seen: &sysroot.Seen{Data: []byte("a = 1\nb = 2\n")}, New: []byte("a = 3\nb = 2\n")}); err != nil {
		t.Fatal(err)
	}
	said := &strings.Builder{}
	if sayUndo(log, said); said.String() != "undo with: postfix-maint undo 1\n" {
		t.Errorf("sayUndo: %q", said)
	}
	const back = "change /etc/postfix/main.cf\n--- /etc/postfix/main.cf\n+++ /etc/postfix/main.cf\n@@ -1,2 +1,2 @@\n-a = 3\n+a = 1\n b = 2\n"
	const head = "1  2026-01-02 03:04  postfix-maint a test\n"
	walk(t, root, []step{
		{"history", 0, head + "    /etc/postfix/main.cf\n", ""},
		{"history show 1", 0, head + "/etc/postfix/main.cf: changed\n--- /etc/postfix/main.cf\n+++ /etc/postfix/main.cf\n@@ -1,2 +1,2 @@\n-a = 1\n+a = 3\n b = 2\n", ""},
		{"history show 1 --json", 0, "...\"what\": \"changed\"", ""},
		{"history show", 2, "", "an operand is missing"},
		{"history list", 2, "", "unknown history command"},
		{"undo --dry-run", 0, back, ""},
		{"undo 2", 1, "", `there is no entry "2"`},
		{"undo 1", 0, back, ""},
		{"undo 1", 0, "nothing to do\n", ""},
	})
}
