package adopt

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// project is the top of the source tree, which is a layer as the installed one is.
const project = "../.."

var maintainerScripts = []string{"config", "preinst", "postinst", "prerm", "postrm"}

func TestProjectHasEveryFileOfTheLayerAndInstallsIt(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile(filepath.Join(project, "debian/postfix-maint.install"))
	must(t, err)
	installs := func(name string) bool {
		for _, line := range strings.Split(string(list), "\n") {
			if f := strings.Fields(line); len(f) == 2 && f[1] == strings.TrimPrefix(DefaultLayer, "/")+"/"+filepath.Dir(name) {
				if ok, _ := filepath.Match(f[0], name); ok {
					return true
				}
			}
		}
		return false
	}
	var units []string
	for _, kind := range []string{"service", "path", "timer", "target", "socket"} {
		found, err := filepath.Glob(filepath.Join(project, "systemd/*."+kind))
		must(t, err)
		units = append(units, found...)
	}
	for _, rel := range releases() {
		lay, err := readLayer(project, rel)
		if err != nil {
			t.Errorf("%s: %v", rel.name, err)
			continue
		}
		for name := range lay.data {
			if !installs(name) {
				t.Errorf("%s is not in postfix-maint.install", name)
			}
		}
		for _, unit := range units {
			if strings.HasPrefix(filepath.Base(unit), "postfix-oauth-relay@") {
				continue // in postfix-maint itself
			}
			if name := "systemd/" + filepath.Base(unit); lay.data[name] == nil {
				t.Errorf("%s: no item of the layer puts %s into the package", rel.name, name)
			}
		}
	}
	if !installs("debian/changelog") {
		t.Error("debian/changelog is not in postfix-maint.install: the installed layer has no version")
	}
}

func TestMaintainerScriptsAreShort(t *testing.T) {
	t.Parallel()
	for _, name := range maintainerScripts {
		text, err := os.ReadFile(filepath.Join(project, "debian/postfix."+name))
		must(t, err)
		if n := strings.Count(string(text), "\n"); n > 60 {
			t.Errorf("%s has %d lines, more than 60", name, n)
		}
		if !strings.HasPrefix(string(text), "#!/bin/sh\n") {
			t.Errorf("%s is no script of sh", name)
		}
		needs := name == "config" || name == "postinst" || name == "postrm"
		if strings.Contains(string(text), ". /usr/share/debconf/confmodule") != needs {
			t.Errorf("%s reads debconf's library: %v, want %v", name, !needs, needs)
		}
	}
}

func TestShellcheckIsContent(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("shellcheck"); err != nil {
		t.Skip("shellcheck is not installed")
	}
	args := []string{"--shell=sh", filepath.Join(project, "debian/postfix.functions")}
	for _, name := range maintainerScripts {
		args = append(args, filepath.Join(project, "debian/postfix."+name))
	}
	for _, name := range []string{"make-debs", "check-reproducible", "tests/adopt", "postfix-maint.postrm"} {
		args = append(args, filepath.Join(project, "debian", name))
	}
	if out, err := exec.Command("shellcheck", args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// host is a system tree for a maintainer script, and the programs that it may call, which only note how they were called.
type host struct {
	root, bin string
}

// newHost lays out files, "/" at the end for a directory, and makes stand-ins for programs that must not run here.
func newHost(t *testing.T, files map[string]string) host {
	t.Helper()
	h := host{root: t.TempDir(), bin: t.TempDir()}
	for name, text := range files {
		p := filepath.Join(h.root, name)
		must(t, os.MkdirAll(filepath.Dir(p), 0o755))
		if strings.HasSuffix(name, "/") {
			must(t, os.MkdirAll(p, 0o755))
		} else if target, link := strings.CutPrefix(text, "-> "); link {
			must(t, os.Symlink(target, p))
		} else {
			must(t, os.WriteFile(p, []byte(text), 0o644))
		}
	}
	for _, name := range []string{"update-rc.d", "deb-systemd-helper", "deb-systemd-invoke", "invoke-rc.d", "systemctl", "dpkg-trigger", "newaliases"} {
		h.program(t, h.bin, name, "")
	}
	h.program(t, h.bin, "dpkg-statoverride", `[ "$1" != --list ] || cat "$DPKG_ROOT/statoverride" 2>/dev/null`)
	return h
}

// program makes a stand-in that notes its call and then runs a line of sh.
func (h host) program(t *testing.T, dir, name, then string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "#!/bin/sh\necho \"%s $*\" >> '%s/calls'\n%s\n", name, h.bin, then), 0o755))
}

