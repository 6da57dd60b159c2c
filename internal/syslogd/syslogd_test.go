package syslogd

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

const (
	queue = "/var/spool/postfix"
	other = "/var/spool/postfix-out"
	ours  = "etc/rsyslog.d/postfix-maint.conf"
	inet  = "etc/default/inetutils-syslogd"
	bbox  = "etc/default/busybox-syslogd"
)

// shipped is the kind of text that the package's conffile has; TestConffile looks at the text itself.
const shipped = "# the socket is in postfix-maint.conf\n"

// hosts by their syslog daemon.
var (
	withRsyslog = map[string]string{
		"usr/sbin/rsyslogd": "x", "etc/rsyslog.conf": "module(load=\"imuxsock\")\n",
		"etc/rsyslog.d/postfix.conf": shipped,
	}
	withSyslogNG  = map[string]string{"usr/sbin/syslog-ng": "x", "etc/syslog-ng/syslog-ng.conf": "@version: 3.38\n", "etc/syslog-ng/conf.d/": ""}
	withInetutils = map[string]string{"usr/sbin/syslogd": "x", inet: "#\n# options\nSYSLOGD_OPTS=\"--no-forward\"\n"}
	withBusybox   = map[string]string{
		"usr/sbin/syslogd": "-> ../../bin/busybox", "bin/busybox": "x", inet: "SYSLOGD_OPTS=\"--no-forward\"\n", bbox: "SYSLOG_OPTS=\"-C128\"\n",
	}
)

func lay(t *testing.T, files map[string]string) *sysroot.Root {
	t.Helper()
	files = maps.Clone(files)
	files["etc/"], files["run/"], files["var/spool/postfix/"], files["var/spool/postfix-out/"] = "", "", "", ""
	return sysroottest.New(t, files)
}

