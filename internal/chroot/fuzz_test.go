package chroot

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzReaders shows that no text ends in a panic of the small readers of the host's files, and that what they give is of use.
func FuzzReaders(f *testing.F) {
	f.Add([]byte("passwd: files sss\nhosts: files [NOTFOUND=return] dns # x\n"))
	f.Add([]byte("pwcheck_method: auxprop\n# x\nauxprop_plugin : sasldb\nmech_list: PLAIN\tLOGIN\n"))
	f.Add([]byte("root:x:0:0::/root:/bin/sh\nlame\n"))
	f.Add([]byte(`{"queue_directory":"/q","form":1,"serial":"A","files":{"etc/hosts":"x,y 1:2:3:4 -1:0:0:0"},"links":{"a":"b"},"directories":["etc"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, l := range lookups(data) {
			if !moduleName.Regexp().MatchString(l.module) {
				t.Errorf("%q would be the name of a library", l.module)
			}
		}
		for name := range saslOptions(data) {
			if name == "" || name != strings.ToLower(name) {
				t.Errorf("%q is the name of an option", name)
			}
		}
		if again := blankPasswords(blankPasswords(data)); string(again) != string(blankPasswords(data)) {
			t.Errorf("blank passwords of %q: %q", data, again)
		}
		k := &kept{}
		if err := json.Unmarshal(data, k); err == nil && k.check() == nil {
			for name, f := range k.Files {
				if name == "" || strings.HasPrefix(name, "/") || strings.Contains("/"+name+"/", "/../") {
					t.Errorf("the list names %q", name)
				}
				if text, err := f.MarshalText(); err != nil || (&keptFile{}).UnmarshalText(text) != nil {
					t.Errorf("%q is written as %q, %v", name, text, err)
				}
			}
		}
	})
}

// The numbers of accounts in a file that others may write to are nobody's.
func TestAccountsOfAForeignFile(t *testing.T) {
	root := host(t, map[string]string{"etc/passwd": "postfix:x:105:110::/:/x\n"})
	p := &Plan{deps: Deps{Root: root}}
	if uid, gid := p.account("postfix"); uid != 105 || gid != 110 {
		t.Errorf("root's own says %d, %d", uid, gid)
	}
	if err := os.Chmod(filepath.Join(root.Dir(), "etc/passwd"), 0o666); err != nil {
		t.Fatal(err)
	}
	if uid, gid := p.account("postfix"); uid != -1 || gid != -1 {
		t.Errorf("everybody's says %d, %d", uid, gid)
	}
}

// No password gets into a chroot, whatever is wrong with the line that holds it.
func TestNoPasswordIsCopied(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a:$6$s:1:2::/:/bin/sh\nb::3:4:::": "a:x:1:2::/:/bin/sh\nb:x:3:4:::", "a:$6$s": "a:x\n", "a:$6$s\nb:*:1:": "a:x\nb:x:1:", "+\n\n#\n": "+\n\n#\n",
	} {
		if got := string(blankPasswords([]byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}