// sh runs a script with DPKG_ROOT set; stdin has debconf's replies, its commands go nowhere.
func (h host) sh(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	must(t, err)
	defer null.Close()
	cmd := exec.Command("sh", args...)
	// The last two keep debconf's library from starting a frontend on this machine's database.
	cmd.Env = []string{"PATH=" + h.bin + ":/usr/sbin:/usr/bin:/sbin:/bin", "DPKG_ROOT=" + h.root, "DEBIAN_HAS_FRONTEND=1", "DEBCONF_REDIR=1"}
	cmd.ExtraFiles = []*os.File{null}
	cmd.Stdin = strings.NewReader(strings.Repeat("0\n", 20))
	cmd.Dir = h.root
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// script runs a maintainer script that must succeed, and returns what it said.
func (h host) script(t *testing.T, name string, args ...string) string {
	t.Helper()
	abs, err := filepath.Abs(filepath.Join(project, "debian", name))
	must(t, err)
	out, err := h.sh(t, append([]string{abs}, args...)...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

func (h host) calls() string {
	data, _ := os.ReadFile(filepath.Join(h.bin, "calls"))
	return string(data)
}

// left lists what is in the tree, directories with "/".
func (h host) left(t *testing.T) []string {
	t.Helper()
	var names []string
	must(t, filepath.WalkDir(h.root, func(p string, d fs.DirEntry, err error) error {
		if p == h.root || err != nil {
			return err
		}
		name := strings.TrimPrefix(p, h.root+"/")
		if d.IsDir() {
			name += "/"
		}
		names = append(names, name)
		return nil
	}))
	slices.Sort(names)
	return names
}

func TestPreinst(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files    map[string]string
		args     []string
		want     []string
		unpacked string
	}{
		"the first installation is marked, so that the service is started": {
			args: []string{"install"},
			want: []string{"var/", "var/lib/", "var/lib/postfix-maint/", "var/lib/postfix-maint/installing", "var/spool/", "var/spool/postfix/"},
		},
		"an installation forgets what was unpacked before the removal": {
			files: map[string]string{"var/lib/postfix-maint/unpacked": "3.7.11-1+a1 3.7.11-2+a1\n"},
			args:  []string{"install", "3.7.11-1+a1", "3.7.11-2+a1"},
			want:  []string{"var/", "var/lib/", "var/lib/postfix-maint/", "var/lib/postfix-maint/installing", "var/spool/", "var/spool/postfix/"},
		},
		"an upgrade, and so dpkg-reconfigure, marks nothing": {
			files: map[string]string{"etc/postfix/main.cf.proto": "x", "usr/share/postfix/main.cf.dist": "x"},
			args:  []string{"upgrade", "3.7.11-0+deb12u1"},
			want: []string{"etc/", "etc/postfix/", "etc/postfix/main.cf.proto", "usr/", "usr/share/", "usr/share/postfix/",
				"usr/share/postfix/main.cf.dist", "var/", "var/spool/", "var/spool/postfix/"},
		},
		"an upgrade of ours notes what is unpacked, each time": {
			files: map[string]string{"var/lib/postfix-maint/applied.json": "{}"},
			args:  []string{"upgrade", "3.7.11-1+a1", "3.7.11-2+a1"},
			want: []string{"var/", "var/lib/", "var/lib/postfix-maint/", "var/lib/postfix-maint/applied.json", "var/lib/postfix-maint/unpacked",
				"var/spool/", "var/spool/postfix/"},
			unpacked: "3.7.11-1+a1 3.7.11-2+a1\n3.7.11-1+a1 3.7.11-2+a1\n",
		},
		"an untouched copy makes room for Debian 13's conffile, an edited one stays": {
			files: map[string]string{
				"etc/postfix/main.cf.proto": "x", "usr/share/postfix/main.cf.dist": "x",
				"etc/postfix/master.cf.proto": "edited", "usr/share/postfix/master.cf.dist": "y",
			},
			args: []string{"upgrade", "3.7.11-0+deb12u1+maint1", "3.10.13-0+deb13u1+maint1"},
			want: []string{"etc/", "etc/postfix/", "etc/postfix/master.cf.proto", "usr/", "usr/share/", "usr/share/postfix/",
				"usr/share/postfix/main.cf.dist", "usr/share/postfix/master.cf.dist", "var/", "var/spool/", "var/spool/postfix/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, tc.files)
			for range 2 {
				h.script(t, "postfix.preinst", tc.args...)
				if d := cmp.Diff(tc.want, h.left(t)); d != "" {
					t.Errorf("tree (-want +got):\n%s", d)
				}
			}
			if c := h.calls(); c != "" {
				t.Errorf("programs were called: %s", c)
			}
			if text, _ := os.ReadFile(filepath.Join(h.root, "var/lib/postfix-maint/unpacked")); string(text) != tc.unpacked {
				t.Errorf("unpacked: %q, want %q", text, tc.unpacked)
			}
		})
	}
}

// On a full disk the line of one unpacking may be missing: then those before it must not speak for it.
func TestPreinstOnAFullDisk(t *testing.T) {
	t.Parallel()
	h := newHost(t, map[string]string{"var/lib/postfix-maint/unpacked": "3.7.11-1+a1 3.7.11-2+a1\n", "var/spool/postfix/": ""})
	cmd := exec.Command("/bin/sh", "-c", `trap "" XFSZ; ulimit -f 0; exec /bin/sh "$@"`, "sh", filepath.Join(project, "debian/postfix.preinst"),
		"upgrade", "3.7.11-2+a1", "3.7.11-3+a1")
	cmd.Env = append(os.Environ(), "DPKG_ROOT="+h.root)
	if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
		t.Errorf("preinst: %v: %s", err, said)
	}
	if text, err := os.ReadFile(filepath.Join(h.root, "var/lib/postfix-maint/unpacked")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("unpacked says %q, %v", text, err)
	}
}

// dpkg-reconfigure writes debconf's database before a script without this word in it, and reads it again after. What has the word gets
// debconf's ear for its standard output, so there it says nothing.
func TestReconfigureKeepsTheDatabaseOpen(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"postfix.prerm upgrade 3.7.11-1", "postfix.preinst upgrade 3.7.11-1"} {
		f := strings.Fields(call)
		text, err := os.ReadFile(filepath.Join(project, "debian", f[0]))
		must(t, err)
		if !strings.Contains(strings.ToLower(string(text)), "confmodule") {
			t.Errorf("%s does not have the word confmodule", f[0])
		}
		h := newHost(t, nil)
		h.program(t, h.bin, "dpkg", "") // not needed: dpkg-reconfigure names one version only
		if said := h.script(t, f[0], f[1:]...); said != "" {
			t.Errorf("%s says %q", call, said)
		}
		if c := h.calls(); c != "" {
			t.Errorf("%s runs %s", call, c)
		}
	}
}

