package note_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot/note"
	"postfix-maint/internal/sysroot/sysroottest"
)

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		tree    map[string]string
		whole   error
		there   bool
		damaged string // what the error says
	}{
		"none":                     {},
		"one":                      {tree: map[string]string{"dir/file": `["a"]`}, there: true},
		"one by a link":            {tree: map[string]string{"dir/file": "-> ../real", "real": `["a"]`}, there: true},
		"a link to nothing":        {tree: map[string]string{"dir/file": "-> ../none"}, damaged: "no such file"},
		"no JSON":                  {tree: map[string]string{"dir/file": `["a"`}, damaged: "unexpected end"},
		"no string in it":          {tree: map[string]string{"dir/file": `["a", 5]`}, damaged: "cannot unmarshal"},
		"empty":                    {tree: map[string]string{"dir/file": ""}, damaged: "unexpected end"},
		"not whole":                {tree: map[string]string{"dir/file": `["a"]`}, whole: errors.New("half"), damaged: "half"},
		"a directory in its place": {tree: map[string]string{"dir/file/": ""}, damaged: "is a directory"},
		"a file above it":          {tree: map[string]string{"dir": ""}, damaged: "not a directory"},
		"too large":                {tree: map[string]string{"dir/file": `["` + strings.Repeat("a", 5<<20) + `"]`}, damaged: "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			var into []string
			there, damaged := note.Load(sysroottest.New(t, c.tree), "/dir/file", &into, func() error { return c.whole })
			if there != c.there || there && (len(into) != 1 || into[0] != "a") {
				t.Errorf("there = %v, and says %q", there, into)
			}
			if !there && len(into) > 0 {
				t.Errorf("none is there, and it says %q", into)
			}
			if (damaged != nil) != (c.damaged != "") || damaged != nil && (damaged.Path != "/dir/file" || !strings.Contains(damaged.Error(), c.damaged)) {
				t.Errorf("damaged: %v, want %q", damaged, c.damaged)
			}
		})
	}
}

// What Save writes Load reads, root alone may, and what a killed Save left goes.
func TestSave(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"dir/.postfix-maint-tmp.file.HALF": "half"})
	for _, name := range []string{"/dir/file", "/new/file"} {
		var into []string
		if err := note.Save(root, name, []string{"a"}, 0o700); err != nil {
			t.Fatal(err)
		}
		if there, damaged := note.Load(root, name, &into, nil); !there || damaged != nil || len(into) != 1 || into[0] != "a" {
			t.Errorf("%s: %v, %v, %q", name, there, damaged, into)
		}
		if fi, err := os.Stat(filepath.Join(root.Dir(), name)); err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, fi, err)
		}
		if left, _ := root.ReadDir(filepath.Dir(name)); len(left) != 1 {
			t.Errorf("%s: beside it are %v", name, left)
		}
	}
	if fi, err := os.Stat(filepath.Join(root.Dir(), "new")); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", fi, err)
	}
}

// One that was set aside before stays.
func TestSetAside(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"dir/": ""})
	for _, want := range []string{"/dir/file.damaged", "/dir/file.damaged2", "/dir/file.damaged3"} {
		if err := note.Save(root, "/dir/file", want, 0o700); err != nil {
			t.Fatal(err)
		}
		named := note.Aside(root, "/dir/file")
		if to, err := note.SetAside(root, "/dir/file"); err != nil || to != want || named != want {
			t.Errorf("set aside as %q (%q), %v, want %q", to, named, err, want)
		}
	}
	for _, name := range []string{"", "2", "3"} {
		if data, err := root.ReadFile("/dir/file.damaged" + name); err != nil || string(data) != `"/dir/file.damaged`+name+"\"\n" {
			t.Errorf("%q says %q, %v", name, data, err)
		}
	}
}
