package instance

import (
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"postfix-maint/internal/sysroot/sysroottest"
)

// text gives the errors as one string.
func text(errs []error) string {
	if err := errors.Join(errs...); err != nil {
		return err.Error()
	}
	return ""
}

func TestList(t *testing.T) {
	t.Parallel()
	primary := Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/var/spool/postfix", DataDir: "/var/lib/postfix", Enabled: true}
	out := Instance{
		Name: "postfix-out", ConfigDir: "/etc/postfix-out", QueueDir: "/var/spool/postfix-out", DataDir: "/var/lib/postfix-out", Enabled: true,
	}
	const outCF = "multi_instance_name = postfix-out\nmulti_instance_enable = yes\n" +
		"queue_directory = /var/spool/${multi_instance_name}\ndata_directory = /var/lib/$multi_instance_name\n"
	disabled := primary
	disabled.Enabled = false
	for name, c := range map[string]struct {
		files    map[string]string
		want     []Instance
		wantErrs []string // a piece of each error, in order
	}{
		"one instance alone is enabled without a word": {
			files: map[string]string{"etc/postfix/main.cf": "myhostname = a.example\n"},
			want:  []Instance{primary},
		},
		"commas, tabs and continuation lines separate directories": {
			files: map[string]string{
				"etc/postfix/main.cf":     "multi_instance_enable = Yes\nmulti_instance_directories = /etc/postfix-out,\n\t/srv/pf/\n",
				"etc/postfix-out/main.cf": outCF,
				"srv/pf/main.cf":          "multi_instance_name=pf\nqueue_directory=/srv/pf/queue/\n",
			},
			want: []Instance{primary, out, {Name: "pf", ConfigDir: "/srv/pf", QueueDir: "/srv/pf/queue", DataDir: "/var/lib/postfix"}},
		},
		"only commas are no directories": {
			files: map[string]string{"etc/postfix/main.cf": "multi_instance_directories = , ,\n"},
			want:  []Instance{primary},
		},
		"with others the primary one has to be enabled like them": {
			files: map[string]string{"etc/postfix/main.cf": "multi_instance_directories = /etc/postfix-out\n", "etc/postfix-out/main.cf": outCF},
			want:  []Instance{disabled, out},
		},
		"an unnamed instance is known by its directory as on Debian 13": {
			files: map[string]string{
				"etc/postfix/main.cf":   "multi_instance_enable=yes\nmulti_instance_directories = /etc/postfix-b /srv/x",
				"etc/postfix-b/main.cf": "queue_directory = /q\n", "srv/x/main.cf": "",
			},
			want:     []Instance{primary, {Name: "b", ConfigDir: "/etc/postfix-b", QueueDir: "/q", DataDir: "/var/lib/postfix"}},
			wantErrs: []string{`"/srv/x": it has no multi_instance_name`},
		},
		"the good ones come although others are broken": {
			files: map[string]string{
				"etc/postfix/main.cf": "multi_instance_enable=yes\n" +
					"multi_instance_directories = /none /nul rel /enable /name /loop /host /etc/postfix-out /dup /etc/postfix/ /minus /long",
				"etc/postfix-out/main.cf": outCF,
				"nul/main.cf":             "a = \x00\n",
				"enable/main.cf":          "multi_instance_enable = maybe\n",
				"name/main.cf":            "multi_instance_name = a/b\n",
				"loop/main.cf":            "queue_directory = $data_directory\ndata_directory = $queue_directory\nmulti_instance_name=loop\n",
				"host/main.cf":            "multi_instance_name = h\nqueue_directory = /var/spool/$myhostname\n",
				"dup/main.cf":             outCF,
				"long/main.cf":            "multi_instance_name = " + strings.Repeat("ü", 30),
				"minus/main.cf":           "multi_instance_name = -\n",
			},
			want: []Instance{primary, out},
			wantErrs: []string{
				`"/none"`, `"/nul/main.cf"`, `"rel" as instance`, `"maybe"`, `"a/b"`, `"/loop"`, `$myhostname`,
				`"/etc/postfix-out" has that name`, `primary one's directory`, `"-" is no name`, "too long",
			},
		},
		"a broken list is one error and no instance": {
			files:    map[string]string{"etc/postfix/main.cf": "queue_directory = spool\n"},
			wantErrs: []string{`queue_directory "spool" of "/etc/postfix"`},
		},
		"no configuration": {wantErrs: []string{`"/etc/postfix"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, errs := List(sysroottest.New(t, c.files))
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if len(errs) != len(c.wantErrs) {
				t.Fatalf("got errors\n%s\nwant %q", text(errs), c.wantErrs)
			}
			for n, err := range errs {
				if !strings.Contains(err.Error(), c.wantErrs[n]) {
					t.Errorf("error %d is %q, want %q in it", n, err, c.wantErrs[n])
				}
			}
		})
	}
}

func TestListTellsMissingConfigurationFromBroken(t *testing.T) {
	t.Parallel()
	if _, errs := List(sysroottest.New(t, nil)); len(errs) != 1 || !errors.Is(errs[0], fs.ErrNotExist) {
		t.Errorf("no main.cf: got %v, want fs.ErrNotExist", errs)
	}
	gone := map[string]string{"etc/postfix/main.cf": "multi_instance_directories = /etc/postfix-gone\n"}
	if insts, errs := List(sysroottest.New(t, gone)); len(insts) != 1 || len(errs) != 1 ||
		!strings.Contains(errs[0].Error(), `take "/etc/postfix-gone" out of multi_instance_directories in /etc/postfix/main.cf`) {
		t.Errorf("a directory that was removed by hand: got %v, want the remedy", errs)
	}
	if _, errs := List(sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "a\x00"})); len(errs) != 1 || errors.Is(errs[0], fs.ErrNotExist) {
		t.Errorf("broken main.cf: got %v", errs)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	r := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":           "multi_instance_directories = /etc/postfix-out /srv/a /srv/b /broken\n",
		"etc/postfix-out/main.cf":       "multi_instance_name = postfix-out\n",
		"srv/a/main.cf":                 "multi_instance_name = postfix-x\n",
		"srv/b/main.cf":                 "multi_instance_name = x\n",
		"etc/postfix-unlisted/main.cf":  "",
		"etc/postfix-un-listed/main.cf": "",
		"etc/postfix-other/main.cf":     "multi_instance_name = elsewhere\n",
	})
	for name, c := range map[string]struct{ name, want string }{
		"nothing means the primary one":              {"", "/etc/postfix"},
		"a dash means the primary one":               {"-", "/etc/postfix"},
		"a full name":                                {"postfix-out", "/etc/postfix-out"},
		"a name as systemd-escape writes it":         {`postfix\x2dout`, "/etc/postfix-out"},
		"the name without postmulti's prefix":        {"out", "/etc/postfix-out"},
		"a full name goes before a shortened one":    {"x", "/srv/b"},
		"Debian 13's naming without an entry":        {"unlisted", "/etc/postfix-unlisted"},
		"Debian 13's naming without an entry, %i":    {`un\x2dlisted`, "/etc/postfix-un-listed"},
		"Debian 13's naming with another name in it": {"other", "/etc/postfix-other"},
		"no such instance":                           {"nobody", ""},
		"no way out of the directory":                {"x/../../srv/a", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Find(r, c.name)
			if got.ConfigDir != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %+v, %v; want the one in %q", got, err, c.want)
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist", err)
			}
		})
	}
}

func TestByConfigDir(t *testing.T) {
	t.Parallel()
	r := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf":   "",
		"etc/postfix-b/main.cf": "",
		"srv/pf/main.cf":        "queue_directory = /srv/pf/q\n",
		"srv/named/main.cf":     "multi_instance_name = n\n",
	})
	for dir, want := range map[string]string{
		"/etc/postfix/": "-", "/etc/postfix-b": "b", "/srv/pf": "srv_pf", "/srv/named": "n", "/none": "", "srv/pf": "",
	} {
		got, err := ByConfigDir(r, dir)
		if got.Name != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %+v, %v; want %q", dir, got, err, want)
		}
	}
	if got, _ := ByConfigDir(r, "/srv/pf"); got.QueueDir != "/srv/pf/q" {
		t.Errorf("queue directory is %q", got.QueueDir)
	}
}