func TestScriptsHandOverToTheProgram(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ script, args, want string }{
		"config":              {"postfix.config", "configure 3.7.11-1", "postfix-maint config configure 3.7.11-1\n"},
		"postinst":            {"postfix.postinst", "configure 3.7.11-1", "postfix-maint postinst configure 3.7.11-1\n"},
		"postinst, triggered": {"postfix.postinst", "triggered postfix-maint-restart", "postfix-maint postinst triggered postfix-maint-restart\n"},
		"prerm":               {"postfix.prerm", "remove in-favour exim4 4.96", "postfix-maint prerm remove in-favour exim4 4.96\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat("/usr/share/debconf/confmodule"); err != nil && !strings.HasPrefix(tc.script, "postfix.prerm") {
				t.Skip("debconf is not installed")
			}
			h := newHost(t, nil)
			h.program(t, filepath.Join(h.root, "usr/sbin"), "postfix-maint", "")
			h.script(t, tc.script, strings.Fields(tc.args)...)
			if got := h.calls(); got != tc.want {
				t.Errorf("called %q, want %q", got, tc.want)
			}
		})
	}
}

func TestScriptsWithoutTheProgram(t *testing.T) {
	t.Parallel()
	for _, call := range []string{
		"config configure", "postinst abort-upgrade 3.7.11-1", "postinst abort-remove", "postinst abort-deconfigure in-favour a 1",
		"prerm upgrade 3.7.11-1", "prerm remove", "prerm failed-upgrade 3.7.11-1", "prerm deconfigure in-favour a 1",
	} {
		h := newHost(t, nil)
		f := strings.Fields(call)
		h.script(t, "postfix."+f[0], f[1:]...)
		if c := h.calls(); c != "" {
			t.Errorf("%s: programs were called in spite of DPKG_ROOT: %s", call, c)
		}
	}
	abs, err := filepath.Abs(filepath.Join(project, "debian/postfix.postinst"))
	must(t, err)
	if out, err := newHost(t, nil).sh(t, abs, "triggered", "postfix-maint-restart"); err == nil {
		t.Errorf("postinst says nothing of the missing program: %s", out)
	}
}

