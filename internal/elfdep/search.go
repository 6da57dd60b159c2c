package elfdep

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

// runDir is one directory of a run path: as the host has it, and as the object's place in the new root has it ($ORIGIN
// differs where the object moves).
type runDir struct{ host, dest string }

// runDirs expands the tokens of ld.so(8) in a run path of lib. An entry with $PLATFORM means a place that differs between
// CPUs, which no Debian package uses: it is left out.
func (l *Loader) runDirs(entries []string, lib Lib) []runDir {
	var dirs []runDir
	for _, e := range entries {
		if strings.Contains(e, "$PLATFORM") || strings.Contains(e, "${PLATFORM}") {
			continue
		}
		for _, name := range []string{"$LIB", "${LIB}"} {
			e = strings.ReplaceAll(e, name, "lib/"+l.triple)
		}
		at := func(origin string) string {
			return path.Clean(strings.NewReplacer("${ORIGIN}", origin, "$ORIGIN", origin).Replace(e))
		}
		d := runDir{at(path.Dir(lib.Path)), at(path.Dir(lib.Dest))}
		if path.IsAbs(d.host) && path.IsAbs(d.dest) { // relative ones mean the daemon's working directory
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// find looks for name in the run path, then in the directories of the system. A file for another machine is passed over,
// as ld.so does.
func (l *Loader) find(name string, search []runDir) (Lib, error) {
	if strings.Contains(name, "/") { // taken literally, no search: ld.so(8)
		return Lib{Name: path.Base(name), Path: name, Dest: path.Clean(name)}, l.fitting(name)
	}
	for _, d := range search {
		p := path.Join(d.host, name)
		if l.fitting(p) == nil {
			return Lib{Name: name, Path: p, Dest: path.Join(d.dest, name)}, nil
		}
	}
	for _, d := range l.dirs {
		p := path.Join(d, name)
		if l.fitting(p) == nil {
			return Lib{Name: name, Path: p, Dest: path.Join(l.home, name)}, nil
		}
	}
	return Lib{}, fmt.Errorf("cannot find library %q: %w", name, fs.ErrNotExist)
}

func (l *Loader) fitting(p string) error {
	o, err := l.object(p)
	if err == nil && o.kind != l.kind {
		err = fmt.Errorf("%q is for machine %v: %w", p, o.kind.machine, fs.ErrNotExist)
	}
	return err
}

// object reads an ELF file, each only once.
func (l *Loader) object(p string) (*object, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o, ok := l.seen[p]; ok {
		if o == nil {
			return nil, fmt.Errorf("cannot read %q: %w", p, fs.ErrNotExist)
		}
		return o, nil
	}
	o, err := l.readObject(p)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		l.seen[p] = o
	}
	return o, err
}

func (l *Loader) readObject(p string) (*object, error) {
	real, err := l.tree.Resolve(p)
	if err != nil {
		return nil, err
	}
	// A FIFO of that name must not hold us: O_NONBLOCK, and only a regular file is read.
	file, err := os.OpenFile(real, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", p, err)
	}
	defer file.Close()
	if fi, err := file.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read %q: not a regular file", p)
	}
	f, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q as ELF: %w", p, err)
	}
	o := &object{kind: kind{f.Machine, f.Class, f.Data}}
	for _, p := range f.Progs {
		if text := make([]byte, min(p.Filesz, 4096)); p.Type == elf.PT_INTERP {
			if _, err := p.ReadAt(text, 0); err == nil {
				o.interp = path.Base(strings.TrimRight(string(text), "\x00"))
			}
		}
	}
	if f.SectionByType(elf.SHT_DYNAMIC) == nil {
		return o, nil // a static program needs nothing
	}
	if o.needed, err = f.ImportedLibraries(); err != nil {
		return nil, fmt.Errorf("cannot read needed libraries of %q: %w", p, err)
	}
	for tag, to := range map[elf.DynTag]*[]string{elf.DT_RPATH: &o.rpath, elf.DT_RUNPATH: &o.runpath} {
		entries, err := f.DynString(tag)
		if err != nil {
			return nil, fmt.Errorf("cannot read run path of %q: %w", p, err)
		}
		for _, e := range entries {
			*to = append(*to, strings.Split(e, ":")...)
		}
	}
	return o, nil
}

// confDirs reads the directories of ld.so.conf and the files that it includes, in ldconfig(8)'s order. What cannot be read
// is passed over as ldconfig does: the default directories are there in any case.
func confDirs(t Tree, conf string, done map[string]bool) []string {
	if done[conf] {
		return nil
	}
	done[conf] = true
	data, err := t.ReadFile(conf)
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r\n,:", c) })
		if len(words) == 0 || words[0] == "hwcap" {
			continue
		}
		if words[0] != "include" {
			dirs = append(dirs, absolute(words)...)
			continue
		}
		for _, pattern := range words[1:] {
			for _, name := range glob(t, path.Dir(conf), pattern) {
				dirs = append(dirs, confDirs(t, name, done)...)
			}
		}
	}
	return dirs
}

func absolute(words []string) (dirs []string) {
	for _, w := range words {
		w, _, _ = strings.Cut(w, "=") // an old "=libc6" behind the directory
		if path.IsAbs(w) {
			dirs = append(dirs, path.Clean(w))
		}
	}
	return dirs
}

// glob lists the files of an include, whose pattern may stand in the last element only.
func glob(t Tree, dir, pattern string) []string {
	if !path.IsAbs(pattern) {
		pattern = path.Join(dir, pattern)
	}
	entries, err := t.ReadDir(path.Dir(pattern))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries { // sorted by name, as glob(3) sorts
		if ok, err := path.Match(path.Base(pattern), e.Name()); err == nil && ok && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, path.Join(path.Dir(pattern), e.Name()))
		}
	}
	return names
}
