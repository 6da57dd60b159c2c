package chroot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// settings is what /etc/default/postfix says.
type settings struct {
	sync   bool     // SYNC_CHROOT is not empty
	files  []string // chroot_extra_files, absolute
	caDirs []string // chroot_extra_CAdir, absolute
}

// readSettings evaluates /etc/default/postfix as Debian's scripts do, which source it: with the instance's directories at
// hand, so that one file can serve several instances. Nothing in it can fail a start: what is not understood is a warning.
func readSettings(root *sysroot.Root, inst instance.Instance) (settings, []string) {
	s := &shell{root: root, ok: true, vars: map[string]string{
		"SYNC_CHROOT": "y", "chroot_extra_files": "", "chroot_extra_CAdir": "",
		"INSTANCE": inst.Name, "MAIL_CONFIG": inst.ConfigDir, "config_directory": inst.ConfigDir,
		"queue_directory": inst.QueueDir, "data_directory": inst.DataDir, "IFS": " \t\n",
	}}
	if !inst.IsPrimary() {
		s.vars["multi_instance_name"] = inst.Name
	}
	data, err := readSmall(root, paths.DefaultFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.warns = append(s.warns, fmt.Sprintf("cannot read %s: %v", paths.DefaultFile, err))
	default:
		s.source(paths.DefaultFile, data)
	}
	return settings{
		sync:   s.vars["SYNC_CHROOT"] != "",
		files:  s.words("chroot_extra_files"),
		caDirs: s.words("chroot_extra_CAdir"),
	}, s.warns
}

// words splits a variable as the unquoted use in Debian's scripts does, patterns expanded from the root directory, and
// makes each word an absolute path. "." and ".." cannot lead out of it.
func (s *shell) words(name string) []string {
	var words []string
	param := &syntax.Word{Parts: []syntax.WordPart{&syntax.ParamExp{Short: true, Param: &syntax.Lit{Value: name}}}}
	fields, err := expand.Fields(s.config(), param)
	if err != nil { // a broken pattern: the words as they stand
		fields = strings.Fields(s.vars[name])
	}
	for _, f := range fields {
		words = append(words, path.Clean("/"+f))
	}
	return words
}

// maxSmall bounds what is read of a text file of the host.
const maxSmall = 8 << 20

// readSmall reads a text file of the host; anything but a regular file is refused, so that a FIFO cannot hold us.
func readSmall(root *sysroot.Root, name string) ([]byte, error) {
	real, err := root.Resolve(name)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > maxSmall {
		return nil, fmt.Errorf("%q is no regular file of at most %d bytes", name, maxSmall)
	}
	return io.ReadAll(io.LimitReader(f, maxSmall))
}