func TestRemove(t *testing.T) {
	t.Parallel()
	keep := map[string]string{"var/spool/postfix/maildrop/A1": "mail", "etc/postfix/main.cf": "", "etc/init.d/postfix": "#!/bin/sh\n"}
	for name, tc := range map[string]struct{ override, want string }{
		"our override is taken back (G06)":          {"root postdrop 2555 /usr/sbin/postdrop", "dpkg-statoverride --quiet --remove /usr/sbin/postdrop"},
		"an administrator's override is not":        {"root mail 2755 /usr/sbin/postdrop", ""},
		"with other rights but our group it is not": {"root postdrop 555 /usr/sbin/postdrop", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(keep)
			files["statoverride"] = tc.override
			h := newHost(t, files)
			must(t, os.Chmod(filepath.Join(h.root, "etc/init.d/postfix"), 0o755))
			before := h.left(t)
			h.script(t, "postfix.postrm", "remove")
			if d := cmp.Diff(before, h.left(t)); d != "" {
				t.Errorf("files were touched (-before +after):\n%s", d)
			}
			removed := ""
			for _, line := range strings.Split(h.calls(), "\n") {
				if !strings.Contains(line, "--list") && line != "" {
					removed = line
				}
			}
			if removed != tc.want {
				t.Errorf("called %q, want %q", removed, tc.want)
			}
			if fi, err := os.Stat(filepath.Join(h.root, "etc/init.d/postfix")); err != nil || fi.Mode()&0o111 != 0 {
				t.Errorf("init script: %v, %v: want it not executable", fi.Mode(), err)
			}
		})
	}
}

// The files of the syslog daemons go although our program is gone: on a removal, and when Debian's own package takes the place of ours.
func TestSocketsGoWithoutOurProgram(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"remove", "upgrade 3.7.11-2"} {
		h := newHost(t, map[string]string{"etc/rsyslog.d/postfix.conf": "#\n", "etc/syslog-ng/conf.d/own.conf": ""})
		before := h.left(t)
		for _, dir := range []string{"etc/rsyslog.d", "etc/syslog-ng/conf.d"} {
			must(t, os.WriteFile(filepath.Join(h.root, dir, "postfix-maint.conf"), nil, 0o644))
		}
		h.script(t, "postfix.postrm", strings.Fields(call)...)
		if d := cmp.Diff(before, h.left(t)); d != "" {
			t.Errorf("%s (-before +after):\n%s", call, d)
		}
	}
}

