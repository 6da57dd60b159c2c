package smarthost_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
)

// editors change files as people, "postconf -e" and other programs do, at any moment at which a run may meet them.
var editors = map[string]struct{ file, line string }{
	"main.cf":                     {"etc/postfix/main.cf", "message_size_limit = 4711\n"},
	"the passwords":               {"etc/postfix/sasl_passwd", "other.example.org a:b\n"},
	"the senders":                 {"etc/postfix/generic", "anna anna@example.org\n"},
	"the aliases":                 {"etc/aliases", "webmaster: anna\n"},
	"a table of patterns":         {"etc/postfix/smtp_header_checks", "/^X-Mine:/ IGNORE\n"},
	"a table that goes with it":   {"etc/postfix/sender_canonical", "bert bert@example.org\n"},
	"one of patterns that goes":   {"etc/postfix/sender_canonical.regexp", "/bert/ bert@example.org\n"},
	"main.cf, the last line gone": {"etc/postfix/main.cf", ""},
}

func (f *tools) change(t *testing.T, file, line string) {
	t.Helper()
	name := filepath.Join(f.dir, file)
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	text := string(data) + line
	if line == "" {
		text = strings.Replace(text, "smtp_tls_security_level=may\n", "# gone\n", 1)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// An edit that somebody makes while a smarthost is set or taken back is in the file afterwards, wherever it falls, and so is the change.
func TestNobodysEditIsLost(t *testing.T) {
	runs := map[string]func(d smarthost.Deps) (*smarthost.Plan, error){
		"set": func(d smarthost.Deps) (*smarthost.Plan, error) {
			return smarthost.Set(context.Background(), d, primary, options())
		},
		"unset": func(d smarthost.Deps) (*smarthost.Plan, error) {
			return smarthost.Unset(context.Background(), d, primary)
		},
	}
	for who, e := range editors {
		for what, run := range runs {
			for _, before := range []bool{false, true} {
				if before && e.line == "" {
					continue // set has taken the line's place
				}
				t.Run(fmt.Sprintf("%s, %s, set before: %v", who, what, before), func(t *testing.T) {
					t.Parallel()
					n := 0
					for ; editedDuring(t, e.file, e.line, what, run, before, n); n++ {
					}
					if n < 2 {
						t.Errorf("the run has called %d programs: nobody could edit anything meanwhile", n)
					}
				})
			}
		}
	}
}

// editedDuring edits a file when program n is called, and tells whether it came to that.
func editedDuring(t *testing.T, file, line, what string, run func(d smarthost.Deps) (*smarthost.Plan, error), before bool, n int) bool {
	t.Helper()
	d, f := lay(t, nil)
	if before {
		first := options()
		first.Rewrite = canonical("", "carl")
		set(t, d, first)
	}
	calls, edited := 0, false
	f.edit = func(string) {
		if calls++; calls-1 == n {
			f.change(t, file, line)
			edited = true
		}
	}
	p, err := run(d)
	noted := ""
	if err == nil {
		p.Note = func(mainCF []byte) error {
			noted = string(mainCF)
			return nil
		}
		err = p.Apply(context.Background(), func(smarthost.Change) {})
	}
	if err != nil {
		t.Fatalf("call %d: %v", n, err)
	}
	if now := read(t, d, "/etc/postfix/main.cf"); len(p.Changes) > 0 && noted != now {
		t.Errorf("call %d: main.cf was announced as\n%s\nand is\n%s", n, noted, now)
	}
	want := line
	if want == "" {
		want = "# gone"
	}
	if edited && !strings.Contains(read(t, d, "/"+file), want) {
		t.Errorf("call %d: the edit is lost:\n%s", n, read(t, d, "/"+file))
	}
	if got, want := value(t, d, "relayhost"), map[string]string{"set": "[relay.example.net]:587"}[what]; got != want {
		t.Errorf("call %d: relayhost is %q, want %q", n, got, want)
	}
	if strings.Contains(read(t, d, "/etc/postfix/main.cf"), ".postfix-maint") {
		t.Errorf("call %d: main.cf names a table that is being built", n)
	}
	return edited
}

// Somebody who never stops is not waited for, and no password lies around then.
func TestAnEditorWithoutEnd(t *testing.T) {
	d, f := lay(t, nil)
	f.edit = func(call string) {
		if strings.HasPrefix(call, "postalias") {
			f.change(t, "etc/postfix/main.cf", "# again\n")
		}
	}
	p, err := smarthost.Set(context.Background(), d, primary, options())
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(context.Background(), func(smarthost.Change) {}); !errors.Is(err, sysroot.ErrChanged) {
		t.Errorf("%v, want one that says so", err)
	}
	if now := read(t, d, "/etc/postfix/main.cf"); strings.ReplaceAll(now, "# again\n", "") != mainCF {
		t.Errorf("main.cf is another one:\n%s", now)
	}
	_ = filepath.WalkDir(f.dir, func(name string, _ os.DirEntry, _ error) error {
		if data, err := os.ReadFile(name); err == nil && strings.Contains(string(data), secret) {
			t.Errorf("the password is in %s", name)
		}
		return nil
	})
}

// Whoever read main.cf in the middle of a change, and writes it when that is through, names tables that were built and are gone. Then the
// lasting ones count, and the next run of whatever kind puts their names back.
func TestNamesOfTheBuiltTablesComeBack(t *testing.T) {
	const named, there = "/etc/postfix/.postfix-maint/sasl_passwd", "/etc/postfix/sasl_passwd"
	for what, next := range map[string]func(t *testing.T, d smarthost.Deps){
		"recover": func(t *testing.T, d smarthost.Deps) {
			ended(t, d)
		},
		"set": func(t *testing.T, d smarthost.Deps) {
			if p := set(t, d, options()); len(p.Warnings) > 0 {
				t.Errorf("set warns: %q", p.Warnings)
			}
		},
		"unset": func(t *testing.T, d smarthost.Deps) { unset(t, d) },
	} {
		for _, gone := range []bool{false, true} {
			d, _ := lay(t, nil)
			set(t, d, options())
			lasting, table := read(t, d, "/etc/postfix/main.cf"), read(t, d, there)
			write(t, d, "/etc/postfix/main.cf", strings.ReplaceAll(lasting, there, named))
			if gone { // an unset came in between
				if err := os.Remove(d.Root.Dir() + there); err != nil {
					t.Fatal(err)
				}
			}
			next(t, d)
			want := map[string]string{"recover": lasting, "set": lasting, "unset": mainCF}[what]
			if got := read(t, d, "/etc/postfix/main.cf"); got != want {
				t.Errorf("%s, the table gone: %v: main.cf is\n%s", what, gone, got)
			}
			if what == "set" || what == "recover" && !gone {
				if got := read(t, d, there); got != table {
					t.Errorf("%s: the table is another one", what)
				}
			}
		}
	}
}
