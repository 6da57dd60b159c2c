package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/urfave/cli/v2"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
)

// offered are the words that complete a line.
func offered(line string) string {
	var out strings.Builder
	complete(table(), strings.Split(line, " "), &out)
	var words []string
	for l := range strings.Lines(out.String()) {
		word, _, _ := strings.Cut(strings.TrimSuffix(l, "\n"), "\t")
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestComplete(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":                 "multi_instance_directories = /etc/postfix-out\n",
		"etc/postfix-out/main.cf":             "multi_instance_name = postfix-out\nqueue_directory = /var/spool/postfix-out\ndata_directory = /var/lib/postfix-out\n",
		paths.LibDir[1:] + "/postfix-pcre.so": "", paths.LibDir[1:] + "/libpostfix-util.so": "",
		"var/lib/postfix-maint/smarthost/postfix@-.json": `{"options": {"relay": ""}, "senders": {"accounts": [{"sender": "me@example.org"}, {"sender": "@example.net"}]}}`,
	})
	t.Setenv("DPKG_ROOT", root.Dir())
	for line, want := range map[string]string{
		"":                                         "status doctor check-config test history apply undo sandbox dynamicmap instance chroot smarthost adopt help",
		"s":                                        "status sandbox smarthost",
		"--":                                       "--help",
		"smarthost ":                               "set login unset show providers test add list remove",
		"smarthost t":                              "test",
		"smarthost set --tl":                       "--tls",
		"smarthost set --tls ":                     "none may encrypt verify secure",
		"smarthost set --tls=v":                    "--tls=verify",
		"smarthost set --json --j":                 "",
		"smarthost --json set --dry":               "--dry-run",
		"smarthost set --rewrite g":                "generic=",
		"smarthost set --ca-file ":                 ":files",
		"smarthost set --ca-file=/e":               ":files",
		"smarthost set --user ":                    "none",
		"smarthost show --instance p":              "postfix-out",
		"smarthost show --instance=p":              "--instance=postfix-out",
		"smarthost test ":                          "",
		"smarthost remove ":                        "me@example.org @example.net",
		"smarthost add --sender @":                 "@example.net",
		"smarthost add --tls ":                     "verify secure",
		"instance create ":                         "",
		"instance create a --config-dir ":          ":dirs",
		"instance create a --from ":                "- postfix-out",
		"instance create a --set x=y --set inet_i": "inet_interfaces=",
		"smarthost login --provider m":             "microsoft",
		"smarthost login --flow ":                  "device browser client-credentials service-account",
		"smarthost login --flow=b":                 "--flow=browser",
		"smarthost login --key-file ":              ":files",
		"smarthost login --user ":                  "",
		"smarthost login --sender m":               "me@example.org",
		"instance remove ":                         "- postfix-out",
		"instance remove postfix-out ":             "",
		"chroot sync -":                            "-",
		"chroot sync --dry":                        "--dry-run",
		"chroot sync -- --dry":                     "",
		"doctor --fix=index-m":                     "--fix=index-missing",
		"doctor --fix ":                            "- postfix-out",
		"status ":                                  "- postfix-out",
		"sandbox s":                                "strict status",
		"check-config --fix mil":                   "milter-protocol",
		"history ":                                 "show",
		"undo ":                                    "",
		"dynamicmap add ":                          "pcre",
		"adopt --drop-ins ":                        "move leave",
		"adopt ":                                   ":files",
		"adopt --hand":                             "",
		"help ":                                    "status doctor check-config test history apply undo sandbox dynamicmap instance chroot smarthost adopt help",
		"help instance r":                          "remove",
		"frobnicate ":                              "",
		"shelter ":                                 "",
		"postinst ":                                "",
	} {
		if got := offered(line); got != want {
			t.Errorf("%q is completed with %q, want %q", line, got, want)
		}
	}
	if got := offered("doctor --g"); got != "--gate" {
		t.Errorf("doctor's option: %q", got)
	}
}

// Every command and every option that help shows is offered.
func TestCompleteHasTheWholeTable(t *testing.T) {
	for _, r := range table() {
		if !r.isCommand() || r.who.dpkg {
			continue
		}
		if words := strings.Fields(offered(r.words[:strings.LastIndex(" "+r.words, " ")])); !slices.Contains(words, r.words[strings.LastIndex(r.words, " ")+1:]) {
			t.Errorf("%q is not among %q", r.words, words)
		}
		words := strings.Fields(offered(r.words + " --"))
		for _, f := range r.flags {
			if visible := f.(cli.VisibleFlag).IsVisible(); slices.Contains(words, "--"+f.Names()[0]) != visible {
				t.Errorf("%q: --%s is not among %q", r.words, f.Names()[0], words)
			}
		}
	}
}