func TestPurge(t *testing.T) {
	t.Parallel()
	own := []string{
		"var/spool/postfix/active/", "var/spool/postfix/dev/log", "var/spool/postfix/pid/master.pid", "var/spool/postfix/private/", "var/spool/postfix/deferred/A/",
		"var/lib/postfix/master.lock", "var/lib/postfix/smtp_scache.db", "var/lib/postfix-maint/applied.json", "var/lib/postfix-maint/.tmp1",
		"etc/postfix/main.cf", "etc/postfix/master.cf", "etc/postfix/dynamicmaps.cf", "etc/postfix/main.cf.proto", "etc/postfix/sasl/",
	}
	for name, tc := range map[string]struct {
		foreign []string
		text    map[string]string
		say     string
		want    []string
	}{
		"all of Postfix's and ours goes": {},
		"further instances stay with their mail, and are named; our links go": {
			text: map[string]string{
				"etc/postfix/main.cf":   "multi_instance_directories = /srv/a,\n\t/etc/postfix-b\n# c\nmulti_instance_enable = yes\n",
				"srv/a/main.cf":         "queue_directory = /srv/q\n",
				"etc/postfix-b/main.cf": "x = y\nqueue_directory=/none\n",
				"srv/q/deferred/D/D1":   "mail",
				"etc/postfix-c/notes":   "no instance",
				"etc/systemd/system/postfix.service.wants/postfix@a.service":    "-> /lib/systemd/system/postfix@.service",
				"etc/systemd/system/multi-user.target.wants/postfix@b.service":  "-> /usr/lib/systemd/system/postfix@.service",
				"etc/systemd/system/multi-user.target.wants/postfix@my.service": "-> /etc/systemd/system/postfix@my.service",
			},
			say: "the instance in ROOT/srv/a is kept, with its queue in ROOT/srv/q (messages: 1)",
			want: []string{"etc/", "etc/postfix-b/", "etc/postfix-b/main.cf", "etc/postfix-c/", "etc/postfix-c/notes", "etc/systemd/", "etc/systemd/system/",
				"etc/systemd/system/multi-user.target.wants/", "etc/systemd/system/multi-user.target.wants/postfix@my.service",
				"srv/", "srv/a/", "srv/a/main.cf", "srv/q/", "srv/q/deferred/", "srv/q/deferred/D/", "srv/q/deferred/D/D1", "var/", "var/lib/", "var/spool/"},
		},
		"keys, tables and drop-ins stay (G02, G04)": {
			foreign: []string{"etc/postfix/dkim.key", "etc/postfix/sasl/smtpd.conf", "etc/systemd/system/postfix.service.d/x.conf", "etc/aliases", "etc/mailname"},
			want: []string{"etc/", "etc/aliases", "etc/mailname", "etc/postfix/", "etc/postfix/dkim.key", "etc/postfix/sasl/", "etc/postfix/sasl/smtpd.conf",
				"etc/systemd/", "etc/systemd/system/", "etc/systemd/system/postfix.service.d/", "etc/systemd/system/postfix.service.d/x.conf", "var/", "var/lib/", "var/spool/"},
		},
		"files an administrator put into the queue directory stay (C03)": {
			foreign: []string{"var/spool/postfix/etc/sasldb2", "var/lib/postfix/notes"},
			want: []string{"etc/", "var/", "var/lib/", "var/lib/postfix/", "var/lib/postfix/notes", "var/spool/", "var/spool/postfix/", "var/spool/postfix/etc/",
				"var/spool/postfix/etc/sasldb2"},
		},
		"queued mail keeps its queue, and it is said (G01)": {
			foreign: []string{"var/spool/postfix/deferred/A/A123", "var/spool/postfix/maildrop/B1"},
			say:     "is kept, mail is queued in it (messages: 2)",
			want: []string{"etc/", "var/", "var/lib/", "var/spool/", "var/spool/postfix/", "var/spool/postfix/active/", "var/spool/postfix/deferred/",
				"var/spool/postfix/deferred/A/", "var/spool/postfix/deferred/A/A123", "var/spool/postfix/dev/", "var/spool/postfix/dev/log", "var/spool/postfix/maildrop/", "var/spool/postfix/maildrop/B1",
				"var/spool/postfix/pid/", "var/spool/postfix/pid/master.pid", "var/spool/postfix/private/"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{}
			for _, f := range append(slices.Clone(own), tc.foreign...) {
				files[f] = ""
			}
			maps.Copy(files, tc.text)
			h := newHost(t, files)
			if tc.want == nil {
				tc.want = []string{"etc/", "var/", "var/lib/", "var/spool/"}
			}
			for n := range 2 {
				out := strings.ReplaceAll(h.script(t, "postfix.postrm", "purge"), h.root, "ROOT")
				if tc.text != nil && n == 0 && strings.Count(out, "ROOT/etc/postfix-b") != 1 {
					t.Errorf("one instance is not named once: %q", out)
				}
				if n == 1 && tc.text != nil {
					tc.say = "the instance in ROOT/etc/postfix-b is kept" // the list is gone with main.cf
				}
				if !strings.Contains(out, tc.say) || tc.say == "" && out != "" {
					t.Errorf("said %q, want %q", out, tc.say)
				}
				if d := cmp.Diff(tc.want, h.left(t)); d != "" {
					t.Errorf("tree (-want +got):\n%s", d)
				}
			}
			if c := h.calls(); !strings.Contains(c, "update-rc.d postfix remove") || !strings.Contains(c, "deb-systemd-helper purge postfix.service") {
				t.Errorf("programs called: %s", c)
			}
		})
	}
}

