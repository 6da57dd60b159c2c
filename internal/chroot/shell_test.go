package chroot

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// understood are files of settings as people write them. The real shell says what they mean.
var understood = map[string]string{
	"nothing":            "# a comment\n\n",
	"plain":              "SYNC_CHROOT=no\nchroot_extra_files=etc/a\nchroot_extra_CAdir=/etc/ssl/b\n",
	"off by two quotes":  `SYNC_CHROOT=""`,
	"off by nothing":     "SYNC_CHROOT=\n",
	"quotes":             `chroot_extra_files='/etc/a b'" c"\ d"$HOME_OF_NOBODY"` + "\n",
	"long lines":         "chroot_extra_files=\"etc/a \\\n\tetc/b\"\n",
	"lines in quotes":    "chroot_extra_files='etc/a\netc/b'\n",
	"variables":          `d=etc/x; chroot_extra_files="$d/a ${d}/b ${d%/*}/c ${d#*/} ${#d}"`,
	"defaults":           `chroot_extra_CAdir=${nope:-/etc/ssl} chroot_extra_files=${SYNC_CHROOT:+set}${nope-unset}${here:=now}$here`,
	"append":             `chroot_extra_files="$chroot_extra_files etc/a"; chroot_extra_files="$chroot_extra_files etc/b"`,
	"export":             "export SYNC_CHROOT= chroot_extra_files=etc/a\nexport chroot_extra_files\nreadonly x=1",
	"if a file is there": "if [ -f /etc/passwd ]; then chroot_extra_files=/etc/passwd; else chroot_extra_files=no; fi",
	"else":               "if test -f /none; then SYNC_CHROOT=1; elif [ -d /none ]; then SYNC_CHROOT=2; else SYNC_CHROOT=3; fi",
	"and, or, not":       `[ -r /etc/passwd ] && [ ! -e /none ] || SYNC_CHROOT=; ! [ -x /etc/passwd ] && chroot_extra_files=x; test a = b -o -n c && chroot_extra_CAdir=d`,
	"more tests":         `[ "$SYNC_CHROOT" = y -a -z "$nope" ] && a=1; [ 10 -gt 9 ] && b=2; [ -L /none ] || c=3; [ -s /etc/passwd ] && d=4; [ ] || e=5; [ x ] && f=6; chroot_extra_files=$a$b$c$d$e$f`,
	"tests of words that look like operators": `x=-f; [ "$x" = -f ] && chroot_extra_files=a; [ "$x" != "!" ] && chroot_extra_CAdir=b; [ ! "" ] && SYNC_CHROOT=c`,
	"case":                   "case $SYNC_CHROOT in n*) x=1;; y|z) x=2;; *) x=3;; esac; case a.b in *.c) ;; a?b) chroot_extra_CAdir=$x;; esac",
	"loop":                   `for f in a b "c d"; do chroot_extra_files="$chroot_extra_files etc/$f"; done`,
	"loop, nested":           `for a in 1 2; do for b in x y; do chroot_extra_files="$chroot_extra_files $a$b"; done; done`,
	"patterns":               "for f in /etc/pass[w]d /none/*; do chroot_extra_files=\"$chroot_extra_files $f\"; done",
	"blocks":                 "{ chroot_extra_files=a; SYNC_CHROOT=; }",
	"status":                 "false; chroot_extra_files=$?; true; chroot_extra_CAdir=$?",
	"harmless ones":          "set -e; umask 022; :; echo hello >/dev/null; unset SYNC_CHROOT",
	"arithmetic":             "n=3; chroot_extra_files=$((n * 2 + 1))",
	"Latin-1":                "x=1; # gr\xfc\xdfe\nchroot_extra_files=etc/\xe4\xf6; [ -e /none\xff ] || chroot_extra_CAdir=\"\xfc $chroot_extra_files\"",
	"a redirection alone":    ">/dev/null\n2>/dev/null; chroot_extra_files=x",
	"a redirection and more": "x=1 >/dev/null; if >/dev/null; then chroot_extra_files=x; fi",
	"dangling test":          "[ -f /none ] 2>/dev/null && SYNC_CHROOT=; chroot_extra_files=x",
}

// evaluate runs text as a file of settings.
func evaluate(t *testing.T, root *sysroot.Root, text string) *shell {
	t.Helper()
	s := &shell{root: root, ok: true, vars: map[string]string{"SYNC_CHROOT": "y", "chroot_extra_files": "", "chroot_extra_CAdir": "", "IFS": " \t\n"}}
	s.source(paths.DefaultFile, []byte(text))
	return s
}

