package sysroot_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func own() sysroot.Attr { return sysroot.Attr{UID: os.Getuid(), GID: os.Getgid()} }

func TestWhatSomebodyWroteMeanwhileWins(t *testing.T) {
	for name, c := range map[string]struct {
		at, now string // the file when it was seen and when it is written; "" for none
		want    string
		changed bool
	}{
		"nothing happened":                 {at: "old", now: "old", want: "new"},
		"there was no file and is no file": {want: "new"},
		"it was edited":                    {at: "old", now: "edited", want: "edited", changed: true},
		"edited, of the same size":         {at: "old", now: "odl", want: "odl", changed: true},
		"it was made":                      {now: "made", want: "made", changed: true},
		"made, and it says what we would":  {now: "new", want: "new", changed: true},
		"it was removed":                   {at: "old", changed: true},
		"it is a directory now":            {at: "old", now: "/", want: "/", changed: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := sysroottest.New(t, map[string]string{"etc/": ""})
			file := filepath.Join(r.Dir(), "etc/main.cf")
			put := func(text string) {
				_ = os.RemoveAll(file)
				switch text {
				case "":
				case "/":
					_ = os.Mkdir(file, 0o755)
				default:
					_ = os.WriteFile(file, []byte(text), 0o644)
				}
			}
			put(c.at)
			attr := own()
			var err error
			if attr.Seen, err = r.See("/etc/main.cf"); err != nil {
				t.Fatal(err)
			}
			put(c.now)
			changed, err := r.WriteFile("/etc/main.cf", []byte("new"), attr)
			if errors.Is(err, sysroot.ErrChanged) != c.changed || (err != nil) != c.changed || changed == c.changed {
				t.Errorf("WriteFile = %v, %v", changed, err)
			}
			tree := sysroottest.Dump(t, r.Dir(), false)
			if data, _ := r.ReadFile("/etc/main.cf"); c.want != "/" && string(data) != c.want || len(tree) > 2 {
				t.Errorf("the file says %q, want %q; %v", data, c.want, tree)
			}
		})
	}
}

// Postfix waits for a file whose mtime is later than two seconds ago: dict_load_file_xt() in its util/dict.c.
func TestTimeStampsSettledAndNeverBackwards(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		old, after time.Time
		settled    bool
		hot        bool // it cannot be avoided: the file before it was of the last seconds, or of the future
	}{
		"a new file":                             {settled: true},
		"an old one":                             {old: now.Add(-time.Hour), settled: true},
		"one of four seconds ago":                {old: now.Add(-4 * time.Second), settled: true},
		"one of this moment":                     {old: now, settled: true, hot: true},
		"one of tomorrow":                        {old: now.Add(24 * time.Hour), settled: true, hot: true},
		"one whose index is of this moment":      {old: now.Add(-time.Hour), after: now, settled: true, hot: true},
		"one whose index is of yesterday":        {old: now.Add(-48 * time.Hour), after: now.Add(-24 * time.Hour), settled: true},
		"one that nobody waits for":              {old: now.Add(-time.Hour), hot: true},
		"of tomorrow, one that nobody waits for": {old: now.Add(24 * time.Hour), hot: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := sysroottest.New(t, map[string]string{"etc/": ""})
			file := filepath.Join(r.Dir(), "etc/main.cf")
			if !c.old.IsZero() {
				_ = os.WriteFile(file, []byte("old"), 0o644)
				if err := os.Chtimes(file, c.old, c.old); err != nil {
					t.Fatal(err)
				}
			}
			last := c.old
			for n := range 3 {
				attr := own()
				attr.Settled, attr.After = c.settled, c.after
				if _, err := r.WriteFile("/etc/main.cf", fmt.Append(nil, n), attr); err != nil {
					t.Fatal(err)
				}
				fi, err := r.Stat("/etc/main.cf")
				if err != nil {
					t.Fatal(err)
				}
				stamp := fi.ModTime()
				if !stamp.After(last) || !c.after.IsZero() && !stamp.After(c.after) {
					t.Errorf("the time stamp %v is not later than that of before, %v, and %v", stamp, last, c.after)
				}
				if hot := stamp.Unix() >= time.Now().Unix()-1; hot && !c.hot {
					t.Errorf("Postfix waits for a file of %v", stamp)
				}
				last = stamp
			}
		})
	}
}

// An edit between the look at a file and the moment at which the new one gets its name wins as well.
func TestAnEditBesideAPreparedFileWins(t *testing.T) {
	at := t.TempDir()
	file := filepath.Join(at, "main.cf")
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("old")
	dir, err := os.OpenRoot(at)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	attr := own()
	attr.Seen = &sysroot.Seen{Data: []byte("old")}
	n, _, err := sysroot.Prepare(dir, "main.cf", []byte("new"), attr)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Drop()
	put("edited")
	if err := n.Put(); !errors.Is(err, sysroot.ErrChanged) {
		t.Errorf("Put = %v", err)
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != "edited" {
		t.Errorf("the file says %q, %v", data, err)
	}
}