// sync applies, and gives which daemons were restarted.
func sync(t *testing.T, root *sysroot.Root, queues ...string) (restarted []string, warnings []string) {
	t.Helper()
	sysroottest.NeedsRoot(t)
	h := Host{Root: root, Restart: func(_ context.Context, service string) error {
		restarted = append(restarted, service)
		return nil
	}}
	p, err := h.NewPlan(queues)
	if err == nil {
		err = p.Apply(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return restarted, p.Warnings
}

// Each daemon learns of the sockets, is restarted once, left alone the second time, and has its own configuration back at the end.
func TestSync(t *testing.T) {
	for name, c := range map[string]struct {
		files   map[string]string
		service string
		path    string
		want    []string // in the file
	}{
		"rsyslog": {
			files: withRsyslog, service: "rsyslog", path: ours,
			want: []string{`Socket="/var/spool/postfix-out/dev/log"`, `Socket="/var/spool/postfix/dev/log"`},
		},
		"syslog-ng": {
			files: withSyslogNG, service: "syslog-ng", path: "etc/syslog-ng/conf.d/postfix-maint.conf",
			want: []string{`unix-dgram("/var/spool/postfix-out/dev/log");`, `unix-dgram("/var/spool/postfix/dev/log");`},
		},
		"inetutils": {
			files: withInetutils, service: "inetutils-syslogd", path: inet,
			want: []string{"\nSYSLOGD_OPTS=\"--no-forward -a /var/spool/postfix-out/dev/log -a /var/spool/postfix/dev/log\"\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, c.files)
			before := sysroottest.Dump(t, root.Dir(), false)
			if restarted, warnings := sync(t, root, queue, other); !cmp.Equal(restarted, []string{c.service}) || warnings != nil {
				t.Errorf("restarted %q, warnings %q", restarted, warnings)
			}
			text, err := root.ReadFile("/" + c.path)
			for _, want := range c.want {
				if err != nil || !strings.Contains(string(text), want) {
					t.Errorf("%v, want %q in:\n%s", err, want, text)
				}
			}
			if ok, err := root.Exists(other + "/dev"); !ok {
				t.Errorf("no directory for the socket: %v", err)
			}
			after := sysroottest.Dump(t, root.Dir(), true)
			if restarted, _ := sync(t, root, other, queue); restarted != nil || !cmp.Equal(after, sysroottest.Dump(t, root.Dir(), true)) {
				t.Errorf("a second run is not idle: restarted %q", restarted)
			}
			if restarted, _ := sync(t, root); !cmp.Equal(restarted, []string{c.service}) {
				t.Errorf("removal: restarted %q", restarted)
			}
			for _, q := range []string{queue, other} {
				if err := (Host{Root: root}).Leave(q); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(before, sysroottest.Dump(t, root.Dir(), false)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}

// The package's conffile names nothing to rsyslogd: nobody may have looked at the directory when rsyslogd reads it.
func TestConffile(t *testing.T) {
	text, err := os.ReadFile("../../rsyslog/postfix.conf")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			t.Errorf("line %q is no comment", line)
		}
	}
}

// The primary instance's socket is named once: by us, unless somebody else's file of the directory names it.
func TestWhoNamesTheSocket(t *testing.T) {
	const conffile = "etc/rsyslog.d/postfix.conf"
	for name, c := range map[string]struct {
		files  map[string]string // "" takes one away
		theirs bool
		none   bool
	}{
		"our conffile":                        {files: map[string]string{conffile: shipped}},
		"a conffile edited in its comments":   {files: map[string]string{conffile: shipped + "# by hand\n"}},
		"no conffile":                         {files: map[string]string{conffile: ""}},
		"an earlier version's, edited":        {files: map[string]string{conffile: "input(type=\"imuxsock\" Socket=\"" + queue + "/dev/log\")\n# by hand\n"}, theirs: true},
		"the same, switched off":              {files: map[string]string{conffile: "#input(type=\"imuxsock\" Socket=\"" + queue + "/dev/log\")\n"}},
		"Debian's":                            {files: map[string]string{conffile: "$AddUnixListenSocket " + queue + "/dev/log\n"}, theirs: true},
		"what dpkg put aside is not read":     {files: map[string]string{conffile + ".dpkg-old": "$AddUnixListenSocket " + queue + "/dev/log\n"}},
		"rsyslog.conf":                        {files: map[string]string{"etc/rsyslog.conf": "$AddUnixListenSocket " + queue + "/dev/log\n"}, theirs: true},
		"another's socket":                    {files: map[string]string{"etc/rsyslog.d/a.conf": "$AddUnixListenSocket " + other + "/dev/log\n"}},
		"a link to nothing beside, a folder":  {files: map[string]string{"etc/rsyslog.d/a.conf": "-> /none", "etc/rsyslog.d/b.conf/x": ""}},
		"rsyslog is unpacked, not configured": {files: map[string]string{"etc/rsyslog.conf": "", "etc/rsyslog.conf.dpkg-new": "x"}},
		"rsyslog was removed, not purged":     {files: map[string]string{"usr/sbin/rsyslogd": ""}, none: true},
		"no rsyslog":                          {files: map[string]string{"usr/sbin/rsyslogd": "", "etc/rsyslog.conf": ""}, none: true},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(withRsyslog)
			files["etc/rsyslog.d/"] = ""
			for name, text := range c.files {
				if files[name] = text; text == "" && !strings.HasSuffix(name, "/x") {
					delete(files, name)
				}
			}
			root := lay(t, files)
			restarted, warnings := sync(t, root, queue)
			text, _ := root.ReadFile("/" + ours)
			if named := strings.Contains(string(text), `"`+queue+`/dev/log"`); named == (c.theirs || c.none) || (restarted != nil) != named || warnings != nil {
				t.Errorf("restarted %q, warnings %q, our file says %q", restarted, warnings, text)
			}
			// Somebody names it by hand, and takes that back.
			hand := filepath.Join(root.Dir(), "etc/rsyslog.d/hand.conf")
			if err := os.WriteFile(hand, []byte("$AddUnixListenSocket "+queue+"/dev/log\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			sync(t, root, queue)
			if ok, _ := root.Exists("/" + ours); ok {
				t.Error("there are two of one name")
			}
			if err := os.Remove(hand); err != nil {
				t.Fatal(err)
			}
			sync(t, root, queue)
			if back, _ := root.ReadFile("/" + ours); string(back) != string(text) {
				t.Errorf("then it says %q, before %q", back, text)
			}
		})
	}
}

// Where the chroot has the host's own /dev nothing is needed, and rsyslogd would remove the host's socket.
func TestTheHostsOwnSocket(t *testing.T) {
	files := maps.Clone(withRsyslog)
	files["dev/log"] = "-> /run/systemd/journal/dev-log"
	root := lay(t, files)
	if restarted, _ := sync(t, root, queue); restarted == nil {
		t.Error("the socket is not named at first")
	}
	if err := errors.Join(os.Remove(filepath.Join(root.Dir(), queue, "dev")), os.Symlink("/dev", filepath.Join(root.Dir(), queue, "dev"))); err != nil {
		t.Fatal(err)
	}
	if restarted, warnings := sync(t, root, queue); restarted == nil || warnings != nil || (Host{Root: root}).Named() != nil {
		t.Errorf("restarted %q, warnings %q", restarted, warnings)
	}
}

// What the daemons were told is read back from our files, and from nobody else's.
func TestNamed(t *testing.T) {
	inetutils := maps.Clone(withInetutils)
	inetutils[inet] = "SYSLOGD_OPTS=\"-a /srv/x/dev/log\"\n"
	for name, files := range map[string]map[string]string{"rsyslog": withRsyslog, "syslog-ng": withSyslogNG, "inetutils": inetutils, "busybox": withBusybox} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, files)
			if got := (Host{Root: root}).Named(); got != nil {
				t.Errorf("at first %q", got)
			}
			queues := []string{queue, other}
			if name == "busybox" {
				queues = queues[:1]
			}
			sync(t, root, queues...)
			got := Host{Root: root}.Named()
			if slices.Sort(got); !cmp.Equal(got, queues) && name != "inetutils" || !slices.Contains(got, queue) {
				t.Errorf("got %q, want %q", got, queues)
			}
			sync(t, root)
			if got := (Host{Root: root}).Named(); got != nil {
				t.Errorf("at the end %q", got)
			}
		})
	}
}

// A socket that the daemon was told of and did not make is missed (L02).
func TestSilent(t *testing.T) {
	root := lay(t, withRsyslog)
	sync(t, root, queue, other)
	p, err := Host{Root: root}.NewPlan([]string{queue, other})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Silent(); !cmp.Equal(got, []string{queue + "/dev/log", other + "/dev/log"}) {
		t.Errorf("missed %q", got)
	}
}

// Busybox's one socket moves into the first chroot, and /dev/log leads there; both are undone.
func TestBusybox(t *testing.T) {
	files := maps.Clone(withBusybox)
	files["dev/"], files["run/systemd/system/"] = "", ""
	root := lay(t, files)
	before := sysroottest.Dump(t, root.Dir(), false)
	if restarted, warnings := sync(t, root, queue); !cmp.Equal(restarted, []string{"busybox-syslogd"}) || warnings != nil {
		t.Errorf("restarted %q, warnings %q", restarted, warnings)
	}
	text, _ := root.ReadFile("/" + bbox)
	if want := withBusybox[bbox] + begin + "\nln -sfn /var/spool/postfix/dev/log /dev/log\n" + end; string(text) != want {
		t.Errorf("it has:\n%s\nwant:\n%s", text, want)
	}
	if restarted, _ := sync(t, root, queue); restarted != nil {
		t.Errorf("a second run restarted %q", restarted)
	}
	if _, err := root.Symlink("/var/spool/postfix/dev/log", "/dev/log"); err != nil { // as the init script does
		t.Fatal(err)
	}
	sync(t, root)
	if target, err := root.Readlink("/dev/log"); target != "/run/systemd/journal/dev-log" {
		t.Errorf("/dev/log leads to %q: %v", target, err)
	}
	if _, err := root.Remove("/dev/log"); err != nil {
		t.Fatal(err)
	}
	if err := (Host{Root: root}).Leave(queue); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(before, sysroottest.Dump(t, root.Dir(), false)); diff != "" {
		t.Errorf("something is left (-before +after):\n%s", diff)
	}
}

// Where only the journal logs, and where it feeds busybox, nothing is done.
func TestNothing(t *testing.T) {
	fed := maps.Clone(withBusybox)
	fed["usr/lib/systemd/system/busybox-syslogd.service"], fed["run/systemd/system/"] = "[Unit]\n", ""
	for name, files := range map[string]map[string]string{"journal": {}, "busybox": fed} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, files)
			before := sysroottest.Dump(t, root.Dir(), true)
			if restarted, warnings := sync(t, root, queue, other); restarted != nil || warnings != nil {
				t.Errorf("restarted %q, warnings %q", restarted, warnings)
			}
			if diff := cmp.Diff(before, sysroottest.Dump(t, root.Dir(), true)); diff != "" {
				t.Errorf("changed (-before +after):\n%s", diff)
			}
		})
	}
}

