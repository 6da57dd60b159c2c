package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/notes"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

// into writes the diffs of changes.
func into(w io.Writer) func(transaction.Change) {
	return func(ch transaction.Change) { fmt.Fprint(w, ch.Diff) }
}

func TestCheckConfig(t *testing.T) {
	const main = "# mine\ncompatibility_level = 3.6\nalias_maps =\nmulti_instance_directories = /etc/postfix-out\nmilter_protocol = 2 \n"
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":     main,
		"etc/postfix/master.cf":   "smtp inet n - y - - smtpd\n",
		"etc/postfix-out/main.cf": "compatibility_level = 3.6\nalias_maps =\nmulti_instance_name = out\nsmtpd_use_tls = yes\n",
		"run/":                    "",
	})
	found, warnings := checkConfigs(root, notes.Rename{})
	if len(warnings) > 0 || len(found) != 2 || found[0].Path != "/etc/postfix/main.cf" || found[0].Line != 5 || found[1].Instance != "out" {
		t.Fatalf("notes %+v, warnings %q", found, warnings)
	}
	var out, errs bytes.Buffer
	if err := fixConfig(t.Context(), root, []string{"milter-protocol"}, true, into(&out), &errs); err != nil {
		t.Fatal(err)
	}
	if data, _ := root.ReadFile("/etc/postfix/main.cf"); string(data) != main || !strings.Contains(out.String(), "-milter_protocol") {
		t.Errorf("a dry run wrote %q and said %q", data, out.String())
	}
	if err := fixConfig(t.Context(), root, []string{"milter-protocol"}, false, into(&out), &errs); err != nil {
		t.Fatal(err)
	}
	if data, _ := root.ReadFile("/etc/postfix/main.cf"); string(data) != strings.Replace(main, "milter_protocol = 2 \n", "", 1) {
		t.Errorf("the edit made it %q", data)
	}
	if found, _ := checkConfigs(root, notes.Rename{}); len(found) != 1 || found[0].Name != "smtpd-tls-level" {
		t.Errorf("afterwards: %+v", found)
	}
	if err := fixConfig(t.Context(), root, []string{"milter-protocol"}, false, into(&out), &errs); err != nil {
		t.Errorf("an edit that is made already: %v", err)
	}
}

// What is offered is in the type that this release's tables have.
func TestCheckConfigOnSid(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level = 3.6\n", "usr/share/postfix/main.cf.debian": "default_database_type = cdb\n", "run/": "",
	})
	if found, _ := checkConfigs(root, notes.Rename{}); len(found) != 1 || found[0].Offer != "alias_maps = cdb:/etc/aliases" {
		t.Errorf("notes %+v", found)
	}
}

// What holds the name that the host had when it was configured is told with its place, of the primary instance alone.
func TestCheckConfigTellsOldNames(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":                "compatibility_level = 3.6\nalias_maps =\nmyhostname = Old.example.org\nmydestination = localhost, old.example.org\nmulti_instance_directories = /etc/postfix-out\n",
		"etc/postfix-out/main.cf":            "compatibility_level = 3.6\nalias_maps =\nmulti_instance_name = out\nmyhostname = old.example.org\n",
		"etc/mailname":                       "old.example.org\n",
		"var/lib/postfix-maint/applied.json": `{"answers":{},"host":"old.example.org"}`,
	})
	for now, want := range map[string]string{
		"new.example.org": "/etc/mailname:1 /etc/postfix/main.cf:3 /etc/postfix/main.cf:4", "old.example.org": "", "old": "", "": "",
	} {
		found, warnings := checkConfigs(root, setup.Renamed(root, now))
		var got []string
		for _, n := range found {
			got = append(got, fmt.Sprintf("%s:%d", n.Path, n.Line))
		}
		if strings.Join(got, " ") != want || len(warnings) > 0 {
			t.Errorf("now %q: notes %q, want %q; warnings %q", now, got, want, warnings)
		}
	}
}