func TestSettingsAgainstTheShell(t *testing.T) {
	t.Parallel()
	root, err := sysroot.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"SYNC_CHROOT", "chroot_extra_files", "chroot_extra_CAdir"}
	for name, text := range understood {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := evaluate(t, root, text)
			if len(s.warns) > 0 {
				t.Errorf("warnings %q", s.warns)
			}
			script := "SYNC_CHROOT=y\nchroot_extra_files=\nchroot_extra_CAdir=\nunset x d here nope\n" + text + "\n"
			for _, n := range names {
				script += `printf '%s\n--\n' "$` + n + "\"\n"
			}
			cmd := exec.Command("/bin/sh", "-c", script)
			cmd.Dir = "/"
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for n, want := range strings.Split(string(out), "\n--\n")[:len(names)] {
				if got := showOdd(s.vars[names[n]]); got != want {
					t.Errorf("%s is %q, the shell says %q", names[n], got, want)
				}
			}
		})
	}
}

func TestSettingsThatAreNotUnderstood(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text   string
		extra  string // chroot_extra_files afterwards
		warned []string
	}{
		"a program":                   {"chroot_extra_files=a\n\nrm -rf /\nchroot_extra_files=b\n", "b", []string{`/etc/default/postfix:3: not understood: no program is run`}},
		"the output of a program":     {"chroot_extra_files=a\nchroot_extra_files=$(ls /)\n", "a", []string{":2: cannot work out this value"}},
		"backquotes":                  {"chroot_extra_files=`ls`\n", "", []string{":1: cannot work out"}},
		"an assignment with blanks":   {"chroot_extra_files = a\n", "", []string{`not understood`}},
		"a file to write":             {": >/tmp/x\nchroot_extra_files=b\n", "b", []string{":1: redirections"}},
		"a pipe":                      {"chroot_extra_files=a | :\n", "", []string{"not understood"}},
		"an endless loop":             {"while :; do :; done\nchroot_extra_files=b\n", "b", []string{":1: this kind"}},
		"a function":                  {"f() { chroot_extra_files=a; }\nf\n", "", []string{":1: this kind", `:2: not understood: no program`}},
		"an end":                      {"chroot_extra_files=a\nexit 0\nchroot_extra_files=b\n", "a", []string{`:2: "exit" ends`}},
		"a quote that nothing closes": {"chroot_extra_files=a\nx=\"\nchroot_extra_files=b\n", "a", []string{"to its end"}},
		"a test of something else":    {"[ a -ot b ] && chroot_extra_files=a\n", "", []string{"this test is not understood"}},
		"another file":                {". /etc/more\n", "more", nil},
		"a file of itself":            {". /etc/self\n", "", []string{"/etc/self:1: cannot read another file"}},
		"a file that is missing":      {". /none\nchroot_extra_files=b\n", "b", []string{":1: cannot read another file"}},
		"an odd byte after ;":         {"x=1; \xe4\nchroot_extra_files=b\n", "b", []string{":1: not understood"}},
		"a secret": {"dbuser:$6$sEcReT:1::\nx='sEcReT' $(sEcReT)\n[ sEcReT -ot b ]\ncase x in [sEcReT) ;; esac\nsEcReT() {\n", "",
			[]string{":1: not understood", ":2: cannot work out", ":3: this test", "to its end: no shell from line"}},
		"doubled for ever": {"a=0123456789\n" + strings.Repeat("a=$a$a\n", 60) + "chroot_extra_files=b\n", "", []string{"too long"}},
		"a long test":      {"[ " + strings.Repeat("a -o ", 2000) + "a ]\n", "", []string{":1: this test is too long"}},
		"a long pattern": {
			"y=" + strings.Repeat("a", 30000) + "\ncase $y in " + strings.Repeat("*a", 15000) + "b) ;; esac\nchroot_extra_files=b\n", "", []string{":2: the file goes on for too long"},
		},
		"a long pattern to take off": {
			"y=" + strings.Repeat("a", 30000) + "\nx=${y##" + strings.Repeat("*a", 15000) + "b}\nchroot_extra_files=b\n", "", []string{":2: cannot work out", "too long"},
		},
		"a long pattern of a variable": {
			"y=" + strings.Repeat("a", 30000) + "\nz='" + strings.Repeat("*a", 15000) + "b'\n: \"${y%$z}\"\nchroot_extra_files=b\n", "", []string{":3: cannot work out", "too long"},
		},
		"one whose text is set beside it": {"z=a; : ${y:=$z} ${y#*a*}\nchroot_extra_files=b\n", "b", []string{":1: cannot work out"}},
		"a long pattern for files": {
			"for x in /etc/" + strings.Repeat("*a", 30000) + "b; do :; done\n: /etc/" + strings.Repeat("*", 3000) + "\nchroot_extra_files=b\n", "b", nil,
		},
		"a large file": {strings.Repeat("#\n", maxSettings), "", []string{"more than 65536 bytes"}},
		"depth":        {strings.Repeat("{ ", maxSettings/2-8), "", []string{"to its end"}},
		"a bomb": {
			"a='1 2 3 4 5 6 7 8 9 0'\nfor i in $a; do for j in $a; do for k in $a; do for l in $a; do for m in $a; do :; done; done; done; done; done\n",
			"", []string{"too long"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{"etc/more": "chroot_extra_files=more\n", "etc/self": ". /etc/self\n"})
			s := evaluate(t, root, c.text)
			if got := s.vars["chroot_extra_files"]; got != c.extra {
				t.Errorf("chroot_extra_files is %q, want %q", got, c.extra)
			}
			warned(t, Result{Warnings: s.warns}, c.warned...)
			if strings.Contains(strings.Join(s.warns, "\n"), "sEcReT") {
				t.Errorf("the content is printed: %q", s.warns)
			}
		})
	}
}