// Where nothing can be read nothing is said, and nothing fails.
func TestCompleteIsSilent(t *testing.T) {
	t.Setenv("DPKG_ROOT", filepath.Join(t.TempDir(), "none"))
	for _, line := range []string{"", "status ", "undo ", "dynamicmap add ", "smarthost show --instance "} {
		var out, errs strings.Builder
		if code := executeRows(t.Context(), table(), append([]string{"postfix-maint", "complete"}, strings.Split(line, " ")...), &out, &errs); code != 0 || errs.Len() > 0 {
			t.Errorf("%q: exit status %d, %q", line, code, errs.String())
		}
	}
}

// shells are started without anybody's own settings, and shown the completion's file in place of the folder of the package.
var shells = map[string]struct {
	args  []string
	file  string
	setup string
}{
	"bash": {[]string{"--norc", "--noprofile", "-i"}, "bash/postfix-maint", "source '%[1]s'; postfix-maint() { printf '<%%s>' \"$@\"; echo; }"},
	"zsh": {[]string{"-f", "-i"}, "zsh/_postfix-maint",
		"fpath=('%[2]s' $fpath); autoload -Uz compinit; compinit -u -D; postfix-maint() { printf '<%%s>' \"$@\"; echo; }"},
	"fish": {[]string{"--no-config", "--private", "-i"}, "fish/postfix-maint.fish", "source '%[1]s'; function postfix-maint; printf '<%%s>' $argv; echo; end"},
}

// Lines are typed into real shells, with the tab key where <TAB> stands; what the shell then runs is what came of it.
func TestCompletionInRealShells(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":     "multi_instance_directories = /etc/postfix-out\n",
		"etc/postfix-out/main.cf": "multi_instance_name = postfix-out\nqueue_directory = /var/spool/postfix-out\ndata_directory = /var/lib/postfix-out\n",
	})
	t.Setenv("DPKG_ROOT", root.Dir())
	for shell, s := range shells {
		t.Run(shell, func(t *testing.T) {
			program, err := exec.LookPath(shell)
			if err != nil {
				t.Skip(err) // integration/ci/prepare installs it
			}
			dir := t.TempDir()
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			ours := filepath.Join(dir, "pm")
			text, err := os.ReadFile("../../debian/completions/" + s.file)
			if err != nil || !strings.Contains(string(text), "/usr/sbin/postfix-maint complete") {
				t.Fatal("the completion does not ask the program", err)
			}
			file := filepath.Join(dir, filepath.Base(s.file))
			for name, data := range map[string]string{
				ours: fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asCommand, self), file: strings.ReplaceAll(string(text), "/usr/sbin/postfix-maint", ours),
				filepath.Join(dir, "relay-ca.pem"): "",
			} {
				if err := os.WriteFile(name, []byte(data), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(program, s.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "HOME="+dir, "TERM=xterm", "PS1=> ", "INPUTRC=/dev/null")
			screen, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 200})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = screen.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() }()
			seen := watchScreen(screen)
			fmt.Fprintf(screen, s.setup+"; echo rea''dy\n", file, dir)
			await(t, seen, "ready")
			for line, want := range map[string]string{
				"smart<TAB>te<TAB>somebody@example.org":        "<smarthost><test><somebody@example.org>",
				"smarthost set --rel<TAB>x --tls ver<TAB>":     "<smarthost><set><--relay><x><--tls><verify>",
				"smarthost set --tls=ver<TAB>":                 "<smarthost><set><--tls=verify>",
				"instance rem<TAB>postfix-o<TAB>":              "<instance><remove><postfix-out>",
				"check-config --fix milt<TAB>":                 "<check-config><--fix><milter-protocol>",
				"smarthost set --ca-file relay-c<TAB>":         "<smarthost><set><--ca-file><relay-ca.pem>",
				"smarthost set --ca-file=relay-c<TAB>":         "<smarthost><set><--ca-file=relay-ca.pem>",
				"instance create a --set inet_i<TAB>192.0.2.1": "<instance><create><a><--set><inet_interfaces=192.0.2.1>",
			} {
				fmt.Fprintf(screen, "postfix-maint %s\n", strings.ReplaceAll(line, "<TAB>", "\t"))
				await(t, seen, want)
			}
		})
	}
}

// watchScreen reads what a terminal shows, so that nobody waits for us.
func watchScreen(screen *os.File) <-chan string {
	seen := make(chan string, 1000)
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := screen.Read(buf)
			if err != nil {
				close(seen)
				return
			}
			seen <- string(buf[:n])
		}
	}()
	return seen
}

func await(t *testing.T, seen <-chan string, want string) {
	t.Helper()
	all := ""
	for limit := time.After(20 * time.Second); ; {
		select {
		case text, ok := <-seen:
			if all += text; strings.Contains(all, want) {
				return
			} else if ok {
				continue
			}
		case <-limit:
		}
		t.Fatalf("the shell does not come to %s: %q", want, all)
	}
}
