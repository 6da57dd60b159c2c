package adopt

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/run"
)

func runWith(t *testing.T, deb, layer, out string) (Result, error) {
	t.Helper()
	return Run(context.Background(), Options{Deb: deb, Layer: layer, Output: out, Runner: run.Runner{}})
}

func TestControlFileIsKeptAsItStands(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"usual":                     "Package: a\nVersion: 1\nDescription: b\n c\n .\n d\n",
		"value on the next line":    "Package: a\nDepends:\n b,\n c\nDescription: d\n",
		"tab before a continuation": "Package: a\nDepends: b,\n\tc\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := parseControl(text)
			must(t, err)
			if c.String() != text {
				t.Errorf("%q came back as %q", text, c.String())
			}
		})
	}
}

func TestControlFileThatIsNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{" continued\n", "no field\n", ": value\n", ""} {
		if c, err := parseControl(text); err == nil {
			t.Errorf("%q was read as %v", text, c)
		}
	}
}

func TestFieldThatIsMissingGetsItsPlace(t *testing.T) {
	t.Parallel()
	c := control{{"Package", "a"}, {"Version", "1"}}
	c = c.also("Depends", "b", "Package").also("depends", "c", "Package")
	if got, want := c.String(), "Package: a\nDepends: b, c\nVersion: 1\n"; got != want {
		t.Errorf("control is %q, want %q", got, want)
	}
}

func TestTextOfLinks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ from, target, want string }{
		"within /usr":          {"usr/lib/postfix/x", "/usr/libexec/p/x", "../../libexec/p/x"},
		"from /lib to /usr":    {"lib/systemd/x", "/usr/libexec/p/x", "/usr/libexec/p/x"},
		"a name that is alike": {"usr/x", "/usr2/x", "/usr2/x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := linkText(tc.from, tc.target); got != tc.want {
				t.Errorf("link says %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCandidate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ policy, want string }{
		"what apt would install": {"postfix:\n  Installed: 3.7.10-0+deb12u1\n  Candidate: 3.7.11-0+deb12u1\n  Version table:\n     3.10.13-0+deb13u1 90\n", "3.7.11-0+deb12u1"},
		"an adopted one":         {"postfix:\n  Installed: (none)\n  Candidate: 3.7.11-0+deb12u1+maint1\n", "3.7.11-0+deb12u1"},
		"none":                   {"postfix:\n  Installed: (none)\n  Candidate: (none)\n", ""},
		"nothing known":          {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := candidate(tc.policy)
			if got != tc.want || ok != (tc.want != "") {
				t.Errorf("version is %q, %v, want %q", got, ok, tc.want)
			}
		})
	}
}

// aptFake plays apt-cache and apt-get; every other program runs.
type aptFake struct {
	deb  string
	fail string // the program that fails
	got  []string
}

func (a *aptFake) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	line := name + " " + strings.Join(args, " ")
	switch {
	case a.fail != "" && strings.Contains(line, a.fail):
		return nil, errors.New("no network")
	case name == "env" && args[1] == "apt-cache":
		a.got = append(a.got, line)
		return []byte("postfix:\n  Candidate: " + bookwormVersion + "\n"), nil
	case name == "env" && args[0] == "-C" && args[2] == "apt-get":
		a.got = append(a.got, strings.Join(args[2:], " "))
		data, err := os.ReadFile(a.deb)
		if err != nil {
			return nil, err
		}
		return nil, os.WriteFile(filepath.Join(args[1], "postfix_"+bookwormVersion+"_amd64.deb"), data, 0o644)
	}
	return run.Runner{}.Output(ctx, name, args...)
}

func TestWithoutPackageAptIsAsked(t *testing.T) {
	t.Parallel()
	apt := &aptFake{deb: stockFake(bookwormVersion).build(t)}
	res, err := Run(context.Background(), Options{Output: t.TempDir(), Layer: layerFake(t), Runner: apt})
	must(t, err)
	if res.Stock != bookwormVersion {
		t.Errorf("adopted %q", res.Stock)
	}
	want := "apt-get -o APT::Sandbox::User=root download postfix=" + bookwormVersion
	if len(apt.got) != 2 || apt.got[1] != want {
		t.Errorf("apt was called as %q, want %q last", apt.got, want)
	}
}

func TestAptThatFailsIsQuoted(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"apt-cache", "apt-get"} {
		_, err := Run(context.Background(), Options{Output: t.TempDir(), Layer: layerFake(t), Runner: &aptFake{fail: program}})
		if err == nil || !strings.Contains(err.Error(), "no network") {
			t.Errorf("with %s failing the error is %v", program, err)
		}
	}
}

func TestWhatIsNoPackageOrNoLayer(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text.deb")
	must(t, os.WriteFile(text, []byte("no package"), 0o644))
	deb, layer, broken, empty := stockFake(bookwormVersion).build(t), layerFake(t), layerFake(t), layerFake(t)
	must(t, os.Remove(filepath.Join(broken, "systemd/postfix@.service")))
	must(t, os.WriteFile(filepath.Join(empty, "debian/changelog"), nil, 0o644))
	for name, tc := range map[string]struct{ deb, layer, want string }{
		"a text":                        {text, layer, "cannot read package"},
		"a file that is not there":      {text + "x", layer, "cannot read package"},
		"a layer without a unit":        {deb, broken, "postfix@.service"},
		"a layer that is not there":     {deb, layer + "x", "cannot read the layer"},
		"a layer that has no changelog": {deb, empty, "no changelog of postfix-maint"},
	} {
		t.Run(name, func(t *testing.T) {
			out := t.TempDir()
			_, err := runWith(t, tc.deb, tc.layer, out)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q in it", err, tc.want)
			}
			if left, _ := os.ReadDir(out); len(left) != 0 {
				t.Errorf("%v was left behind", left)
			}
		})
	}
}
