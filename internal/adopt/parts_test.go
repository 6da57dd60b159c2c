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

func TestWhichVersionIsWanted(t *testing.T) {
	t.Parallel()
	const mirror, ours, dpkg = "\n        500 http://deb.debian.org/debian bookworm/main amd64 Packages", "\n        500 file:/var/lib/postfix-maint/archive ./ Packages",
		"\n        100 /var/lib/dpkg/status"
	for name, tc := range map[string]struct {
		table      string
		base, next string
		priority   int
	}{
		"Debian's is installed and the newest":   {" *** 1-1 500" + mirror + dpkg, "1-1", "", 500},
		"a newer one came":                       {"     1-2 500" + mirror + "\n *** 1-1 500" + mirror + dpkg, "1-1", "1-2", 500},
		"two newer ones":                         {"     1-3 500" + mirror + "\n     1-2 500" + mirror + "\n *** 1-1 500" + mirror + dpkg, "1-1", "1-3", 500},
		"the installed one cannot be had":        {"     1-2 500" + mirror + "\n *** 1-1 100" + dpkg, "", "1-2", 500},
		"none is installed":                      {"     1-2 500" + mirror + "\n     1-1 990" + mirror, "", "1-1", 990},
		"adopted, nothing newer":                 {" *** 1-1+a1.2 500" + ours + dpkg + "\n     1-1 500" + mirror, "1-1", "", 500},
		"adopted, a newer one came":              {"     1-2 500" + mirror + "\n *** 1-1+a1.2 500" + ours + dpkg + "\n     1-1 500" + mirror, "1-1", "1-2", 500},
		"the newer one is adopted already":       {"     1-2+a1.2 500" + ours + "\n     1-2 500" + mirror + "\n *** 1-1 500" + mirror + dpkg, "1-1", "1-2", 500},
		"a newer one that apt would not go to":   {"     2-1 100" + mirror + "\n *** 1-1 500" + mirror + dpkg, "1-1", "", 500},
		"a newer one that is forbidden":          {"     2-1 -1" + mirror, "", "", 500},
		"our own pin is no measure":              {"     1-2 500" + mirror + "\n *** 1-1+maint1 990" + ours + dpkg, "", "1-2", 500},
		"an older one is never gone back to":     {" *** 1-2+maint1 500" + ours + dpkg + "\n     1-1 1001" + mirror, "", "", 500},
		"Default-Release prefers a release":      {"     2-1 500" + mirror + "\n     1-2 990" + mirror + "\n *** 1-1 990" + mirror + dpkg, "1-1", "1-2", 990},
		"newer only as dpkg knows it":            {" *** 1-2 100" + dpkg + "\n     1-1 500" + mirror, "", "", 500},
		"apt knows nothing":                      {"", "", "", 500},
		"an update that reaches only some hosts": {"     1-2 500 (phased 10%)" + mirror + "\n *** 1-1 500" + mirror + dpkg, "1-1", "1-2", 500},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := parsePolicy("postfix:\n  Installed: x\n  Candidate: y\n  Version table:\n" + tc.table + "\n")
			base, next := p.wanted()
			got := [2]string{}
			for i, o := range []*offer{base, next} {
				if o != nil {
					got[i] = o.version
				}
			}
			if want := [2]string{tc.base, tc.next}; got != want {
				t.Errorf("base and next are %q, want %q", got, want)
			}
			if n := p.priority(); n != tc.priority {
				t.Errorf("pin has priority %d, want %d", n, tc.priority)
			}
		})
	}
}

func TestWhichVersionIsPending(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ table, want string }{
		"nothing newer":             {" *** 1-1 500\n     1-0 500", ""},
		"a newer one":               {"     1-2 500\n *** 1-1 500", "1-2"},
		"two newer ones":            {"     1-3 500\n     1-2 500\n *** 1-1 100", "1-3"},
		"a preferred one":           {"     1-3 500\n     1-2 990\n *** 1-1 500", "1-2"},
		"not from a lower priority": {"     2-1 100\n *** 1-1 500", ""},
		"not installed":             {"     1-2 500", ""},
		"apt knows nothing":         {"", ""},
	} {
		if got := parsePolicy("postfix:\n  Version table:\n" + tc.table + "\n").pending(); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
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
	case strings.Contains(line, "--print-uris"):
		return nil, nil
	case name == "apt-cache":
		a.got = append(a.got, line)
		return []byte("postfix:\n  Version table:\n     " + bookwormVersion + " 500\n        500 http://x bookworm/main\n"), nil
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

// The templates of the source tree become ones that debconf understands only when the package is built.
func TestTemplatesWithoutTranslations(t *testing.T) {
	t.Parallel()
	layer := layerFake(t)
	must(t, os.WriteFile(filepath.Join(layer, "debian/postfix.templates"), []byte("Template: postfix/more\nType: note\n_Description: More\n"), 0o644))
	_, err := runWith(t, stockFake(bookwormVersion).build(t), layer, t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "without translations") {
		t.Errorf("error is %v", err)
	}
}

func TestPostInstallFillsTheChroot(t *testing.T) {
	t.Parallel()
	const line, call = "    ours\n", "    /usr/lib/postfix/configure-instance.sh || exit 1\n"
	tests := map[string]struct{ script, want, verb string }{
		"Debian 12's":  {"x {\n    done\n" + postInstallEnd + "more\n", "x {\n    done\n" + line + postInstallEnd + "more\n", "extended "},
		"Debian 13's":  {"x {\n" + call + postInstallEnd, "x {\n" + call + postInstallEnd, "kept "},
		"nobody knows": {"x {\n}\n", "x {\n}\n", "kept (there is no place in it for ours) "},
	}
	for name, tc := range tests {
		if got, verb := withCall(tc.script, line); got != tc.want || verb != tc.verb {
			t.Errorf("%s: %s%q, want %s%q", name, verb, got, tc.verb, tc.want)
		}
	}
}
