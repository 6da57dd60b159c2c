package debconf

import (
	"bytes"
	"testing"
)

// FuzzDatabase shows that no text of debconf's database or reply ends in a panic, and that a value silenced is gone at the same length.
func FuzzDatabase(f *testing.F) {
	f.Add([]byte("Name: q\nTemplate: q\nValue: geheim\nFlags: seen\n\nName: q\nValue:\n"))
	f.Add([]byte("Name: q\nFlags: seen\nFlags:\nValue: a"))
	f.Add([]byte(`a\\ b\n `))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, entry := range values(text, "q") {
			for _, l := range entry {
				for _, keyless := range []bool{false, true} {
					line := text[l.begin:l.end]
					if s := silenced(line, keyless); len(s) != len(line) || len(bytes.TrimRight(s[bytes.IndexByte(s, ':')+1:], " ")) > 0 {
						t.Errorf("%q is silenced as %q", line, s)
					}
				}
			}
		}
		if got := unescape(escape(string(text))); got != string(text) {
			t.Errorf("%q comes back as %q", text, got)
		}
		_, _ = decode("GET", string(text))
	})
}
