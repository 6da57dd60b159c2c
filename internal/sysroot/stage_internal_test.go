package sysroot

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// No file system without the flags of renameat2(2) is at hand in a test: what is done there instead is called by itself.
func TestExchangeByLinks(t *testing.T) {
	s := Staged{Name: "file", Temp: stagedPrefix + "file.A"}
	for name, c := range map[string]struct {
		files    map[string]string // before
		from, to string            // "" for an exchange that was cut off
		flags    uint
		want     map[string]string
	}{
		"both are there":    {map[string]string{s.Name: "old", s.Temp: "new"}, s.Temp, s.Name, unix.RENAME_EXCHANGE, map[string]string{s.Name: "new", s.Temp: "old"}},
		"a new file":        {map[string]string{s.Temp: "new"}, s.Temp, s.Name, unix.RENAME_NOREPLACE, map[string]string{s.Name: "new"}},
		"one that is to go": {map[string]string{s.Name: "old"}, s.Name, s.Temp, unix.RENAME_NOREPLACE, map[string]string{s.Temp: "old"}},
		"cut off before the rename": {map[string]string{s.Name: "old", s.Temp: "new", s.Temp + aside: "old"}, "", "", 0,
			map[string]string{s.Name: "old", s.Temp: "new"}},
		"cut off after the rename": {map[string]string{s.Name: "new", s.Temp + aside: "old"}, "", "", 0,
			map[string]string{s.Name: "new", s.Temp: "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			for name, text := range c.files {
				if err := os.WriteFile(filepath.Join(top, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			dir, err := os.OpenRoot(top)
			if err != nil {
				t.Fatal(err)
			}
			defer dir.Close()
			if c.from == "" {
				err = settleLinks(dir, s)
			} else {
				err = exchangeByLinks(dir, s, c.from, c.to, c.flags)
			}
			if err != nil {
				t.Fatal(err)
			}
			entries, _ := os.ReadDir(top)
			for _, e := range entries {
				if data, _ := dir.ReadFile(e.Name()); string(data) != c.want[e.Name()] {
					t.Errorf("%s says %q, want %q", e.Name(), data, c.want[e.Name()])
				}
			}
			if len(entries) != len(c.want) {
				t.Errorf("left: %v", entries)
			}
		})
	}
}
