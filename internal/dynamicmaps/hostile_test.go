package dynamicmaps

import (
	"bytes"
	"testing"
)

// A type that was added is found, and its removal gives the file back, but for a line end that was missing.
func FuzzRegistry(f *testing.F) {
	f.Add([]byte(Head+"pcre\tpostfix-pcre.so\tdict_pcre_open"), "lmdb", "")
	f.Fuzz(func(t *testing.T, data []byte, typ, build string) {
		e, err := Debian(typ, build)
		if err != nil {
			return
		}
		if _, there := Find(data, typ); there {
			return
		}
		added := Add(data, e)
		if got, ok := Find(added, typ); !ok || got != e || !got.IsDebian() {
			t.Errorf("found %+v, %v, want %+v", got, ok, e)
		}
		back := Remove(added, func(x Entry) bool { return x == e })
		if !bytes.Equal(bytes.TrimSuffix(back, []byte("\n")), bytes.TrimSuffix(data, []byte("\n"))) {
			t.Errorf("%q after Add and Remove, was %q", back, data)
		}
	})
}
