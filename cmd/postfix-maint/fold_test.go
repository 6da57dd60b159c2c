package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"

	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a\n": "a\n", "a\nb\n": "a\nb\n", "a\nb": "a\nb", "a\nb\nc\n": "a\nb\n... 1 more lines: --diff shows them\n",
	} {
		if got := fold(text, 2); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// A long diff is folded on a terminal alone, and not with --diff.
func TestLongDiffsFoldOnATerminal(t *testing.T) {
	t.Setenv("DPKG_ROOT", sysroottest.New(t, map[string]string{"run/": ""}).Dir())
	rows := []row{{words: "x", flags: changing(), who: anywhere, locks: true, do: shown(
		func(_ context.Context, c *call) (*changes[transaction.Change], error) {
			c.did("edit it", strings.Repeat("+a\n", 60)+"+end\n")
			return changed[transaction.Change](nil, nil, nil), nil
		}, printNothing)}}
	for args, whole := range map[string]bool{"x": false, "x --diff": true} {
		screen, terminal, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			executeRows(t.Context(), rows, append([]string{"postfix-maint"}, strings.Fields(args)...), terminal, io.Discard)
			_, _ = io.WriteString(terminal, "done\n")
		}()
		var all strings.Builder
		for lines := bufio.NewScanner(screen); lines.Scan() && lines.Text() != "done"; {
			all.WriteString(lines.Text() + "\n")
		}
		if strings.Contains(all.String(), "+end") != whole || strings.Contains(all.String(), "21 more lines") == whole {
			t.Errorf("%s: %s", args, all.String())
		}
		terminal.Close()
		screen.Close()
	}
	var out strings.Builder
	if executeRows(t.Context(), rows, []string{"postfix-maint", "x"}, &out, io.Discard); !strings.Contains(out.String(), "+end") {
		t.Errorf("into a file: %s", out.String())
	}
}
