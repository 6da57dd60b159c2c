package chroot

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"sync"

	"postfix-maint/internal/elfdep"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Shared is what the plans of one run have found out about the host's files, so that hundreds of instances cost it once. The zero value
// is ready, and several instances may be worked on at once. It is for one short run: a file that is changed behind its look is the next
// run's, as one changed right after the run is; what is copied is looked at anew, and noted as it was then.
type Shared struct {
	stats   memo[fs.FileInfo]
	loaders memo[*elfdep.Loader]
	certs   memo[[]string]
	queues  memo[[]fileID] // see way.to
	relays  memo[map[string][]string]
	ways    memo[map[fileID]string] // the directories of paths.SystemDirs and those on the way to them, each with the first that is reached by it
	left    memo[map[string]bool]
	texts   texts
	turns   *turns // nil for one instance alone
}

// memo keeps answers of the host's. Whoever asks for one that is being looked for waits for that; others do not.
type memo[T any] struct {
	mu    sync.Mutex
	known map[string]func() (T, error)
}

// once asks only where the answer is not known.
func (m *memo[T]) once(name string, ask func() (T, error)) (T, error) {
	m.mu.Lock()
	answer, known := m.known[name]
	if !known {
		if m.known == nil {
			m.known = map[string]func() (T, error){}
		}
		answer = sync.OnceValues(ask)
		m.known[name] = answer
	}
	m.mu.Unlock()
	return answer()
}

// stat is Root.Stat.
func (s *Shared) stat(root *sysroot.Root, name string) (fs.FileInfo, error) {
	return s.stats.once(name, func() (fs.FileInfo, error) { return root.Stat(name) })
}

// loader finds libraries for the machine of a program. It remembers each that it has looked at.
func (s *Shared) loader(root *sysroot.Root, program string) (*elfdep.Loader, error) {
	return s.loaders.once(program, func() (*elfdep.Loader, error) {
		return elfdep.New(root, program, paths.LdSoConf, paths.LibPrefixRoot, paths.LibPrefix)
	})
}

// certificates lists the hashed names in a directory.
func (s *Shared) certificates(root *sysroot.Root, dir string) ([]string, error) {
	return s.certs.once(dir, func() (names []string, err error) {
		entries, err := root.ReadDir(dir)
		for _, e := range entries {
			if hashed.Regexp().MatchString(e.Name()) {
				names = append(names, e.Name())
			}
		}
		return names, err
	})
}

// queue gives a queue directory and the directories on the way to it.
func (s *Shared) queue(root *sysroot.Root, dir string) []fileID {
	ids, _ := s.queues.once(dir, func() ([]fileID, error) { return newWay().to(root, dir), nil })
	return ids
}

// systemDir gives the host's directory that a queue directory is or holds, "" where it is none of them.
func (s *Shared) systemDir(root *sysroot.Root, queue fileID) string {
	ways, _ := s.ways.once("", func() (map[fileID]string, error) {
		ways, seen := map[fileID]string{}, newWay()
		for _, dir := range paths.SystemDirs {
			for _, id := range seen.to(root, dir) {
				if _, known := ways[id]; !known {
					ways[id] = path.Clean(dir)
				}
			}
		}
		return ways, nil
	})
	return ways[queue]
}

// leftover tells whether a run that was killed has left something temporary of one of our lists: each instance has one, so their directory is
// read once.
func (s *Shared) leftover(root *sysroot.Root, list string) bool {
	left, err := s.left.once("", func() (map[string]bool, error) {
		left := map[string]bool{}
		entries, err := root.ReadDir(paths.ChrootState)
		for _, e := range entries {
			if target, ours := sysroot.Temporary(e.Name()); ours {
				left[target] = true
			}
		}
		return left, err
	})
	name := path.Base(list)
	return err != nil && !errors.Is(err, fs.ErrNotExist) || left[name[:min(len(name), 200)]]
}

// texts are the contents of the host's files that one run copies, for hundreds of instances. Large ones are read each time: few are that,
// and the memory is to be had by others.
type texts struct {
	mu    sync.Mutex
	known map[string]*text
	size  int
}

// text is a file as it was read.
type text struct {
	data []byte
	fi   fs.FileInfo
	sum  string
}

const maxTexts = 6 << 20 // bytes that are kept

// read gives a regular file as it is now.
func (t *texts) read(real string) (*text, error) {
	t.mu.Lock()
	known := t.known[real]
	t.mu.Unlock()
	if known != nil {
		if fi, err := os.Stat(real); err == nil && signatureOf(fi) == signatureOf(known.fi) {
			return known, nil
		}
	}
	var err error
	now := &text{}
	for try := 0; ; try++ {
		if now.data, now.fi, err = readStable(real); err == nil {
			break
		}
		if try == 3 || !errors.Is(err, errChanging) {
			return nil, err
		}
	}
	now.sum = sum(now.data)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.size+len(now.data) <= maxTexts {
		t.size += len(now.data)
		if t.known == nil {
			t.known = map[string]*text{}
		}
		t.known[real] = now
	}
	return now, nil
}
