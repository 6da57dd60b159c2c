package sysroot_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// content is what a file holds; "-" if it is not there.
func content(t *testing.T, root *sysroot.Root, name string) string {
	t.Helper()
	data, err := root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "-"
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A staged file takes its place in one step, and the old one comes back in one; nobody's edit in between is lost.
func TestSwapAndBack(t *testing.T) {
	for name, c := range map[string]struct {
		old, new  string // "-": no such file
		meanwhile string // somebody writes this before Swap; "" for nobody
	}{
		"a change":                          {old: "old", new: "new"},
		"a new file":                        {old: "-", new: "new"},
		"a removal":                         {old: "old", new: "-"},
		"a change of what was edited":       {old: "old", new: "new", meanwhile: "edit"},
		"a new file where another came":     {old: "-", new: "new", meanwhile: "edit"},
		"a removal of what was edited":      {old: "old", new: "-", meanwhile: "edit"},
		"a change of what somebody removed": {old: "old", new: "new", meanwhile: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			tree := map[string]string{"etc/": ""}
			if c.old != "-" {
				tree["etc/file"] = c.old
			}
			root := sysroottest.New(t, tree)
			seen, err := root.See("/etc/file")
			if err != nil {
				t.Fatal(err)
			}
			s, err := root.Name("/etc/file")
			if err != nil || s.Path() != "/etc/file" || filepath.Dir(s.Beside()) != "/etc" {
				t.Fatalf("staged as %+v, %v", s, err)
			}
			if c.new != "-" {
				attr := own()
				attr.Seen = seen
				if err := root.Stage(s, []byte(c.new), attr); err != nil {
					t.Fatal(err)
				}
			}
			want, after := c.new, c.old
			switch c.meanwhile {
			case "":
			case "-":
				want, after = "-", "-"
				_, err = root.Remove("/etc/file")
			default:
				want, after = c.meanwhile, c.meanwhile
				_, err = root.WriteFile("/etc/file", []byte(c.meanwhile), own())
			}
			if err != nil {
				t.Fatal(err)
			}
			err = root.Swap(s, seen)
			if (c.meanwhile != "") != errors.Is(err, sysroot.ErrChanged) || err != nil && c.meanwhile == "" {
				t.Errorf("the swap ends with %v", err)
			}
			if got := content(t, root, "/etc/file"); got != want {
				t.Errorf("after the swap the file is %q, want %q", got, want)
			}
			if err == nil {
				if got := content(t, root, s.Beside()); got != c.old {
					t.Errorf("beside it is %q, want the old file %q", got, c.old)
				}
				if err := errors.Join(root.TakeUp(s), root.Back(s)); err != nil {
					t.Fatal(err)
				}
			}
			if got := content(t, root, "/etc/file"); got != after {
				t.Errorf("at the end the file is %q, want %q", got, after)
			}
		})
	}
}

// The names of a staged file may come from a journal: what leads elsewhere, or to what no stage has made, is refused.
func TestStagedNamesAreChecked(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/file": "old", "etc/other": "mine", "secret": "mine"})
	good, err := root.Name("/etc/file")
	if err != nil {
		t.Fatal(err)
	}
	for what, s := range map[string]sysroot.Staged{
		"a file of another directory":   {Dir: good.Dir, Name: "../secret", Temp: good.Temp},
		"a staged one elsewhere":        {Dir: good.Dir, Name: good.Name, Temp: "../" + good.Temp},
		"a file that no stage has made": {Dir: good.Dir, Name: good.Name, Temp: "other"},
		"a directory that is not there": {Dir: "/none", Name: good.Name, Temp: good.Temp},
	} {
		for call, err := range map[string]error{
			"Stage": root.Stage(s, []byte("new"), own()), "Swap": root.Swap(s, nil), "Back": root.Back(s), "TakeUp": root.TakeUp(s),
		} {
			if err == nil || !strings.Contains(err.Error(), "cannot ") {
				t.Errorf("%s of %s ends with %v", call, what, err)
			}
		}
	}
	for name, want := range map[string]string{"/etc/file": "old", "/etc/other": "mine", "/secret": "mine"} {
		if got := content(t, root, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestRemoveEach(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"a/one": "", "b/two": "", "full/x": ""})
	if err := root.RemoveEach([]string{"/a/one", "/a/none", "/b/two"}); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/a", "/b"} {
		if left, err := root.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v, %v", dir, left, err)
		}
	}
	if err := root.RemoveEach([]string{"/full"}); err == nil || !strings.Contains(err.Error(), `"/full"`) {
		t.Errorf("a directory with a file in it: %v", err)
	}
}
