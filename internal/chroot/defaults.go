package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

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
	data, err := root.ReadTrusted(paths.DefaultFile)
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
	fields, err := s.fields(param)
	if err != nil { // a broken pattern: the words as they stand
		fields = strings.Fields(s.vars[name])
	}
	for _, f := range fields {
		words = append(words, path.Clean("/"+showOdd(f)))
	}
	return words
}

// maxSmall bounds what is read of a text file of the host.
const maxSmall = 8 << 20

// readSmall reads a text file of the host.
func readSmall(root *sysroot.Root, name string) ([]byte, error) {
	return root.ReadAtMost(name, maxSmall)
}
