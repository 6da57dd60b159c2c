package sysroot_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// ACLs and SELinux labels are extended attributes: a file that takes the place of another one has them as well, in each way to replace one.
func TestExtendedAttributesStay(t *testing.T) {
	for name, write := range map[string]func(r *sysroot.Root) error{
		"at once": func(r *sysroot.Root) error {
			_, err := r.WriteFile("/etc/main.cf", []byte("new"), own())
			return err
		},
		"staged": func(r *sysroot.Root) error {
			s, err := r.Name("/etc/main.cf")
			if err != nil {
				return err
			}
			return errors.Join(r.Stage(s, []byte("new"), own()), r.Swap(s, nil))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := sysroottest.New(t, map[string]string{"etc/main.cf": "old"})
			file := filepath.Join(r.Dir(), "etc/main.cf")
			space := "user."
			if err := unix.Setxattr(file, space+"try", nil, 0); errors.Is(err, unix.ENOTSUP) && os.Getuid() == 0 {
				space = "trusted." // a tmpfs before Linux 6.6 has only these
			} else if errors.Is(err, unix.ENOTSUP) {
				t.Skip("an ordinary user has no extended attributes on this file system")
			}
			want := map[string]string{space + "one": "a label", space + "two": "another\x00one"}
			for attr, value := range want {
				if err := unix.Setxattr(file, attr, []byte(value), 0); err != nil {
					t.Fatal(err)
				}
			}
			if err := write(r); err != nil {
				t.Fatal(err)
			}
			if data, err := r.ReadFile("/etc/main.cf"); err != nil || string(data) != "new" {
				t.Errorf("the file says %q, %v", data, err)
			}
			for attr, value := range want {
				got := make([]byte, 100)
				n, err := unix.Getxattr(file, attr, got)
				if err != nil || string(got[:n]) != value {
					t.Errorf("%s is %q, want %q: %v", attr, got[:max(n, 0)], value, err)
				}
			}
		})
	}
}
