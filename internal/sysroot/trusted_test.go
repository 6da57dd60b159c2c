package sysroot_test

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

func TestTrusted(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(dir string) error
		path  string
		at    string // what is not to be trusted; "" for nothing
		err   error
	}{
		"all is root's":                             {path: "/etc/default/postfix"},
		"by links":                                  {path: "/link"},
		"a directory":                               {path: "/etc/default"},
		"by .. behind a link":                       {path: "/dirlink/../etc/default/postfix"},
		"another's file":                            {path: "/etc/default/postfix", at: "/etc/default/postfix", spoil: chown("etc/default/postfix")},
		"another's directory":                       {path: "/etc/default/postfix", at: "/etc/default", spoil: chown("etc/default")},
		"another's link":                            {path: "/link", at: "/link", spoil: func(dir string) error { return os.Lchown(dir+"/link", 65534, 0) }},
		"another's directory behind a link":         {path: "/link", at: "/etc", spoil: chown("etc")},
		"a file that all may write":                 {path: "/etc/default/postfix", at: "/etc/default/postfix", spoil: chmod("etc/default/postfix", 0o666)},
		"a file that a group may write":             {path: "/etc/default/postfix", at: "/etc/default/postfix", spoil: group("etc/default/postfix", 0o664)},
		"a file that root's group may write":        {path: "/etc/default/postfix", spoil: chmod("etc/default/postfix", 0o664)},
		"a file with a list of those who may write": {path: "/etc/default/postfix", at: "/etc/default/postfix", spoil: acl("etc/default/postfix")},
		"a directory with such a list":              {path: "/etc/default/postfix", at: "/etc/default", spoil: acl("etc/default")},
		"a directory that all may write":            {path: "/etc/default/postfix", at: "/etc/default", spoil: chmod("etc/default", 0o777)},
		"root's file in a directory like /tmp":      {path: "/etc/default/postfix", spoil: chmod("etc/default", 0o777|fs.ModeSticky)},
		"another's file in one like /tmp": {path: "/etc/default/postfix", at: "/etc/default/postfix", spoil: func(dir string) error {
			return errors.Join(chmod("etc/default", 0o777|fs.ModeSticky)(dir), chown("etc/default/postfix")(dir))
		}},
		"what is not there": {path: "/etc/default/none", err: fs.ErrNotExist},
		"a circle of links": {path: "/circle", err: syscall.ELOOP},
		"a file on the way": {path: "/etc/default/postfix/x", err: syscall.ENOTDIR},
		"no absolute path":  {path: "etc/default/postfix", err: errAny},
	} {
		t.Run(name, func(t *testing.T) {
			if c.spoil != nil && os.Geteuid() != 0 {
				t.Skip("needs root: files of other owners are made")
			}
			r := sysroottest.New(t, map[string]string{
				"etc/default/postfix": "text", "link": "-> /middle", "middle": "-> etc/default/postfix", "circle": "-> circle", "dirlink": "-> /sub/deep",
				"sub/deep/": "", "sub/etc/default/postfix": "text",
			})
			if c.spoil != nil {
				err := c.spoil(r.Dir())
				if errors.Is(err, syscall.ENOTSUP) {
					t.Skip("needs a file system with access control lists")
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			err := r.Trusted(c.path)
			untrusted := (*sysroot.UntrustedError)(nil)
			switch {
			case c.at != "":
				if !errors.As(err, &untrusted) || untrusted.At != c.at || !strings.Contains(err.Error(), c.path) {
					t.Errorf("Trusted = %v; want one about %q", err, c.at)
				}
			case c.err == errAny:
				if err == nil {
					t.Error("Trusted accepts it")
				}
			case !errors.Is(err, c.err):
				t.Errorf("Trusted = %v, want %v", err, c.err)
			}
			data, err := r.ReadTrusted(c.path)
			if good := c.at == "" && c.err == nil && c.path != "/etc/default"; good != (err == nil && string(data) == "text") {
				t.Errorf("ReadTrusted = %q, %v", data, err)
			}
		})
	}
}

var errAny = errors.New("any")

func chown(name string) func(string) error {
	return func(dir string) error { return os.Chown(filepath.Join(dir, name), 65534, 0) }
}

func chmod(name string, mode fs.FileMode) func(string) error {
	return func(dir string) error { return os.Chmod(filepath.Join(dir, name), mode) }
}

// acl lets the account 65534 write, as setfacl(1) does; linux/posix_acl_xattr.h has the form.
func acl(name string) func(string) error {
	const owner, user, group, mask, other = 0x01, 0x02, 0x04, 0x10, 0x20
	const nobody = 65534
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range []struct {
		tag, perm uint16
		id        uint32
	}{{owner, 7, math.MaxUint32}, {user, 7, nobody}, {group, 5, math.MaxUint32}, {mask, 7, math.MaxUint32}, {other, 5, math.MaxUint32}} {
		list = binary.LittleEndian.AppendUint16(list, e.tag)
		list = binary.LittleEndian.AppendUint16(list, e.perm)
		list = binary.LittleEndian.AppendUint32(list, e.id)
	}
	return func(dir string) error {
		return syscall.Setxattr(filepath.Join(dir, name), "system.posix_acl_access", list, 0)
	}
}

func group(name string, mode fs.FileMode) func(string) error {
	return func(dir string) error {
		return errors.Join(os.Chown(filepath.Join(dir, name), 0, 65534), chmod(name, mode)(dir))
	}
}