// Another daemon takes over: the one that went has its configuration back, whatever of it is still there.
func TestChangeOfDaemon(t *testing.T) {
	root := lay(t, withInetutils)
	sync(t, root, queue)
	if _, err := root.Remove("/usr/sbin/syslogd"); err != nil {
		t.Fatal(err)
	}
	for name, text := range withRsyslog {
		if _, err := root.MkdirAll("/etc/rsyslog.d", sysroot.Attr{}); err != nil {
			t.Fatal(err)
		}
		if _, err := root.WriteFile("/"+name, []byte(text), sysroot.Attr{}); err != nil {
			t.Fatal(err)
		}
	}
	sync(t, root, queue, other)
	if text, _ := root.ReadFile("/" + inet); string(text) != withInetutils[inet] {
		t.Errorf("inetutils has:\n%s", text)
	}
	if ok, _ := root.Exists("/" + ours); !ok {
		t.Error("rsyslog was not told")
	}
}

// What was killed between the change and the restart, or whose time was up then, is made good by whoever comes next, once.
func TestRestartIsMadeGood(t *testing.T) {
	sysroottest.NeedsRoot(t)
	for name, files := range map[string]map[string]string{"rsyslog": withRsyslog, "syslog-ng": withSyslogNG, "inetutils": withInetutils} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, files)
			ctx, cancel := context.WithCancel(t.Context())
			var ended []string
			h := Host{Root: root, Restart: func(ctx context.Context, service string) error {
				ended = []string{service}
				cancel()
				return ctx.Err()
			}}
			p, err := h.NewPlan([]string{queue})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Apply(ctx); err == nil || ended == nil {
				t.Fatalf("restarted %q, error %v", ended, err)
			}
			after := sysroottest.Dump(t, root.Dir(), false)
			if p, err := (Host{Root: root}).NewPlan([]string{queue}); err != nil || len(p.Changes) > 0 {
				t.Errorf("where nothing can be restarted: %v to do, error %v", p.Changes, err)
			}
			if restarted, _ := sync(t, root, queue); !cmp.Equal(restarted, ended) {
				t.Errorf("restarted %q, want %q", restarted, ended)
			}
			delete(after, "run/postfix-maint.restart-"+ended[0])
			if diff := cmp.Diff(after, sysroottest.Dump(t, root.Dir(), false)); diff != "" {
				t.Errorf("more than a restart (-before +after):\n%s", diff)
			}
			if restarted, _ := sync(t, root, queue); restarted != nil {
				t.Errorf("once more: restarted %q", restarted)
			}
		})
	}
}