// One instance that cannot be read leaves nothing half done and nothing unsaid.
func TestFixWithABrokenNeighbour(t *testing.T) {
	const good, fixed = "compatibility_level = 3.6\nalias_maps =\nmilter_protocol = 2\n", "compatibility_level = 3.6\nalias_maps =\n"
	for name, c := range map[string]struct {
		broken, names string
		edited        bool
		says          string
	}{
		"a neighbour that is no configuration": {"not a setting\n", "milter-protocol", true, "/etc/postfix-bad"},
		"a neighbour with a broken master.cf":  {"multi_instance_name = bad\n", "milter-protocol", true, "/etc/postfix-bad/master.cf"},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{
				"etc/postfix/main.cf":       good + "multi_instance_directories = /etc/postfix-bad /etc/postfix-out\n",
				"etc/postfix-bad/main.cf":   c.broken,
				"etc/postfix-bad/master.cf": "broken\n",
				"etc/postfix-out/main.cf":   good + "multi_instance_name = out\n",
				"run/":                      "",
			})
			for _, dry := range []bool{true, false} {
				var out, errs bytes.Buffer
				err := fixConfig(t.Context(), root, strings.Fields(c.names), dry, into(&out), &errs)
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("dry %v: %v, want an error about %s", dry, err, c.says)
				}
				for _, dir := range []string{"/etc/postfix", "/etc/postfix-out"} {
					data, _ := root.ReadFile(dir + "/main.cf")
					if got := strings.HasPrefix(string(data), fixed+"multi"); got != (c.edited && !dry) {
						t.Errorf("dry %v: %s is %q", dry, dir, data)
					}
				}
			}
		})
	}
}

// writes calls do before the first byte.
type writes struct {
	bytes.Buffer
	do func()
}

func (w *writes) Write(p []byte) (int, error) {
	if w.do != nil {
		w.do()
		w.do = nil
	}
	return w.Buffer.Write(p)
}

// What somebody writes between the plan of an edit and its moment stays, and the two files of the edit change both or not at all.
func TestFixKeepsWhatIsWrittenMeanwhile(t *testing.T) {
	needsRoot(t)
	for name, c := range map[string]struct {
		by      map[string]string // what somebody writes, by file
		main    string
		chroots bool
		fails   bool
	}{
		"an edit of main.cf":   {map[string]string{"main.cf": "by_hand = 1\n"}, "by_hand = 1\ncompatibility_level = 3.6\n", true, false},
		"an edit of master.cf": {map[string]string{"master.cf": "smtp inet n - - - - smtpd\nown unix n - n - - /opt/own\n"}, "alias_maps =\ncompatibility_level = 3.6\n", true, false},
		"half an edit":         {map[string]string{"main.cf": "none\n"}, "none\n", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{
				"etc/postfix/main.cf": "alias_maps =\n", "etc/postfix/master.cf": "smtp inet n - - - - smtpd\n", "var/lib/": "",
			})
			out := &writes{do: func() {
				for file, text := range c.by {
					if err := os.WriteFile(root.Dir()+"/etc/postfix/"+file, []byte(text), 0o644); err != nil {
						t.Error(err)
					}
				}
			}}
			err := fixConfig(t.Context(), root, []string{"compatibility-level"}, false, into(out), io.Discard)
			main, _ := root.ReadFile("/etc/postfix/main.cf")
			master, _ := root.ReadFile("/etc/postfix/master.cf")
			if (err != nil) != c.fails || !strings.HasPrefix(string(main), c.main) || strings.Contains(string(master), "n - y - - smtpd") != c.chroots {
				t.Errorf("%v; the files say\n%s\n%s", err, main, master)
			}
			if own := c.by["master.cf"]; own != "" && !strings.Contains(string(master), "/opt/own") {
				t.Errorf("an edit is lost: %s", master)
			}
		})
	}
}
