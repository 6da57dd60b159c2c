package doctor

import (
	"context"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot/sysroottest"
)

// postfix plays Postfix's programs: what they say by the program's name.
type postfix map[string]string

func (p postfix) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	if name == "sh" {
		name = args[2]
	}
	name = path.Base(name)
	if len(args) == 1 {
		name += " " + args[0]
	}
	said := p[name]
	if strings.Contains(said, "fatal: ") && name != "journalctl" {
		return []byte(said), &run.ExitError{Args: []string{name}, Code: 1, Stderr: said}
	}
	return []byte(said), nil
}

func TestGather(t *testing.T) {
	const main = "alias_maps = hash:/etc/aliases\nalias_database = hash:/etc/aliases\n" +
		"virtual_mailbox_maps = proxy:hash:/etc/postfix/a, proxy:pcre:/etc/postfix/gone\nsmtpd_tls_session_cache_database = btree:${data_directory}/scache\n" +
		"smtpd_recipient_restrictions = check_recipient_access unionmap:{cidr:/etc/postfix/c,hash:/etc/postfix/b}, permit\n" +
		"smtp_sasl_password_maps = hash:/etc/postfix/sasl\nsmtpd_tls_key_file = /k\nsmtpd_tls_CAfile = /gone\nmilter = unix:/run/m\nmail_owner = me\n"
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": main, "etc/postfix/master.cf": "smtp inet n - y - - smtpd\nrelay unix - - y - - smtp\n  -o transport_maps=texthash:/etc/postfix/t\n",
		"etc/postfix/a": "", "etc/postfix/a.db": "", "etc/postfix/c": "", "etc/postfix/b": "", "etc/postfix/sasl": "", "etc/postfix/sasl.db": "", "k": "",
		"etc/postfix/main.cf.dpkg-dist": "", "etc/default/other.dpkg-dist": "", "etc/default/postfix.ucf-dist": "",
		"etc/aliases": "root: joe, \\ann, gone+x, a@b.example, /dev/null, \"|x y\"\njoe: :include:/x\ngone+x: no\n", "etc/aliases.db": "",
		"etc/passwd":        "root:x:0:0::/root:/bin/sh\nann:x:1:1::/:/bin/sh\nme:x:" + strconv.Itoa(os.Geteuid()) + ":1::/:/bin/sh\n",
		"etc/nsswitch.conf": "passwd: files systemd\n", "q/active/": "", "d/": "",
	})
	for name, age := range map[string]time.Duration{"/etc/postfix/a.db": time.Hour, "/etc/postfix/main.cf": time.Minute} {
		then := time.Now().Add(-age)
		if err := os.Chtimes(root.Dir()+name, then, then); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{"/etc/postfix/sasl": 0o640, "/etc/postfix/sasl.db": 0o644, "/etc/postfix/master.cf": 0o666} {
		if err := os.Chmod(root.Dir()+name, mode); err != nil {
			t.Fatal(err)
		}
	}
	f := &Facts{Instances: []Instance{{Instance: instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q", DataDir: "/d"}, TLS: "may"}}}
	Gather(t.Context(), Host{Root: root, Run: postfix{"postconf -m": "hash\npcre\n", "postconf": "postconf: warning: x\npostconf: y\n", "postmap": "postmap: fatal: no"}}, f)
	i := f.Instances[0]
	var tables []string
	for _, x := range i.Tables {
		state := map[bool]string{true: "t"}[x.Text] + map[bool]string{true: "i"}[x.Index] + map[bool]string{true: "o"}[x.Old] + map[bool]string{true: "a"}[x.Aliases]
		tables = append(tables, strings.Join([]string{path.Base(x.File), strconv.Itoa(x.Line), x.Type, path.Base(x.Path), state}, " "))
	}
	if want := []string{"main.cf 1 hash aliases tia", "main.cf 3 hash a tio", "main.cf 3 pcre gone ", "main.cf 5 cidr c ti", "main.cf 5 hash b t", "main.cf 6 hash sasl ti",
		"master.cf 2 texthash t "}; !slices.Equal(tables, want) {
		t.Errorf("tables: %q\nwant    %q", tables, want)
	}
	var files []string
	for _, x := range i.Files {
		files = append(files, strings.Join([]string{strconv.Itoa(x.Line), x.Path, strconv.FormatBool(x.Missing), strconv.FormatBool(x.Readable), strconv.FormatBool(x.Secret)}, " "))
	}
	if want := []string{"6 /etc/postfix/sasl false false true", "6 /etc/postfix/sasl.db false true true", "7 /k false true true", "8 /gone true false false"}; !slices.Equal(files, want) {
		t.Errorf("files: %q\nwant   %q", files, want)
	}
	if !slices.Equal(i.Root, []string{"gone+x"}) && !slices.Equal(i.Root, []string{"no"}) || i.Refused != "no" || !slices.Equal(i.Warnings, []string{"x"}) || !f.Types["pcre"] || len(i.Owners) > 0 || !i.Free.Known {
		t.Errorf("root %q, refused %q, warnings %q, owners %+v, types %v, space %+v", i.Root, i.Refused, i.Warnings, i.Owners, f.Types, i.Free)
	}
	if i.RootLine != 1 {
		t.Errorf("root's alias is in line %d", i.RootLine)
	}
	if len(i.Others) != 1 || i.Others[0].File != "/etc/postfix/master.cf" {
		t.Errorf("writable: %+v", i.Others)
	}
	if want := []string{"/etc/default/postfix.ucf-dist", "/etc/postfix/main.cf.dpkg-dist"}; !slices.Equal(f.Leftovers, want) {
		t.Errorf("left: %q", f.Leftovers)
	}
	if err := os.WriteFile(root.Dir()+"/etc/passwd", []byte("me:x:99999:1::/:/bin/sh\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.Instances[0].Owners = nil
	Gather(t.Context(), Host{Root: root, Run: postfix{}}, f)
	if got := f.Instances[0].Owners; len(got) != 2 || !strings.HasPrefix(got[0].What, "/d ") || !strings.HasPrefix(got[1].What, "/q/active ") {
		t.Errorf("owners: %+v", got)
	}
	for _, more := range []string{"", "/d/of another use"} { // as data_directory = /var/lib
		if more != "" {
			if err := os.WriteFile(root.Dir()+more, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f.Instances[0].Owners = nil
		Gather(t.Context(), Host{Root: root, Run: postfix{}}, f)
		if got := f.Instances[0].Owners; os.Geteuid() == 0 && (got[0].Root != (more == "") || !got[1].Root) {
			t.Errorf("with %q: %+v", more, got)
		}
	}
}

// A table of aliases may be another account's, and as large as that likes.
func TestAliasesWithoutEnd(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "alias_database = hash:/lists/aliases\n", "lists/aliases": "root: gone\n", "etc/passwd": "me:x:1:1::/:/bin/sh\n"})
	for _, large := range []bool{false, true} {
		if large {
			if err := os.WriteFile(root.Dir()+"/lists/aliases", []byte("root: gone\n"+strings.Repeat("#", mostAliases)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		f := &Facts{Instances: []Instance{{Instance: instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q", DataDir: "/d"}}}}
		Gather(t.Context(), Host{Root: root, Run: postfix{}}, f)
		if got := f.Instances[0].Root; (len(got) == 0) != large {
			t.Errorf("large: %v; root's mail leads to %q", large, got)
		}
	}
}

// What an instance command wrote into main.cf no daemon reads.
func TestWrittenByInstances(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"var/lib/postfix-maint/instances/": ""})
	fi, err := root.Stat("/var/lib/postfix-maint/instances")
	if err != nil {
		t.Fatal(err)
	}
	h := Host{Root: root}
	for written, want := range map[time.Time]bool{
		fi.ModTime().Add(-5 * time.Second): true, fi.ModTime().Add(5 * time.Second): true, fi.ModTime().Add(time.Minute): false, fi.ModTime().Add(-time.Minute): false,
	} {
		if got := h.byInstances(written); got != want {
			t.Errorf("%v: %v", fi.ModTime().Sub(written), got)
		}
	}
	if (Host{Root: sysroottest.New(t, map[string]string{"a/": ""})}).byInstances(time.Now()) {
		t.Error("no command was at work")
	}
	// postmulti(1) was, an hour ago
	root = sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "multi_instance_directories = /etc/postfix-out\n", "etc/postfix-out/main.cf": "x = y\n"})
	then := time.Now().Add(-time.Hour)
	for _, name := range []string{"/etc/postfix-out", "/etc/postfix-out/main.cf", "/etc"} {
		if err := os.Chtimes(root.Dir()+name, then, then); err != nil {
			t.Fatal(err)
		}
	}
	h = Host{Root: root}
	if !h.byInstances(then.Add(time.Second)) || h.byInstances(time.Now()) {
		t.Error("postmulti was at work an hour ago, and since then somebody else")
	}
}
