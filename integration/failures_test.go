//go:build integration

package integration

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// scene is a row of things that administrators did and that went wrong with Debian's layer, done on one host. Its script says
// "holds ID CONDITION" for each of them; it runs with Debian's layer and with ours.
type scene struct {
	name   string
	start  beginning // nothing; or "ours", which is Debian's layer where that is on trial
	off    bool      // the host is not booted: a build root
	script string
	fails  string // what does not hold with Debian's layer: ID, or ID/RELEASE. All else holds there, everything holds with ours.
}

// sceneWords are what differs between the layers, and the verdict.
const sceneWords = `
set +e
# holds ID CONDITION: notes whether it does
holds() {
	if ( set -e; eval "$2" ) > /tmp/holds 2>&1; then echo "$1"; else echo "$1 FAILS: $(tail -n 3 /tmp/holds | tr '\n' ' ')"; fi >> /verdict
}
# again TYPE [MAILNAME]: nothing of Postfix is left, nothing is answered but these
anew() {
	dpkg -P --force-all postfix; rm -rf /etc/postfix /etc/aliases* /etc/mailname /var/spool/postfix /tmp/said
	echo PURGE | debconf-communicate postfix; hostname box; printf '127.0.0.1 localhost\n127.0.1.1 box.example.test box\n' > /etc/hosts
	[ -z "$1" ] || answer main_mailer_type "$1"
	[ -z "$2" ] || answer mailname "$2"
}
listens_to_all() { case $(postconf -h inet_interfaces) in all) return 0 ;; *) return 1 ;; esac; }
`

var layerWords = map[product.Layer]string{
	product.Debian: "install_it() { dpkg -i /debs/d1/postfix.deb; }\nupgrade=/debs/d2/postfix.deb\nbroken=/debs/broken/debian.deb\n",
	product.Ours:   "install_it() { install_ours; }\nupgrade=/debs/o2/postfix.deb\nbroken=/debs/broken/postfix.deb\n",
}

// TestFailures plays each scene: what went wrong with Debian's layer does not with ours, and is seen to go wrong there (-nightly).
func TestFailures(t *testing.T) {
	t.Parallel()
	for _, release := range releases() {
		for _, s := range scenes {
			for _, layer := range layers() {
				t.Run(release+"/"+s.name+"/"+string(layer), func(t *testing.T) { s.play(scenario(t, 1), t, release, layer) })
			}
		}
	}
}

func (s scene) play(ctx context.Context, t *testing.T, release string, layer product.Layer) {
	start := s.start
	if start == ours && layer == product.Debian {
		start = debian
	}
	h := newHost(ctx, t, "mail", begin(ctx, t, release, start))
	if !s.off {
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
	}
	said, err := h.Sh(ctx, ". /usr/local/lib/life\n"+sceneWords+layerWords[layer]+s.script)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := os.ReadFile(filepath.Join(h.Root(), "verdict"))
	if err != nil {
		t.Fatal(err)
	}
	var held, failed []string
	for line := range strings.Lines(string(verdict)) {
		if id, _, bad := strings.Cut(strings.TrimSpace(line), " FAILS:"); bad {
			failed = append(failed, id)
		} else {
			held = append(held, id)
		}
	}
	var want []string
	for _, word := range strings.Fields(s.fails) {
		if id, only, limited := strings.Cut(word, "/"); layer == product.Debian && (!limited || only == release) {
			want = append(want, id)
		}
	}
	slices.Sort(failed)
	slices.Sort(want)
	if !slices.Equal(failed, want) || len(held)+len(failed) != len(s.ids()) {
		t.Errorf("with the layer of %s these fail: %v, expected: %v\n%s\nthe way there:\n%s", layer, failed, want, verdict, said)
	}
}

// ids are what a scene asks about.
func (s scene) ids() (ids []string) {
	for line := range strings.Lines(s.script) {
		if rest, ok := strings.CutPrefix(line, "holds "); ok {
			id, _, _ := strings.Cut(rest, " ")
			ids = append(ids, id)
		}
	}
	return ids
}

// TestFailuresListed reads failures.md: each id has one row, each test that a row names is there, and what a scene shows
// stands in the row of its id.
func TestFailuresListed(t *testing.T) {
	rows := readTable(t, "failures.md")
	tests := testNames(t)
	for id, shown := range rows {
		for _, name := range strings.Split(shown, "; ") {
			if !tests[name] {
				t.Errorf("failures.md: %s is said to be shown by %q, which is no test", id, name)
			}
		}
	}
	for _, s := range scenes {
		for _, id := range s.ids() {
			if name := "TestFailures/" + s.name; !slices.Contains(strings.Split(rows[id], "; "), name) {
				t.Errorf("failures.md: the row of %s does not name %q", id, name)
			}
		}
	}
}

// readTable gives the first and the last column of a table in Markdown.
func readTable(t *testing.T, file string) map[string]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		id := strings.TrimSpace(cells[0])
		if len(cells) < 3 || id == "Id" || strings.HasPrefix(id, "---") {
			continue
		}
		if rows[id] != "" {
			t.Errorf("%s: two rows for %s", file, id)
		}
		rows[id] = strings.TrimSpace(cells[len(cells)-1])
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", file)
	}
	return rows
}

// testNames are the tests that failures.md may name: FOLDER NAME, of this folder NAME, and for the tables here NAME/ROW.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, table := range lives {
		for _, l := range table {
			names["TestLife/"+l.name] = true
		}
	}
	for _, s := range scenes {
		names["TestFailures/"+s.name] = true
	}
	for _, c := range care {
		names["TestChrootCare/"+c.name] = true
	}
	for _, s := range nssSteps {
		names["TestChrootModules/"+s.name] = true
	}
	var files []string
	for _, pattern := range []string{"../*/*/*/*_test.go", "../*/*/*_test.go", "../internal/*_test.go", "*_test.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("cannot find the tests %s: %v", pattern, err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		folder := strings.TrimPrefix(strings.TrimPrefix(filepath.Dir(file), "."), "./")
		for line := range strings.Lines(string(data)) {
			if name, ok := strings.CutPrefix(line, "func Test"); ok {
				name, _, _ = strings.Cut(name, "(")
				names[strings.TrimSpace(folder+" Test"+name)] = true
			}
		}
	}
	return names
}
