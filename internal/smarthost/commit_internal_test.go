package smarthost

import (
	"slices"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

// A table that main.cf does not name any more keeps its lines until the new main.cf is in force, also one in which others' lines stay.
func TestWhatIsNotUsedAnyMoreFollows(t *testing.T) {
	const name = "/etc/postfix/" + genericTable
	for what, c := range map[string]struct {
		new   []byte
		used  bool
		later bool
	}{
		"it goes":                   {nil, false, true},
		"others' lines stay":        {[]byte("theirs x\n"), false, true},
		"it is used, as it was not": {[]byte("theirs x\n"), true, false},
	} {
		p := &Plan{h: &host{
			d:    Deps{Root: sysroottest.New(t, map[string]string{name[1:]: "theirs x\nours y\n"})},
			inst: instance.Instance{Name: instance.Primary, ConfigDir: paths.ConfigDir}, disk: []byte("a = b\n"),
		}}
		p.files = []file{{path: name, old: []byte("theirs x\nours y\n"), new: c.new, mode: 0o644, used: c.used}}
		var err error
		if p.after, err = maincf.Parse([]byte("a = c\n")); err != nil {
			t.Fatal(err)
		}
		p.h.live = p.after
		tr, err := p.transaction()
		if err != nil {
			t.Fatal(err)
		}
		is := func(f transaction.File) bool { return f.Path == name }
		if later, files := slices.ContainsFunc(tr.Later, is), slices.ContainsFunc(tr.Files, is); later != c.later || files == c.later {
			t.Errorf("%s: behind the moment is %t, before it %t", what, later, files)
		}
	}
}
