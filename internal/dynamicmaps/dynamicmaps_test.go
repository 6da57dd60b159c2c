package dynamicmaps_test

import (
	"testing"

	"postfix-maint/internal/dynamicmaps"
)

func TestDebian(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ typ, build, want string }{
		"a type that is only read":       {"pcre", "", "pcre\tpostfix-pcre.so\tdict_pcre_open"},
		"a type that can be built":       {"lmdb", "", "lmdb\tpostfix-lmdb.so\tdict_lmdb_open\tmkmap_lmdb_open"},
		"its function named by a script": {"new", "mkmap_new_open", "new\tpostfix-new.so\tdict_new_open\tmkmap_new_open"},
		"a path is no type":              {"../x", "", ""},
		"a line end is no type":          {"a\nb", "", ""},
		"nothing is no type":             {"", "", ""},
		"a function with a blank":        {"pcre", "a b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := dynamicmaps.Debian(tc.typ, tc.build)
			if got := e.String(); got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
			if err == nil && !e.IsDebian() {
				t.Errorf("%+v is not taken for Debian's", e)
			}
		})
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	pcre, err := dynamicmaps.Debian("pcre", "")
	if err != nil {
		t.Fatal(err)
	}
	const file = dynamicmaps.Head + "\n  # mine\n  odd   /opt/odd.so f\npcre2 postfix-pcre.so f"
	added := dynamicmaps.Add([]byte(file), pcre)
	if want := file + "\npcre\tpostfix-pcre.so\tdict_pcre_open\n"; string(added) != want {
		t.Errorf("Add gives %q, want %q", added, want)
	}
	if e, ok := dynamicmaps.Find(added, "odd"); !ok || e.Library != "/opt/odd.so" || e.IsDebian() {
		t.Errorf("Find(odd) gives %+v, %v", e, ok)
	}
	for _, typ := range []string{"#", "mine", "cdb", ""} {
		if e, ok := dynamicmaps.Find(added, typ); ok {
			t.Errorf("Find(%q) gives %+v", typ, e)
		}
	}
	removed := dynamicmaps.Remove(added, func(e dynamicmaps.Entry) bool { return e.Type == "pcre" && e.IsDebian() })
	if string(removed) != file+"\n" {
		t.Errorf("Remove gives %q, want %q", removed, file+"\n")
	}
}
