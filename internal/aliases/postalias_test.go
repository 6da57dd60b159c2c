//go:build integration

package aliases

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/maincf/postfixtest"
)

// mainCF makes postalias run in a tree without Postfix's own accounts, and fold letters beyond ASCII.
const mainCF = "compatibility_level = 3.6\nmail_owner = mail\nsetgid_group = man\nmyhostname = host.example\n"

// listing is what postalias -s has to print for our reading, sorted.
func listing(f *File) []string {
	var list []string
	for key := range f.entries {
		values, _ := f.Lookup(key)
		list = append(list, key+":\t"+strings.Join(values, ", "))
	}
	slices.Sort(list)
	return list
}

// plain takes the commas around nothing out of a value.
func plain(value string) string {
	value = regexp.MustCompile("(, )+").ReplaceAllString(strings.TrimSuffix(value, "\n")+", ", ", ")
	return strings.TrimPrefix(strings.TrimSuffix(value, ", "), ", ")
}

// database sorts the output of postalias -s and takes out its own records.
func database(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(line, ":\t")
		if key != "@" && !strings.HasPrefix(key, "YP_") {
			list = append(list, key+":\t"+plain(value))
		}
	}
	slices.Sort(list)
	return list
}

// TestPostalias holds Parse and Lookup against postalias -s and -q on a built database, before and after Add.
func TestPostalias(t *testing.T) {
	keys := []string{"Root", "big joe", "new one"}
	postfixtest.Each(t, func(t *testing.T, tree *postfixtest.Tree) {
		tree.Write("conf/main.cf", []byte(mainCF))
		var files []*File
		for i := range 80 {
			f := mustParse(t, genFile().Example(i))
			if i%2 == 0 {
				for _, key := range []string{"root", "new one"} {
					if _, err := f.Add(key, `"|cmd a"`, "b@c.example"); err != nil {
						t.Fatal(err)
					}
				}
			}
			files = append(files, f)
			name := fmt.Sprint("case", i)
			tree.Write(name, f.Bytes())
			tree.Spawn(name+".s", "sh", "-c", "postalias -c conf hash:$0 && postalias -c conf -s hash:$0", name)
		}
		tree.Age()
		for i := range files {
			for j, key := range keys {
				name := fmt.Sprint("case", i)
				tree.Spawn(fmt.Sprint(name, ".", j), "postalias", "-c", "conf", "-q", key, "hash:"+name)
			}
		}
		tree.Run()
		entries := 0
		for i, f := range files {
			name := fmt.Sprint("case", i)
			out, stderr, ok := tree.Result(name + ".s")
			if diff := cmp.Diff(database(out), listing(f)); !ok || diff != "" {
				t.Errorf("%q: %s\n-postalias +ours:\n%s", f.Bytes(), stderr, diff)
			}
			entries += len(f.entries)
			for j, key := range keys {
				out, _, found := tree.Result(fmt.Sprint(name, ".", j))
				values, ok := f.Lookup(key)
				if got := plain(out); ok != found || got != strings.Join(values, ", ") {
					t.Errorf("%q: postalias -q %q gives %q, Lookup %q", f.Bytes(), key, got, values)
				}
			}
		}
		t.Logf("%d files, %d entries", len(files), entries)
	})
}