func TestWordsOfSettings(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{
		"etc/default/postfix": "chroot_extra_files='etc/a  /etc/../../b /etc/y/*.pem no*thing'\nchroot_extra_CAdir=\"srv/x /srv/y/\"\n",
		"etc/y/1.pem":         "", "etc/y/2.pem": "x", "etc/y/3.pem": "x",
	})
	set, warns := readSettings(root, instance.Instance{Name: "-"})
	warned(t, Result{Warnings: warns})
	want(t, "files", set.files, []string{"/etc/a", "/b", "/etc/y/2.pem", "/etc/y/3.pem", "/no*thing"})
	want(t, "directories", set.caDirs, []string{"/srv/x", "/srv/y"})
	if !set.sync {
		t.Error("synchronisation is off")
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	got := lookups([]byte("# hosts: no\npasswd:  files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] resolve [!UNAVAIL=return success=continue] dns # mdns\n" +
		"\tgroup:files\tsss\nbroken line\nnetgroup: nis ../x\nservices: db files\n"))
	if !slices.Equal(got, []lookup{{"passwd", "systemd"}, {"hosts", "mdns4_minimal"}, {"hosts", "resolve"}, {"group", "sss"}, {"netgroup", "nis"}, {"services", "db"}}) {
		t.Errorf("lookups: %q", got)
	}
}

// A file that somebody else can write, or that leads through what is theirs, steers nothing of root's.
func TestForeignSettingsNeedsRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	for name, foreign := range map[string]string{
		"the file": "etc/default/postfix", "its directory": "etc/default", "what it reads": "srv/more", "where that lies": "srv",
		"smtpd.conf": "etc/postfix/sasl/smtpd.conf", "the directory of sasldb": "var/sasl", "a table": "var/ldap.cf", "ldap.conf": "etc/ldap/ldap.conf",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{
				"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtpd_sasl_auth_enable=yes\nrelay_domains=ldap:/var/ldap.cf\n",
				"etc/default/postfix": ". /srv/more\n", "srv/more": "chroot_extra_files=/etc/1\n", "etc/1": "secret",
				"etc/postfix/sasl/smtpd.conf": "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: /var/sasl/2\n", "var/sasl/2": "secret",
				"var/ldap.cf": "tls_key = /etc/3\n", "etc/3": "secret", "etc/ldap/ldap.conf": "TLS_CACERT /etc/4\n", "etc/4": "secret",
			})
			if err := os.Chown(filepath.Join(root.Dir(), foreign), 65534, 65534); err != nil {
				t.Fatal(err)
			}
			r := apply(t, root)
			if !strings.Contains(strings.Join(r.Warnings, "\n"), "/"+foreign) {
				t.Errorf("warnings %q", r.Warnings)
			}
			copied := 0
			for _, secret := range []string{"etc/1", "var/sasl/2", "etc/3", "etc/4"} {
				if slices.Contains(r.Changed, secret) {
					copied++
				}
			}
			if copied != 3 {
				t.Errorf("what somebody else chose was copied, or too little: %q", r.Changed)
			}
		})
	}
}

// FuzzSettings shows that no text ends in a panic or goes on for ever, and that no warning quotes it.
func FuzzSettings(f *testing.F) {
	for _, text := range understood {
		f.Add([]byte(text))
	}
	f.Add([]byte("x=$((1<<-1)) ${x%%[} ${x:?} `x` $(x) {1..99}\n"))
	plain := regexp.MustCompile(`^(/etc/default/postfix:\d+: |cannot read /etc/default/postfix)[a-zA-Z0-9 ,.:"]*$`)
	f.Fuzz(func(t *testing.T, text []byte) {
		if bytes.Contains(text, []byte(".")) || bytes.ContainsAny(text, "*?[") {
			t.Skip("other files and patterns are the host's, not the text's")
		}
		root, err := sysroot.Open("/")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range evaluate(t, root, string(text)).warns {
			if !plain.MatchString(w) {
				t.Errorf("it says %q", w)
			}
		}
	})
}
