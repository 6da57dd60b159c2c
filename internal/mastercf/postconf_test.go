//go:build integration

package mastercf

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/maincf/postfixtest"
)

// listing is what postconf -M has to print for our reading: the fields at its columns, the arguments in braces where they
// hold blanks.
func listing(services []Service) string {
	var out strings.Builder
	for _, s := range services {
		line := s.Name
		for i, field := range []string{s.Type, s.Private, s.Unpriv, s.Chroot, s.Wakeup, s.MaxProc, s.Command} {
			line += strings.Repeat(" ", max(1, []int{11, 17, 25, 33, 41, 49, 57}[i]-len(line))) + field
		}
		out.WriteString(line + arguments(s) + "\n")
	}
	return out.String()
}

// arguments leaves the first one that is no option without braces: a slip of postconf, which its edits write to the file.
func arguments(s Service) string {
	var out strings.Builder
	options, value := true, false
	for _, a := range s.Args {
		first := options && !value && !isOption(a)
		options = options && !first
		value = options && !value && takesValue(a)
		if strings.ContainsAny(a, blanks) && !first {
			a = "{" + a + "}"
		}
		out.WriteString(" " + a)
	}
	return out.String()
}

// fields is what postconf -F has to print.
func fields(services []Service) string {
	var out strings.Builder
	for _, s := range services {
		for _, f := range [][2]string{{"service", s.Name}, {"type", s.Type}, {"private", s.Private}, {"unprivileged", s.Unpriv},
			{"chroot", s.Chroot}, {"wakeup", s.Wakeup}, {"process_limit", s.MaxProc}, {"command", s.Command + arguments(s)}} {
			fmt.Fprintf(&out, "%s/%s/%s = %s\n", s.Name, s.Type, f[0], f[1])
		}
	}
	return out.String()
}

// options is what postconf -P has to print for the parameters of the generator, sorted.
func options(services []Service) []string {
	var out []string
	for _, s := range services {
		for _, name := range []string{"a", "b", "c"} {
			if v, ok := s.Option(name); ok {
				out = append(out, strings.TrimSpace(fmt.Sprintf("%s/%s/%s = %s", s.Name, s.Type, name, v)))
			}
		}
	}
	slices.Sort(out)
	return out
}

// generated takes the lines about those parameters out of postconf's output.
func generated(out string) []string {
	var list []string
	for line := range strings.Lines(out) {
		if name, _, _ := strings.Cut(line, " ="); strings.HasSuffix(name, "/a") || strings.HasSuffix(name, "/b") || strings.HasSuffix(name, "/c") {
			list = append(list, strings.TrimSpace(line))
		}
	}
	slices.Sort(list)
	return list
}

// doubled tells of services of one name and type, whose parameters postconf mixes up.
func doubled(services []Service) bool {
	seen := map[string]bool{}
	for _, s := range services {
		if seen[s.Name+"/"+s.Type] {
			return true
		}
		seen[s.Name+"/"+s.Type] = true
	}
	return false
}

// sources returns generated texts and the master.cf files that come with the release's Postfix.
func sources(tree *postfixtest.Tree, sound bool, n int) []string {
	var texts []string
	for i := range n {
		texts = append(texts, genFile(sound).Example(i))
	}
	for _, p := range []string{"/usr/share/postfix/master.cf.dist", "/etc/postfix/master.cf.proto"} {
		if data := tree.Read(p); data != nil {
			texts = append(texts, string(data))
		}
	}
	return texts
}

// TestPostconfRead holds Parse against postconf -M, -F and -P, on sound and on broken files.
func TestPostconfRead(t *testing.T) {
	postfixtest.Each(t, func(t *testing.T, tree *postfixtest.Tree) {
		texts := append(sources(tree, true, 50), sources(tree, false, 50)...)
		for i, text := range texts {
			dir := fmt.Sprint("case", i)
			tree.Write(dir+"/main.cf", nil)
			tree.Write(dir+"/master.cf", []byte(text))
			for _, flag := range []string{"M", "F", "P"} {
				tree.Spawn(dir+"/"+flag, "postconf", "-c", dir, "-"+flag)
			}
		}
		tree.Run()
		broken := 0
		for i, text := range texts {
			if !checkRead(t, tree, fmt.Sprint("case", i), text) {
				broken++
			}
		}
		if t.Logf("%d files, %d of them refused", len(texts), broken); broken < 10 {
			t.Error("the generator is lopsided")
		}
	})
}

