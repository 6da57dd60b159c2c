package sysroot_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// A name that is handed to another program is root's alone: each directory on the way, also of those that links lead to, of those that are
// not there yet, and in any order of them.
func TestTrustedPlace(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		path  string
		at    string // what is not to be trusted; "" for nothing
		err   error
	}{
		"a socket of root's":                        {path: "/var/run/mux"},
		"a socket that is not there":                {path: "/var/run/none"},
		"no directory yet":                          {path: "/var/run/a/b/c"},
		"a socket of anybody's in root's directory": {path: "/var/run/mux", spoil: errs(chown("var/run/mux"), chmod("var/run/mux", 0o666))},
		"the directory is another's":                {path: "/var/run/mux", at: "/var/run", spoil: chown("var/run")},
		"one above it is another's":                 {path: "/var/run/none", at: "/var", spoil: chown("var")},
		"one above what is not there":               {path: "/var/run/a/b/c", at: "/var", spoil: chown("var")},
		"a group may write there":                   {path: "/var/run/a/b", at: "/var/run", spoil: group("var/run", 0o775)},
		"a group may, with the sticky bit":          {path: "/var/run/mux", at: "/var/run", spoil: group("var/run", 0o775|fs.ModeSticky)},
		"others may by a list, with the sticky bit": {path: "/var/run/mux", at: "/var/run", spoil: errs(acl("var/run"), chmod("var/run", 0o770|fs.ModeSticky))},
		"a directory like /tmp":                     {path: "/var/run/mux", at: "/var/run", spoil: chmod("var/run", 0o777|fs.ModeSticky)},
		"not there, in one like /tmp":               {path: "/var/run/a/b", at: "/var/run", spoil: chmod("var/run", 0o777|fs.ModeSticky)},
		"root's directory in one like /tmp":         {path: "/var/run/mux", spoil: chmod("var", 0o777|fs.ModeSticky)},
		"by a link to a directory":                  {path: "/run/mux", at: "/var/run", spoil: chown("var/run")},
		"a link in root's directory":                {path: "/links/mux", at: "/var/run", spoil: chown("var/run")},
		"a link to what is not there":               {path: "/links/later", at: "/var/run", spoil: chown("var/run")},
		"a link to a directory that is not there":   {path: "/links/later/deep/mux", at: "/var/run", spoil: chown("var/run")},
		"a link with ..":                            {path: "/run/../mux", at: "/var", spoil: chown("var")},
		"a circle of links":                         {path: "/circle", err: syscall.ELOOP},
		"the top":                                   {path: "/"},
	} {
		t.Run(name, func(t *testing.T) {
			if c.spoil != nil && os.Geteuid() != 0 {
				t.Skip("needs root: files of other owners are made")
			}
			r := sysroottest.New(t, map[string]string{
				"var/run/mux": "", "run": "-> var/run", "links/mux": "-> ../var/run/mux", "links/later": "-> /run/new", "circle": "-> circle",
			})
			if c.spoil != nil {
				if err := c.spoil(r.Dir()); err != nil {
					t.Fatal(err)
				}
			}
			err := r.TrustedPlace(c.path)
			untrusted := (*sysroot.UntrustedError)(nil)
			switch {
			case c.at == "" && !errors.Is(err, c.err):
				t.Errorf("got %v, want %v", err, c.err)
			case c.at != "" && (!errors.As(err, &untrusted) || untrusted.At != c.at || !strings.Contains(err.Error(), c.path)):
				t.Errorf("got %v, want one about %q", err, c.at)
			}
		})
	}
	if err := sysroottest.New(t, nil).TrustedPlace("mux"); err == nil {
		t.Error("a relative path is trusted")
	}
}

func errs(do ...func(dir string) error) func(dir string) error {
	return func(dir string) error {
		var all []error
		for _, f := range do {
			all = append(all, f(dir))
		}
		return errors.Join(all...)
	}
}

// PlaceOwner finds the one account that may lead a name elsewhere, and nobody where there are more.
func TestPlaceOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: files of other owners are made")
	}
	refused := &sysroot.UntrustedError{}
	for name, c := range map[string]struct {
		spoil func(dir string) error
		path  string
		err   any // nil, an error, or refused
		root  bool
	}{
		"root's":                                 {path: "/run/m/s", root: true},
		"a daemon's directory":                   {path: "/run/m/s", spoil: chown("run/m")},
		"private":                                {path: "/run/m/s", spoil: errs(chown("run/m"), chmod("run/m", 0o700))},
		"by a link":                              {path: "/var/m/s", spoil: chown("run/m")},
		"a directory in a daemon's":              {path: "/run/m/d/s", spoil: chown("run/m")},
		"a directory not there":                  {path: "/run/n/s", err: fs.ErrNotExist},
		"one not there in a daemon's":            {path: "/run/m/n/s", spoil: chown("run/m"), err: fs.ErrNotExist},
		"another's directory in a daemon's":      {path: "/run/m/d/s", spoil: errs(chown("run/m"), chownTo("run/m/d", 102)), err: refused},
		"a daemon's link to a socket of a group": {path: "/run/m/l", spoil: errs(chown("run/m"), group("run/g", 0o775)), err: refused},
		"a daemon's link to a socket of root's":  {path: "/run/m/l", spoil: chown("run/m")},
		"a group may write":                      {path: "/run/m/s", spoil: errs(chown("run/m"), group("run/m", 0o775)), err: refused},
		"like /tmp":                              {path: "/run/m/s", spoil: chmod("run/m", 0o777|fs.ModeSticky), err: refused},
	} {
		t.Run(name, func(t *testing.T) {
			r := sysroottest.New(t, map[string]string{"run/m/s": "", "run/m/d/s": "", "run/m/l": "-> ../g/s", "run/g/s": "", "var": "-> run"})
			if c.spoil != nil {
				if err := c.spoil(r.Dir()); err != nil {
					t.Fatal(err)
				}
			}
			uid, err := r.PlaceOwner(c.path)
			switch want := c.err.(type) {
			case *sysroot.UntrustedError:
				if !errors.As(err, &want) {
					t.Errorf("got %d, %v", uid, err)
				}
			case error:
				if !errors.Is(err, want) {
					t.Errorf("got %d, %v", uid, err)
				}
			default:
				if err != nil || (uid == 0) != c.root {
					t.Errorf("got %d, %v", uid, err)
				}
			}
		})
	}
}

func chownTo(name string, uid int) func(dir string) error {
	return func(dir string) error { return os.Chown(dir+"/"+name, uid, -1) }
}
