package chroot

import (
	"io/fs"
	"path"

	"postfix-maint/internal/elfdep"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Shared is what the plans of one run have found out about the host's files, so that hundreds of instances cost it once. The zero value
// is ready. It is for one short run: a file that is changed behind its look is the next run's, as one changed right after the run is;
// what is copied is read anew, and noted as it was then.
type Shared struct {
	stats   map[string]found[fs.FileInfo]
	loaders map[string]found[*elfdep.Loader]
	certs   map[string]found[[]string]
	queues  map[string]found[[]fileID] // see way.to
	dirs    way
	relays  map[string]found[map[string][]string]
	ways    map[fileID]string // the directories of paths.SystemDirs and those on the way to them, each with the first that is reached by it
}

// found is an answer of the host's.
type found[T any] struct {
	value T
	err   error
}

// once asks only where the answer is not known.
func once[T any](known *map[string]found[T], name string, ask func() (T, error)) (T, error) {
	f, ok := (*known)[name]
	if !ok {
		f.value, f.err = ask()
		if *known == nil {
			*known = map[string]found[T]{}
		}
		(*known)[name] = f
	}
	return f.value, f.err
}

// stat is Root.Stat.
func (s *Shared) stat(root *sysroot.Root, name string) (fs.FileInfo, error) {
	return once(&s.stats, name, func() (fs.FileInfo, error) { return root.Stat(name) })
}

// loader finds libraries for the machine of a program. It remembers each that it has looked at.
func (s *Shared) loader(root *sysroot.Root, program string) (*elfdep.Loader, error) {
	return once(&s.loaders, program, func() (*elfdep.Loader, error) {
		return elfdep.New(root, program, paths.LdSoConf, paths.LibPrefixRoot, paths.LibPrefix)
	})
}

// certificates lists the hashed names in a directory.
func (s *Shared) certificates(root *sysroot.Root, dir string) ([]string, error) {
	return once(&s.certs, dir, func() (names []string, err error) {
		entries, err := root.ReadDir(dir)
		for _, e := range entries {
			if hashed().MatchString(e.Name()) {
				names = append(names, e.Name())
			}
		}
		return names, err
	})
}

// queue gives a queue directory and the directories on the way to it.
func (s *Shared) queue(root *sysroot.Root, dir string) []fileID {
	ids, _ := once(&s.queues, dir, func() ([]fileID, error) {
		if s.dirs == nil {
			s.dirs = way{}
		}
		return s.dirs.to(root, dir), nil
	})
	return ids
}

// systemDir gives the host's directory that a queue directory is or holds, "" where it is none of them.
func (s *Shared) systemDir(root *sysroot.Root, queue fileID) string {
	if s.ways == nil {
		s.ways = map[fileID]string{}
		seen := way{}
		for _, dir := range paths.SystemDirs {
			for _, id := range seen.to(root, dir) {
				if _, known := s.ways[id]; !known {
					s.ways[id] = path.Clean(dir)
				}
			}
		}
	}
	return s.ways[queue]
}
