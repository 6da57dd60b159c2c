package instance

import (
	"reflect"
	"testing"
)

func TestUnit(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		inst    Instance
		want    string
		aliases []string
	}{
		"the primary one": {Instance{Name: "-", ConfigDir: "/etc/postfix"}, "postfix@-.service", nil},
		"a name of postmulti is typed as it is": {
			Instance{Name: "postfix-out", ConfigDir: "/etc/postfix-out"}, "postfix@postfix-out.service",
			[]string{`postfix@postfix\x2dout.service`, "postfix@out.service"},
		},
		"a directory with a dash, the way Debian 13 escapes it": {
			Instance{Name: "mx", ConfigDir: "/etc/postfix-a-b"}, "postfix@mx.service",
			[]string{`postfix@a\x2db.service`, "postfix@a-b.service"},
		},
		"a plain name elsewhere has no other": {Instance{Name: "pf", ConfigDir: "/srv/pf"}, "postfix@pf.service", nil},
		"what a unit name cannot hold":        {Instance{Name: ".a+ü", ConfigDir: "/x"}, `postfix@\x2ea\x2b\xc3\xbc.service`, nil},
		"only the prefix":                     {Instance{Name: "postfix-", ConfigDir: "/x"}, "postfix@postfix-.service", []string{`postfix@postfix\x2d.service`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.inst.Unit(); got != c.want {
				t.Errorf("unit is %q, want %q", got, c.want)
			}
			if got := c.inst.Aliases(); !reflect.DeepEqual(got, c.aliases) {
				t.Errorf("aliases are %q, want %q", got, c.aliases)
			}
		})
	}
}

func TestUnescape(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"postfix-out", ".a+ü", `a\x2`, `\xzz`, ""} {
		if got := unescape(escape(name, "")); got != name {
			t.Errorf("%q comes back as %q", name, got)
		}
	}
}
