package history

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// Undo is an entry that is to be taken back.
type Undo struct {
	Number   int
	Changes  []transaction.Change
	Warnings []string // what stays, and what has to be given anew
	Syslog   bool     // the files of the syslog daemon have to follow

	root  *sysroot.Root
	entry Entry
	files map[string]*fate
	order []string
}

// fate is what becomes of one file.
type fate struct {
	seen       *sysroot.Seen
	text       []byte // nil: no file
	attr       sysroot.Attr
	kept, lost []string
}

// PlanUndo decides what taking an entry back changes, and writes nothing.
func PlanUndo(root *sysroot.Root, e Entry) (*Undo, error) {
	if why := e.Final(); why != "" {
		return nil, fmt.Errorf("cannot take back %d: %s", e.Number, why)
	}
	u := &Undo{Number: e.Number, root: root, entry: e, files: map[string]*fate{}}
	for _, p := range slices.Backward(e.Parts) {
		for _, f := range p.Files {
			if err := u.file(f); err != nil {
				return nil, err
			}
		}
	}
	if err := u.keepNamed(); err != nil {
		return nil, err
	}
	for _, name := range u.order {
		if err := u.tell(name); err != nil {
			return nil, err
		}
	}
	return u, nil
}

// file takes one file of a part back.
func (u *Undo) file(f File) error {
	if follows(f.Path) {
		u.Syslog = true
		return nil
	}
	switch f.Kind {
	case Index:
		return nil // made anew where the text changes
	case Secret:
		u.secret(f)
		return nil
	case Large:
		u.warn("%s was too large for the history: it stays as it is", f.Path)
		return nil
	}
	now, err := u.see(f)
	if err != nil {
		return err
	}
	if f.Kind == Memory {
		f.remember(now)
		return nil
	}
	beside, err := u.beside(f.Path)
	if err != nil {
		return err
	}
	out := f.takeBack(now.text, beside)
	now.text = out.text
	now.kept, now.lost = append(now.kept, out.kept...), append(now.lost, out.lost...)
	return nil
}

// remember takes back what this layer noted, if nobody has noted anything since.
func (f File) remember(now *fate) {
	is := string(now.text)
	if now.text == nil && f.Gone || is == string(f.After) {
		now.text = text(f.Before, f.Made)
	}
}

// see gives what becomes of a file, as far as it is decided.
func (u *Undo) see(f File) (*fate, error) {
	if have := u.files[f.Path]; have != nil {
		return have, nil
	}
	seen, err := u.root.See(f.Path)
	if err != nil {
		return nil, fmt.Errorf("cannot take back %d: %w", u.Number, err)
	}
	mode := sysroot.Exact(fs.FileMode(f.Mode))
	if f.Kind == Memory {
		mode = 0o600
	}
	now := &fate{seen: seen, text: text(seen.Data, seen.Missing), attr: sysroot.Attr{Mode: mode, UID: f.UID, GID: f.GID, Settled: isConfig(f.Path)}}
	if fi, err := u.root.Stat(f.Path); err == nil { // the file keeps its own, and its index is to be no more open
		now.attr.Mode = sysroot.Exact(fi.Mode())
		now.attr.UID, now.attr.GID = sysroot.Owner(fi)
	}
	u.files[f.Path] = now
	u.order = append(u.order, f.Path)
	return now, nil
}

// beside are the other texts of a configuration, as they are now.
func (u *Undo) beside(name string) (texts [][]byte, err error) {
	for _, other := range []string{"main.cf", "master.cf"} {
		if other = path.Join(path.Dir(name), other); other == name {
			continue
		}
		seen, err := u.root.See(other)
		if err != nil {
			return nil, err
		}
		texts = append(texts, seen.Data)
	}
	return texts, nil
}

