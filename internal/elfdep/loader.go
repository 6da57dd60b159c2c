// Package elfdep (ring: port) finds the shared libraries that a program or library needs, the way ld.so(8) would: from
// DT_NEEDED, DT_RPATH, DT_RUNPATH, ld.so.conf and the default directories. It reads files only; ldd(1) would run the
// program and ldconfig(8) would need its cache to be fresh.
//
// It also knows where each library has to lie in a root directory without ld.so.cache, so that dlopen(3) finds it after
// chroot(2): below the run path that leads to it, else in the default directory of its machine.
package elfdep

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
)

// Tree is the system tree whose libraries are looked at. Paths are absolute as the system itself names them; Resolve gives
// the real path of one, its links followed.
type Tree interface {
	ReadFile(path string) ([]byte, error)
	ReadDir(path string) ([]fs.DirEntry, error)
	Resolve(path string) (string, error)
}

// Loader finds libraries for one kind of machine. Make it with New. Several may use it at once.
type Loader struct {
	tree   Tree
	triple string
	kind   kind
	dirs   []string   // of ld.so.conf and the defaults, in the order of the search
	home   string     // default directory that libraries without a run path are given
	interp string     // the dynamic loader of the program, which is in its process already
	mu     sync.Mutex // of seen: hundreds of plans are made at once
	seen   map[string]*object
}

// kind is what has to agree between objects of one process.
type kind struct {
	machine elf.Machine
	class   elf.Class
	data    elf.Data
}

// Lib is a library of a closure.
type Lib struct {
	Name string // as DT_NEEDED and dlopen(3) name it
	Path string // where the host has it
	Dest string // where a root directory without ld.so.cache has to have it
}

// object is what one ELF file says about its needs.
type object struct {
	kind           kind
	needed         []string
	rpath, runpath []string
	interp         string
}

// New returns a Loader for the machine of the program (or library) named. conf is ld.so.conf; prefixes are the directories
// that hold libraries by default, "/lib" and "/usr/lib" on Debian: the last one is where Dest lies.
func New(t Tree, program, conf string, prefixes ...string) (*Loader, error) {
	l := &Loader{tree: t, seen: map[string]*object{}}
	o, err := l.object(program)
	if err != nil {
		return nil, err
	}
	l.kind, l.interp = o.kind, o.interp
	if l.triple = triples[o.kind]; l.triple == "" {
		return nil, fmt.Errorf("cannot find libraries for %q: machine %v is not known", program, o.kind.machine)
	}
	l.dirs = confDirs(t, conf, map[string]bool{})
	for _, p := range prefixes {
		l.home = path.Join(p, l.triple)
		l.dirs = append(l.dirs, l.home)
	}
	l.dirs = append(l.dirs, prefixes...)
	return l, nil
}

// triples are Debian's multiarch names (dpkg-architecture -qDEB_HOST_MULTIARCH). Where only flags tell two of them apart,
// it is the one that Debian releases today: armhf.
var triples = map[kind]string{
	{elf.EM_X86_64, elf.ELFCLASS64, elf.ELFDATA2LSB}:    "x86_64-linux-gnu",
	{elf.EM_AARCH64, elf.ELFCLASS64, elf.ELFDATA2LSB}:   "aarch64-linux-gnu",
	{elf.EM_386, elf.ELFCLASS32, elf.ELFDATA2LSB}:       "i386-linux-gnu",
	{elf.EM_ARM, elf.ELFCLASS32, elf.ELFDATA2LSB}:       "arm-linux-gnueabihf",
	{elf.EM_RISCV, elf.ELFCLASS64, elf.ELFDATA2LSB}:     "riscv64-linux-gnu",
	{elf.EM_PPC64, elf.ELFCLASS64, elf.ELFDATA2LSB}:     "powerpc64le-linux-gnu",
	{elf.EM_S390, elf.ELFCLASS64, elf.ELFDATA2MSB}:      "s390x-linux-gnu",
	{elf.EM_LOONGARCH, elf.ELFCLASS64, elf.ELFDATA2LSB}: "loongarch64-linux-gnu",
}

// Find returns the library that dlopen(name) would load in a program without a run path of its own; errors.Is(err,
// fs.ErrNotExist) where there is none.
func (l *Loader) Find(name string) (Lib, error) {
	if name == "" || strings.Contains(name, "/") {
		return Lib{}, fmt.Errorf("cannot find library %q: not a plain name", name)
	}
	return l.find(name, nil)
}

// Closure returns lib and all it needs, each once, and the names of needed libraries that the host does not have: the
// loader would refuse lib for them, which is for the caller to say. Names in given, and the program's dynamic loader, are in the
// process already and left out with what only they need.
func (l *Loader) Closure(lib Lib, given ...string) (libs []Lib, missing []string, err error) {
	known := map[string]bool{lib.Name: true, l.interp: true}
	for _, name := range given {
		known[name] = true
	}
	libs = []Lib{lib}
	for queue := []*node{{lib: lib}}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		o, err := l.object(at.lib.Path)
		if err != nil {
			return nil, nil, err
		}
		search := l.runPath(at, o)
		for _, name := range o.needed {
			if known[path.Base(name)] {
				continue
			}
			known[path.Base(name)] = true
			found, err := l.find(name, search)
			if errors.Is(err, fs.ErrNotExist) {
				missing = append(missing, name)
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			libs = append(libs, found)
			queue = append(queue, &node{found, at})
		}
	}
	return libs, missing, nil
}

// node is a library and the one that needs it.
type node struct {
	lib    Lib
	parent *node
}

// runPath is where a library's own needs are looked for first. rpath of the libraries on the way up counts as well, runpath only for the
// one that has it: ld.so(8).
func (l *Loader) runPath(at *node, o *object) (search []runDir) {
	if o.runpath != nil {
		return l.runDirs(o.runpath, at.lib)
	}
	for up := at; up != nil; up = up.parent {
		if po, err := l.object(up.lib.Path); err == nil && po.runpath == nil {
			search = append(search, l.runDirs(po.rpath, up.lib)...)
		}
	}
	return search
}

// Home is the default directory of the machine's libraries in a root directory, for instance usr/lib/x86_64-linux-gnu
// with a leading slash.
func (l *Loader) Home() string { return l.home }