func TestPurgeNamesEveryQueue(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ main, other, want string }{
		"a queue that main.cf moved":         {main: "queue_directory = /srv/q\n", want: "the queue in ROOT/srv/q is kept (messages: 1)"},
		"moved, in a continued line":         {main: "queue_directory =\n# c\n  /srv/q\t\nx = y\n", want: "the queue in ROOT/srv/q is kept (messages: 1)"},
		"a blank behind an instance's queue": {other: "queue_directory = /srv/q \r\n", want: "with its queue in ROOT/srv/q (messages: 1)"},
		"Debian's own place":                 {main: "queue_directory = /var/spool/postfix/\n"},
		"a place that is gone":               {main: "queue_directory = /none\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := map[string]string{"etc/postfix/main.cf": tc.main, "srv/q/deferred/D/D1": "mail", "var/spool/postfix/pid/": ""}
			if tc.other != "" {
				files["etc/postfix-b/main.cf"] = tc.other
			}
			h := newHost(t, files)
			out := strings.ReplaceAll(h.script(t, "postfix.postrm", "purge"), h.root, "ROOT")
			if !strings.Contains(out, tc.want) || tc.want == "" && out != "" {
				t.Errorf("said %q, want %q", out, tc.want)
			}
			if left := h.left(t); !slices.Contains(left, "srv/q/deferred/D/D1") || slices.Contains(left, "var/spool/postfix/") {
				t.Errorf("left: %q", left)
			}
		})
	}
}

func TestPurgeGoesThroughNoMount(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	h := newHost(t, map[string]string{"certs/ca.pem": "", "var/spool/postfix/pid/master.pid": "", "var/spool/postfix/public/certs/": ""})
	at := filepath.Join(h.root, "var/spool/postfix/public/certs")
	abs, err := filepath.Abs(filepath.Join(project, "debian/postfix.postrm"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(h.bin, "run"), fmt.Appendf(nil, "mount --bind %s/certs %s && exec sh %s purge", h.root, at, abs), 0o644))
	out, err := h.sh(t, "-c", "exec unshare --mount sh "+h.bin+"/run")
	if err != nil && strings.Contains(out, "unshare") {
		t.Skipf("mounting is not possible here: %s", out)
	}
	if _, err := os.Stat(filepath.Join(h.root, "certs/ca.pem")); err != nil || !strings.Contains(out, "something is mounted in it") {
		t.Errorf("the mounted directory: %v; said %q", err, out)
	}
}

func TestOtherCallsOfPostrmDoNothing(t *testing.T) {
	t.Parallel()
	for _, call := range []string{"upgrade 3.7.11-2", "failed-upgrade 3.7.11-1", "abort-install", "abort-upgrade 3.7.11-1", "disappear other 1"} {
		h := newHost(t, map[string]string{"etc/postfix/main.cf": "", "var/lib/postfix-maint/applied.json": ""})
		before := h.left(t)
		h.script(t, "postfix.postrm", strings.Fields(call)...)
		if d := cmp.Diff(before, h.left(t)); d != "" || h.calls() != "" {
			t.Errorf("%s: called %q, tree (-before +after):\n%s", call, h.calls(), d)
		}
	}
}