// secret says what becomes of a login, of which no copy is kept.
func (u *Undo) secret(f File) {
	const anew = `give it anew with "postfix-maint smarthost set --user ACCOUNT --password-file FILE"`
	switch {
	case f.Gone:
		u.warn("%s held a secret, and no copy of a secret is kept: %s", f.Path, anew)
	case f.Made:
		u.warn("%s holds a secret that is not taken away: no copy of it is kept, and undo could not bring it back", f.Path)
	default:
		u.warn("%s stays as it is: no copy is kept of the secret that it held before; if that is to be in force, %s", f.Path, anew)
	}
}

func (u *Undo) warn(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(u.Warnings, text) {
		u.Warnings = append(u.Warnings, text)
	}
}

// tell says what becomes of a file, and refuses what Postfix could not read.
func (u *Undo) tell(name string) error {
	now := u.files[name]
	for _, key := range now.kept {
		if key == "" {
			u.warn("%s was changed since, and stays as it is", name)
		} else {
			u.warn("%s: %q was changed since, and stays as it is", name, key)
		}
	}
	for _, key := range now.lost {
		u.warn("%s: %s stays as it is: no copy is kept of the secret that stood there before; put it in by hand", name, orIt(key, "it"))
	}
	if !now.changes() {
		return nil
	}
	if err := readable(name, now.text); err != nil {
		return fmt.Errorf("cannot take back %d: with what was changed since, %s would not be understood by Postfix: %w; edit it by hand", u.Number, name, err)
	}
	if strings.HasPrefix(name, paths.StateDir+"/") {
		return nil
	}
	what := "change "
	if now.text == nil {
		what = "remove "
	} else if now.seen.Missing {
		what = "create "
	}
	beside, err := u.beside(name)
	if err != nil {
		return err
	}
	diff := ""
	if isConfig(name) || now.attr.Mode&0o004 != 0 { // a table that is hidden by now may hold logins, which only a main.cf would tell
		diff = maincf.Diff(name, now.seen.Data, now.text, beside...)
	}
	u.Changes = append(u.Changes, transaction.Change{What: what + name, Path: name, Diff: diff})
	return nil
}

func orIt(key, other string) string {
	if key == "" {
		return other
	}
	return fmt.Sprintf("%q", key)
}

func (f *fate) changes() bool {
	return f.seen.Missing != (f.text == nil) || string(f.seen.Data) != string(f.text)
}

func readable(name string, data []byte) (err error) {
	switch path.Base(name) {
	case "main.cf":
		if data == nil {
			return errors.New("it would not be there")
		}
		_, err = maincf.Parse(data)
	case "master.cf":
		if data == nil {
			return errors.New("it would not be there")
		}
		_, err = mastercf.Parse(data)
	}
	return err
}

// follows tells the files of the syslog daemons, which say what the chroots need: they are made anew from that.
func follows(name string) bool {
	dir := path.Dir(name)
	return dir == paths.RsyslogDir || dir == paths.SyslogNGDir || name == paths.InetutilsDefaults || name == paths.BusyboxDefaults
}

// Paths are the files that change.
func (u *Undo) Paths() (names []string) {
	for _, c := range u.Changes {
		names = append(names, c.Path)
	}
	return names
}

// Transaction is the undo as one change; nil where nothing changes. build makes the indexes of tables from drafts of their texts.
func (u *Undo) Transaction(build Builder) (*transaction.Transaction, error) {
	if len(u.Changes) == 0 {
		return nil, nil
	}
	t := &transaction.Transaction{Title: fmt.Sprintf("take back %d", u.Number)}
	names := slices.Clone(u.order)
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	for _, name := range names {
		now := u.files[name]
		if !now.changes() {
			continue
		}
		f := transaction.File{Path: name, Seen: now.seen, New: now.text, Attr: now.attr}
		if now.text == nil {
			t.Later = append(t.Later, f)
		} else {
			t.Files = append(t.Files, f)
		}
	}
	return t, u.addIndexes(t, build)
}

// rank puts main.cf last, and before it master.cf: a setting may need a service.
func rank(name string) int { return slices.Index([]string{"master.cf", "main.cf"}, path.Base(name)) }