// A file that syslog-ng refuses is taken back, for with it syslog-ng would not start.
func TestRefusedFile(t *testing.T) {
	sysroottest.NeedsRoot(t)
	root := lay(t, withSyslogNG)
	h := Host{
		Root: root, Run: func(context.Context, string, ...string) error { return errors.New("syntax error") },
		Restart: func(context.Context, string) error { return errors.New("must not be restarted") },
	}
	p, err := h.NewPlan([]string{queue})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context()); err == nil || !strings.Contains(err.Error(), "syntax error") || strings.Contains(err.Error(), "restarted") {
		t.Errorf("error %v", err)
	}
	if ok, _ := root.Exists("/etc/syslog-ng/conf.d/postfix-maint.conf"); ok {
		t.Error("the file is still there")
	}
}

// The file of options keeps every byte and every wish of the administrator.
func TestOptions(t *testing.T) {
	marked := func(was, words string) string { return begin + was + "\nO=\"" + words + "\"\n" + end }
	for name, c := range map[string]struct {
		text    string
		sockets []string
		want    string
		err     string
	}{
		"no file":                {"", []string{"/q/dev/log"}, marked("", "-a /q/dev/log"), ""},
		"no line end":            {"O='-r'", []string{"/q/dev/log"}, "O='-r'\n" + marked("-r", "-r -a /q/dev/log"), ""},
		"the last one counts":    {"O=-x\n#O=-y\nO=\n", []string{"/q/dev/log"}, "O=-x\n#O=-y\nO=\n" + marked("", "-a /q/dev/log"), ""},
		"another socket":         {"O=-x\n" + marked("-x", "-x -a /q/dev/log"), []string{"/r/dev/log"}, "O=-x\n" + marked("-x", "-x -a /r/dev/log"), ""},
		"removal":                {"O=-x\n" + marked("-x", "-x -a /q/dev/log") + "# tail\n", nil, "O=-x\n# tail\n", ""},
		"nothing there":          {"O=-x\n", nil, "O=-x\n", ""},
		"changed above":          {"O=-z\n" + marked("-x", "-x -a /q/dev/log"), []string{"/q/dev/log"}, "O=-z\n" + marked("-z", "-z -a /q/dev/log"), ""},
		"added in our line":      {"O=-x\n" + marked("-x", "-x -v -a /q/dev/log"), []string{"/q/dev/log"}, "O=-x\n" + marked("-x", "-x -v -a /q/dev/log"), ""},
		"added, and we go":       {"O=-x\n" + marked("-x", "-x -v -a /q/dev/log"), nil, "O=-x\nO=\"-x -v\"\n", ""},
		"an expansion":           {"O=\"$X -r\"\n", []string{"/q/dev/log"}, "", "line 1 sets O"},
		"an addition":            {"O=-r\nO+=-x\n", []string{"/q/dev/log"}, "", "line 2 sets O"},
		"a mark that was broken": {begin + "\nO=-r\n", []string{"/q/dev/log"}, "", "has no end"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := setOptions(c.text, "O", c.sockets)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("error %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("%v, got:\n%s\nwant:\n%s", err, got, c.want)
			}
			if again, err := setOptions(got, "O", c.sockets); err != nil || again != got {
				t.Errorf("a second time: %v\n%s", err, again)
			}
		})
	}
}

