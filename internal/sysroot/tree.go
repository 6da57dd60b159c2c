package sysroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// RemoveTree removes p and all below it, however deep; no link in it is followed, and what is not there is no error. It was another
// account's perhaps, which runs no more.
func (r *Root) RemoveTree(p string) error {
	real, err := r.Path(p)
	if err != nil {
		return err
	}
	dir, err := OpenDir(filepath.Dir(real))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot remove %q: %w", p, err)
	}
	defer dir.Close()
	if err = dir.RemoveAll(filepath.Base(real)); err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("cannot remove %q: %w", p, err)
	}
	return nil
}
