package history

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/sysroot"
)

// Back is how what is more than files is taken back: by the command of ours that does the opposite.
type Back struct {
	Words []string `json:"words"` // of that command: instance disable NAME
	// Whole are checksums, by path, of files that have to be as the command left them: the opposite takes them away. It is noted when the
	// command has come to its end.
	Whole map[string]string `json:"whole,omitempty"`
}

// Opposite is how the entry is taken back as a whole; nil where that is a matter of its files.
func (e Entry) Opposite() *Back {
	for _, p := range slices.Backward(e.Parts) {
		if p.Back != nil {
			return p.Back
		}
	}
	return nil
}

// Keep notes the files that have to stay as they are now.
func (b *Back) Keep(root *sysroot.Root, names ...string) error {
	b.Whole = map[string]string{}
	for _, name := range names {
		sum, err := sumOf(root, name)
		if err != nil {
			return err
		}
		b.Whole[name] = sum
	}
	return nil
}

// Edited gives the first file that is not as the command left it, "" for none.
func (b *Back) Edited(root *sysroot.Root) (string, error) {
	for name, was := range b.Whole {
		is, err := sumOf(root, name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return name, err
		}
		if is != was {
			return name, nil
		}
	}
	return "", nil
}

func sumOf(root *sysroot.Root, name string) (string, error) {
	data, err := root.ReadAtMost(name, 16<<20)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// Close notes that a command with an opposite came to its end. What it did may be in no file of which the history knows.
func (l *Log) Close() error {
	if l.Back == nil {
		return nil
	}
	p := Part{Run: l.run, When: l.now(), By: l.By, Title: "the end of " + strings.Join(strings.Fields(l.By), " "), Undoes: l.Undoes, Back: l.Back}
	data, _, err := p.pack()
	if err == nil {
		err = l.makeDir()
	}
	if err != nil {
		return err
	}
	found, err := places(l.root)
	if err != nil {
		return err
	}
	_, err = l.root.WriteFile(l.next(found), data, sysroot.Attr{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()})
	return err
}

func (l *Log) now() time.Time { return time.Unix(l.Now().Unix(), 0).UTC() }