// What cannot be done is said with what to do by hand; names that would break a configuration are never written.
func TestWarnings(t *testing.T) {
	files := maps.Clone(withInetutils)
	files[inet] = "SYSLOGD_OPTS=\"$MORE\"\n"
	root := lay(t, files)
	if restarted, warnings := sync(t, root, queue); restarted != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "-a /var/spool/postfix/dev/log") {
		t.Errorf("restarted %q, warnings %q", restarted, warnings)
	}
	root = lay(t, withBusybox)
	if _, warnings := sync(t, root, queue, other); len(warnings) != 1 || !strings.Contains(warnings[0], "without /var/spool/postfix-out/dev/log") {
		t.Errorf("warnings %q", warnings)
	}
	root = lay(t, withSyslogNG)
	if restarted, warnings := sync(t, root, "/var/spool/a\"b"); restarted != nil || len(warnings) != 1 {
		t.Errorf("restarted %q, warnings %q", restarted, warnings)
	}
}

// The files of options are people's: what somebody writes there between the plan and its moment stays.
func TestAnEditOfTheOptionsMeanwhileStays(t *testing.T) {
	sysroottest.NeedsRoot(t)
	for name, c := range map[string]struct {
		meanwhile, keeps string
		gets             bool // the socket
		refused          bool
	}{
		"another option":        {meanwhile: "SYSLOGD_OPTS=\"--no-forward --hop\"\n", keeps: "--no-forward --hop", gets: true},
		"the socket":            {meanwhile: "SYSLOGD_OPTS=\"-a /var/spool/postfix/dev/log\"\n", keeps: "SYSLOGD_OPTS=\"-a /var", gets: true},
		"what cannot be edited": {meanwhile: "SYSLOGD_OPTS='$(date)'\n", keeps: "SYSLOGD_OPTS='$(date)'\n", refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := lay(t, withInetutils)
			p, err := Host{Root: root}.NewPlan([]string{queue})
			if err != nil || len(p.Changes) != 1 {
				t.Fatalf("%+v, %v", p, err)
			}
			if err := os.WriteFile(filepath.Join(root.Dir(), inet), []byte(c.meanwhile), 0o644); err != nil {
				t.Fatal(err)
			}
			err = p.Apply(t.Context())
			got, readErr := root.ReadFile("/" + inet)
			if readErr != nil || (err != nil) != c.refused || !strings.Contains(string(got), c.keeps) ||
				strings.Contains(string(got), queue) != c.gets {
				t.Errorf("%v, %v; the file says %q", err, readErr, got)
			}
		})
	}
}
