package multi

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
)

// copyFile is one file of a copied configuration.
type copyFile struct {
	from string // whose mode and owner it gets
	to   string
	data []byte
	diff string
}

// personal are the parameters that a copy must not share with its source.
var personal = []string{
	"multi_instance_wrapper", "multi_instance_directories", "alternate_config_directories", "multi_instance_enable",
	"multi_instance_group", "syslog_name",
}

// draftCopy takes another instance's configuration.
func (h *Host) draftCopy(s *site, d *draft, from string) error {
	var err error
	if d.source, err = s.find(h, from); err != nil {
		return err
	}
	src := d.source
	master, err := h.Root.ReadFile(masterOf(src.ConfigDir))
	if err != nil {
		return fmt.Errorf("cannot read the configuration to be copied: %w", err)
	}
	newMaster := ownLogName(master)
	if d.master, err = mastercf.Parse(newMaster); err != nil {
		return fmt.Errorf("cannot parse %q: %w", masterOf(src.ConfigDir), err)
	}
	if d.main, err = maincf.Parse(src.main.Bytes()); err != nil {
		return err
	}
	made := []maincf.Edit{
		maincf.Set("queue_directory", d.QueueDir), maincf.Set("data_directory", d.DataDir), maincf.Set("multi_instance_name", d.Name),
	}
	for _, name := range personal {
		made = append(made, maincf.Unset(name))
	}
	if _, err := d.main.Apply(append(made, d.changes...)...); err != nil {
		return err
	}
	h.warnShared(d)
	if d.files, err = h.tables(d); err != nil {
		return err
	}
	add := func(name string, old, data []byte, beside ...[]byte) {
		d.files = append(d.files, copyFile{
			from: path.Join(src.ConfigDir, name), to: path.Join(d.ConfigDir, name), data: data,
			diff: maincf.Diff(path.Join(d.ConfigDir, name), old, data, beside...),
		})
	}
	add(path.Base(paths.MainCF), src.main.Bytes(), d.main.Bytes(), master)
	add(path.Base(paths.MasterCF), master, newMaster, src.main.Bytes())
	return nil
}

// warnShared tells of settings of a copy that name the source's queue or data directory.
func (h *Host) warnShared(d *draft) {
	for _, name := range d.main.Names() {
		value, _ := d.main.Get(name)
		for _, dir := range []string{d.source.QueueDir, d.source.DataDir} {
			if slices.ContainsFunc(strings.FieldsFunc(value, func(c rune) bool { return strings.ContainsRune(", \t:{}", c) }),
				func(w string) bool { return w == dir || strings.HasPrefix(w, dir+"/") }) {
				h.warn("%s would be shared with instance %s; give the new one its own with --set", maincf.Show(name, value), d.source.Name)
			}
		}
	}
}

// tables lists the files that the configuration refers to by $config_directory, with what postmap(1) made of them.
func (h *Host) tables(d *draft) ([]copyFile, error) {
	var texts []string
	for _, name := range d.main.Names() {
		value, _ := d.main.Get(name)
		texts = append(texts, value)
	}
	for _, s := range d.master.Services() {
		texts = append(texts, s.Args...)
	}
	var files []copyFile
	for _, rel := range referred(texts) {
		for _, suffix := range []string{"", ".db", ".cdb", ".lmdb"} { // a table goes before its map, which must not be older
			f := copyFile{from: path.Join(d.source.ConfigDir, rel+suffix), to: path.Join(d.ConfigDir, rel+suffix)}
			copied, err := h.readTable(&f)
			if err != nil {
				return nil, err
			}
			if copied {
				files = append(files, f)
			}
		}
	}
	return files, nil
}

// readTable reads a table that is to be copied. It is not if there is none, or if another one was put there for the new instance.
func (h *Host) readTable(f *copyFile) (copied bool, err error) {
	fi, err := h.Root.Stat(f.from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
		return false, nil
	}
	if err == nil {
		f.data, err = h.Root.ReadFile(f.from)
	}
	if err != nil {
		return false, fmt.Errorf("cannot read a table to be copied: %w", err)
	}
	there, err := h.Root.Exists(f.to)
	return !there, err
}

// referred gives what stands behind $config_directory/ in the texts, sorted, once each.
func referred(texts []string) []string {
	var all []string
	for _, text := range texts {
		for _, form := range []string{"$config_directory/", "${config_directory}/", "$(config_directory)/"} {
			for rest := text; ; {
				_, after, ok := strings.Cut(rest, form)
				if !ok {
					break
				}
				rest = after
				end := strings.IndexFunc(after, func(c rune) bool { return strings.ContainsRune(", \t{}", c) })
				if end < 0 {
					end = len(after)
				}
				if rel := path.Clean(after[:end]); fs.ValidPath(rel) && rel != "." {
					all = append(all, rel)
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ownLogName makes services log under their own instance's name: Debian 12's master.cf has "-o syslog_name=postfix/..." for
// some, in comments too.
func ownLogName(master []byte) []byte {
	return []byte(strings.ReplaceAll(string(master), "syslog_name=postfix/",
		"syslog_name=${multi_instance_name?{$multi_instance_name}:{postfix}}/"))
}

// write puts one file of a copy in its place, with the mode and owner of its source: it may hold a password.
func (h *Host) write(f copyFile) error {
	fi, err := h.Root.Stat(f.from)
	if err != nil {
		return fmt.Errorf("cannot look at %q: %w", f.from, err)
	}
	uid, gid := sysroot.Owner(fi)
	if _, err := h.Root.MkdirAll(path.Dir(f.to), sysroot.Attr{}); err != nil {
		return err
	}
	_, err = h.Root.WriteFile(f.to, f.data, sysroot.Attr{Mode: sysroot.Exact(fi.Mode().Perm()), UID: uid, GID: gid, Settled: true})
	return err
}