func checkRead(t *testing.T, tree *postfixtest.Tree, dir, text string) (sound bool) {
	m, stderr, ok := tree.Result(dir + "/M")
	f, err := Parse([]byte(text))
	if (err == nil) != ok {
		t.Errorf("postconf says %q, Parse says %v for %q", stderr, err, text)
	}
	if err != nil || !ok {
		return false
	}
	if diff := cmp.Diff(m, listing(f.Services())); diff != "" {
		t.Errorf("-M of %q: -postconf +ours:\n%s", text, diff)
	}
	out, _, _ := tree.Result(dir + "/F")
	if diff := cmp.Diff(out, fields(f.Services())); diff != "" {
		t.Errorf("-F of %q: -postconf +ours:\n%s", text, diff)
	}
	out, _, _ = tree.Result(dir + "/P")
	if diff := cmp.Diff(generated(out), options(f.Services())); diff != "" && !doubled(f.Services()) {
		t.Errorf("-P of %q: -postconf +ours:\n%s", text, diff)
	}
	return true
}

const added = "added     unix  -       n       n       -       -       pipe flags=x user=y"

// TestPostconfEdit makes the same edits with SetChroot, AddService and postconf, and lets postconf read both files.
func TestPostconfEdit(t *testing.T) {
	postfixtest.Each(t, func(t *testing.T, tree *postfixtest.Tree) {
		texts := slices.DeleteFunc(sources(tree, true, 200), func(text string) bool {
			all := strings.Split(text, "\n")
			return slices.ContainsFunc(mustParse(t, text).Services(), func(s Service) bool {
				return len(strings.Fields(all[s.Line-1])) < 2 // postconf edits no service whose type is in another line
			})
		})
		keys := map[string]string{} // of all edits, to the text they are made in
		for i, text := range texts {
			for _, key := range addEdits(t, tree, fmt.Sprint("case", i), text, i) {
				keys[key] = text
			}
		}
		tree.Age()
		for i := range texts {
			for _, version := range []string{"theirs", "ours"} {
				dir := fmt.Sprintf("case%d/%s", i, version)
				tree.Spawn(dir+"/M", "postconf", "-c", dir, "-M")
			}
		}
		tree.Run()
		for key, text := range keys {
			if _, stderr, ok := tree.Result(key); !ok {
				t.Errorf("postconf refused %s in %q: %s", key, text, stderr)
			}
		}
		braces := strings.NewReplacer("{", "", "}", "") // postconf's edits lose some
		for i, text := range texts {
			theirs, stderr, ok := tree.Result(fmt.Sprintf("case%d/theirs/M", i))
			ours, stderr2, ok2 := tree.Result(fmt.Sprintf("case%d/ours/M", i))
			if diff := cmp.Diff(braces.Replace(theirs), braces.Replace(ours)); diff != "" || !ok || !ok2 || !strings.Contains(ours, "added ") {
				t.Errorf("edits of %q differ: %s%s\n-postconf +ours:\n%s", text, stderr, stderr2, diff)
			}
		}
		t.Logf("%d files, %d edits", len(texts), len(keys))
	})
}

// addEdits makes our edits and writes those for postconf into the script.
func addEdits(t *testing.T, tree *postfixtest.Tree, dir, text string, seed int) (keys []string) {
	f := mustParse(t, text)
	edit := func(args ...string) {
		keys = append(keys, fmt.Sprintf("%s/edit%d", dir, len(keys)))
		tree.Add(keys[len(keys)-1], append([]string{"postconf", "-c", dir + "/theirs"}, args...)...)
	}
	for i, s := range f.Services() {
		if (seed+i)%3 == 0 {
			continue
		}
		on := (seed+i)%2 == 0
		if _, err := f.SetChroot(s.Name, s.Type, on); err != nil {
			t.Fatal(err)
		}
		edit("-F", s.Name+"/"+s.Type+"/chroot="+map[bool]string{true: "y", false: "n"}[on])
	}
	if err := f.AddService(added); err != nil {
		t.Fatal(err)
	}
	edit("-M", "added/unix="+added)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n" // postconf of 3.7 glues a new line to a last line without newline
	}
	tree.Write(dir+"/theirs/master.cf", []byte(text))
	tree.Write(dir+"/ours/master.cf", f.Bytes())
	for _, version := range []string{"theirs", "ours"} {
		tree.Write(dir+"/"+version+"/main.cf", nil)
	}
	return keys
}

// generated takes the lines about those parameters out of postconf's output.
