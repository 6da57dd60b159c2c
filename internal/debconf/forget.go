package debconf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The directories in which debconf(7) and cdebconf keep their databases, and whether a line says nothing without its key: debconf drops
// one, for cdebconf blanks behind a key are no value.
var databases = map[string]bool{"var/cache/debconf": true, "var/lib/cdebconf": false}

// most is more than a database of thousands of questions has.
const most = 64 << 20

// Forget overwrites the values of a question in all files of the databases below root, old copies as well. A frontend has them in
// its memory, writes new ones when the scripts are through, and makes the file that it read the old copy: one that somebody preseeded with the
// wrong type, and that everybody may read, would keep a secret there. The question counts as not seen then, as RESET leaves it. Nothing else in a file changes, nor its length: a frontend holds
// a lock on it, and what reads it meanwhile finds a whole database.
func Forget(root, question string) error {
	var errs []error
	for dir, keyless := range databases {
		names, err := filepath.Glob(filepath.Join(root, dir, "[cpq]*.dat*")) // config, passwords, questions
		errs = append(errs, err)
		for _, name := range names {
			if err := forgetIn(name, question, keyless); err != nil {
				errs = append(errs, fmt.Errorf("cannot take the value of %s out of %q: %w", question, name, err))
			}
		}
	}
	return errors.Join(errs...)
}

func forgetIn(name, question string, keyless bool) error {
	f, err := os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err
	}
	wrote := false
	for _, lines := range values(text, question) {
		if value := text[lines[len(lines)-1].begin:lines[len(lines)-1].end]; bytes.Equal(silenced(value, keyless), value) {
			continue
		}
		for _, l := range lines {
			if _, err := f.WriteAt(silenced(text[l.begin:l.end], keyless), int64(l.begin)); err != nil {
				return err
			}
		}
		wrote = true
	}
	if !wrote {
		return nil
	}
	return f.Sync()
}

// silenced is a line of the same length that says nothing.
func silenced(line []byte, keyless bool) []byte {
	key := []byte(":")
	if !keyless {
		key = line[:bytes.IndexByte(line, ':')+1]
	}
	return append(bytes.Clone(key), bytes.Repeat([]byte{' '}, len(line)-len(key))...)
}

// line is one of a database, by its offsets without the newline.
type line struct{ begin, end int }

// values finds the lines that hold a value of question and its flags, those of one entry together and the value last: what is cut off
// before that is done again.
func values(text []byte, question string) (found [][]line) {
	name := []byte("Name: " + question + "\n")
	for at := 0; ; {
		n := bytes.Index(text[at:], name)
		if n < 0 {
			return found
		}
		var flags, value []line
		begins := at+n == 0 || text[at+n-1] == '\n'
		for at += n + len(name); begins && at < len(text) && text[at] != '\n'; { // a blank line ends a question
			end := len(text)
			if n := bytes.IndexByte(text[at:], '\n'); n >= 0 {
				end = at + n
			}
			switch {
			case bytes.HasPrefix(text[at:end], []byte("Value:")):
				value = append(value, line{at, end})
			case bytes.HasPrefix(text[at:end], []byte("Flags:")):
				flags = append(flags, line{at, end})
			}
			at = min(end+1, len(text))
		}
		if len(value) > 0 {
			found = append(found, append(flags, value...))
		}
	}
}
