package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/debconf/debconftest"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/syslogd"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// asDebconf is in the environment where this program is to be debconf-communicate(1).
const asDebconf = "POSTFIX_MAINT_TEST_DEBCONF"

// asCommand is there where it is to be itself.
const asCommand = "POSTFIX_MAINT_TEST_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(execute(context.Background(), append([]string{"postfix-maint"}, os.Args[1:]...), os.Stdout, os.Stderr))
	}
	if os.Getenv(asDebconf) == "" {
		os.Exit(m.Run())
	}
	f := debconftest.New(relayTemplates())
	f.Preseed(string(answers.MailerType), string(answers.InternetSite))
	err := f.Run(func(replies io.Reader, commands io.Writer) error {
		go func() { _, _ = io.Copy(os.Stdout, replies) }()
		_, err := io.Copy(commands, os.Stdin)
		return err
	})
	if err != nil {
		panic(err)
	}
}

// step is one call, and what it must end in and say.
type step struct {
	call string
	code int
	out  string // all of it, or a part behind "..."
	errs string // a part, "" for nothing
}

func needsRoot(t *testing.T) {
	t.Helper()
	sysroottest.NeedsRoot(t)
}

// walk runs calls one after the other on a tree, with stand-ins for the programs that are found by name. Commands for the running system alone take
// the tree for it.
func walk(t *testing.T, root *sysroot.Root, steps []step) {
	t.Helper()
	needsRoot(t)
	t.Setenv("DPKG_ROOT", root.Dir())
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, does := range map[string]string{"debconf-communicate": fmt.Sprintf("exec %q", self), "update-rc.d": ":"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+does+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	t.Setenv(asDebconf, "1")
	for _, s := range steps {
		code, out, errs := runOn(t, root, s.call)
		part, isPart := strings.CutPrefix(s.out, "...")
		if code != s.code || out != s.out && !(isPart && strings.Contains(out, part)) || !strings.Contains(errs, s.errs) || (errs == "") != (s.errs == "") {
			t.Errorf("%s: exit status %d, want %d; printed\n%sand\n%s", s.call, code, s.code, out, errs)
		}
	}
}

// runOn has a stand-in for Postfix's programs where a smarthost is looked after.
func runOn(t *testing.T, root *sysroot.Root, args string) (code int, out, errs string) {
	t.Helper()
	rows := table()
	for i := range rows {
		rows[i].who.host = ""
		if do := rows[i].do; do != nil {
			rows[i].do = func(ctx context.Context, c *call) error {
				c.programs = postfix{root}
				return do(ctx, c)
			}
		}
	}
	var stdout, stderr strings.Builder
	code = executeRows(t.Context(), rows, append([]string{"postfix-maint"}, strings.Fields(args)...), &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

const masterCF = "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\nlocal unix - n n - - local\n"

// twoInstances is a host with Postfix and a further instance.
func twoInstances(t *testing.T) *sysroot.Root {
	return sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level = 3.6\nmyhostname = a.example\nalias_maps =\n" +
			"multi_instance_directories = /etc/postfix-out\nmulti_instance_enable = yes\nmilter_protocol = 2\n",
		"etc/postfix/master.cf": masterCF,
		"etc/postfix-out/main.cf": "compatibility_level = 3.6\nmyhostname = o.example\nalias_maps =\nmulti_instance_name = postfix-out\n" +
			"queue_directory = /var/spool/postfix-out\ndata_directory = /var/lib/postfix-out\nmaster_service_disable = inet\n",
		"etc/postfix-out/master.cf": masterCF, "etc/postfix/dynamicmaps.cf": "# type\n", "usr/lib/postfix/postfix-pcre.so": "",
		"etc/hosts": "127.0.0.1 localhost\n", "dev/log": "", "run/": "", "var/spool/postfix/": "", "var/spool/postfix-out/": "",
		"etc/systemd/system/": "",
	})
}

func TestSandbox(t *testing.T) {
	root := twoInstances(t)
	walk(t, root, []step{
		{"sandbox status", 0, "sandbox profile: default\n", ""},
		{"sandbox default", 0, "sandbox profile: default\n", ""},
		{"sandbox strict --dry-run --detailed-exitcode", 3, "the sandbox profile would become strict\n", ""},
		{"sandbox status", 0, "sandbox profile: default\n", ""},
		{"sandbox strict --json", 0, "...\"changed\": true", ""},
		{"sandbox strict --detailed-exitcode", 0, "sandbox profile: strict\n", ""},
		{"sandbox status", 0, "sandbox profile: strict\n", ""},
		{"adopt --revert --dry-run --layer /none", 1, "postfix-maint: the sandbox profile would become default\n", "cannot ask apt"},
		{"sandbox default", 0, "sandbox profile: default\n", ""},
	})
	if there, err := root.Exists(paths.StrictDropInDir); there || err != nil {
		t.Errorf("an empty directory is left, %v", err)
	}
	own := filepath.Join(root.Dir(), paths.StrictDropIn)
	if err := os.MkdirAll(filepath.Dir(own), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own, []byte("[Service]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	walk(t, root, []step{
		{"sandbox strict", 1, "", "is not ours; move it away first"},
		{"sandbox status", 0, "sandbox profile: default\n", ""},
	})
}

func TestCheckConfigPrints(t *testing.T) {
	const diff = "--- /etc/postfix/main.cf\n+++ /etc/postfix/main.cf\n@@ -3,4 +3,3 @@\n alias_maps =\n" +
		" multi_instance_directories = /etc/postfix-out\n multi_instance_enable = yes\n-milter_protocol = 2\n"
	walk(t, twoInstances(t), []step{
		{"check-config", 0, "/etc/postfix/main.cf:6: milter_protocol = 2\n" +
			"    mail filters of today speak version 6 of the protocol; with a lower one they lose abilities or refuse to work\n" +
			"    instead: without milter_protocol\n    \"postfix-maint check-config --fix milter-protocol\" writes that\n", ""},
		{"check-config --json", 0, "...\"milter-protocol\"", ""},
		{"check-config --fix nonsense", 2, "", `there is no note "nonsense"`},
		{"check-config --fix milter-protocol --dry-run", 0, diff, ""},
		{"check-config --fix milter-protocol", 0, diff + "Postfix takes it up with \"systemctl reload postfix\"\n", ""},
		{"check-config", 0, "nothing is outdated\n", ""},
		{"check-config --json", 0, "{\n\t\"format\": 1,\n\t\"notes\": []\n}\n", ""},
		{"check-config --fix milter-protocol --detailed-exitcode", 0, "nothing to do\n", ""},
	})
}

func TestChrootCommands(t *testing.T) {
	const services = "chrooted  smtp/inet pickup/unix\noutside   local/unix\n"
	diff := func(path string, on bool) string {
		from, to := "-smtp inet n - y - - smtpd\n-pickup unix n - y 60 1 pickup\n", "+smtp inet n - n - - smtpd\n+pickup unix n - n 60 1 pickup\n"
		if on {
			from, to = strings.ReplaceAll(from, " y ", " n "), strings.ReplaceAll(to, " n - n ", " n - y ")
		}
		return "--- " + path + "\n+++ " + path + "\n@@ -1,3 +1,3 @@\n" + from + to + " local unix - n n - - local\n"
	}
	walk(t, twoInstances(t), []step{
		{"chroot status", 0, "instance - in /var/spool/postfix:\nchroot    on, /var/spool/postfix\n" + services +
			"instance postfix-out in /var/spool/postfix-out:\nchroot    on, /var/spool/postfix-out\n" + services, ""},
		{"chroot check - --json", 1, "...\"missing\": [\n\t\t\t\t\"etc/hosts\"", "a chroot is not in step with the host"},
		{"chroot sync --dry-run", 0, "instance - in /var/spool/postfix:\nwould update etc/hosts\n" +
			"instance postfix-out in /var/spool/postfix-out:\nwould update etc/hosts\n", "cannot work out the libraries"},
		{"chroot sync -", 0, "updated etc/hosts\n", "cannot work out the libraries"},
		{"chroot off --dry-run -", 0, diff("/etc/postfix/master.cf", false) + "would remove etc/hosts\n", ""},
		{"chroot off", 0, "instance - in /var/spool/postfix:\n" + diff("/etc/postfix/master.cf", false) + "removed etc/hosts\n" +
			"instance postfix-out in /var/spool/postfix-out:\n" + diff("/etc/postfix-out/master.cf", false), ""},
		{"chroot off --json", 0, "...\"switched\": []", ""},
		{"chroot status -", 0, "chroot    off, /var/spool/postfix\noutside   smtp/inet pickup/unix local/unix\n", ""},
		{"chroot on out", 0, diff("/etc/postfix-out/master.cf", true) + "updated etc/hosts\n", "cannot work out the libraries"},
		{"chroot on nonsense", 1, "", `cannot find instance "nonsense"`},
		{"chroot on nonsense --json", 1, "...\"instances\": [],", `cannot find instance "nonsense"`},
	})
}

func TestInstanceCommands(t *testing.T) {
	const noSystemd = "WARNING: systemd does not run this system"
	walk(t, twoInstances(t), []step{
		{"instance list", 0, "NAME         DIRECTORY         ENABLED  ACTIVE   LISTENS             QUEUE  CHROOT\n" +
			"-            /etc/postfix      yes      stopped  0.0.0.0:25 [::]:25  0      stale\n" +
			"postfix-out  /etc/postfix-out  no       stopped  -                   0      stale\n", ""},
		{"instance list --json", 0, "...\n\t\"problems\": []\n}\n", ""},
		{"instance create more --dry-run", 1, "", "cannot read the prototype of a new instance"},
		{"instance create more --from - --set a --dry-run", 2, "", "\"a\""},
		{"instance create out --disabled", 0, "nothing to do\n", ""},
		{"instance create out --disabled --set myhostname=o.example --json --detailed-exitcode", 0, "...\"changed\": false", ""},
		{"instance create out --disabled --set myhostname=x.example", 1, "", "is an instance's directory already"},
		{"instance create out", 1, "", "is an instance's directory already"},
		{"instance create out --disabled --config-dir /etc/other", 1, "", "the prototype of a new instance"},
		{"instance create more --set mynetwork=x", 2, "", "Postfix has no parameter mynetwork; did you mean mynetworks?"},
		{"instance create more --set my_own_thing=x", 1, "", "WARNING: Postfix has no parameter my_own_thing"},
		{"instance enable out --dry-run", 0, "set multi_instance_enable = yes in /etc/postfix-out/main.cf\n", noSystemd},
		{"instance disable out --dry-run", 0, "nothing to do\n", noSystemd},
		{"instance remove out --dry-run", 0, "...take /etc/postfix-out off multi_instance_directories\n", noSystemd},
		{"instance remove none", 1, "", `cannot remove instance "none"`},
	})
	walk(t, sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "multi_instance_directories = /etc/postfix-bad\n", "etc/postfix-bad/": "", "var/spool/postfix/": "",
	}), []step{
		{"instance list", 1, "...NAME ", "not all instances could be read"},
		{"instance list --json", 1, "...postfix-bad", "not all instances could be read"},
	})
}

func TestMapCommands(t *testing.T) {
	root := twoInstances(t)
	const add, remove = "registering map type pcre in /etc/postfix/dynamicmaps.cf\n", "taking map type pcre out of /etc/postfix/dynamicmaps.cf\n"
	before, err := root.ReadFile("/etc/postfix/dynamicmaps.cf")
	if err != nil {
		t.Fatal(err)
	}
	walk(t, root, []step{
		{"dynamicmap add pcre --dry-run --detailed-exitcode", 3, add, ""},
		{"dynamicmap remove pcre --dry-run --detailed-exitcode", 0, "nothing to do\n", ""},
	})
	if text, err := root.ReadFile("/etc/postfix/dynamicmaps.cf"); !bytes.Equal(text, before) || err != nil {
		t.Errorf("a dry run leaves %q, %v", text, err)
	}
	walk(t, root, []step{
		{"dynamicmap add pcre mkown", 0, add, ""},
		{"dynamicmap remove pcre --dry-run --json", 0, "...\"changed\": true", ""},
		{"dynamicmap add pcre", 0, "nothing to do\n", ""},
		{"dynamicmap add pcre --json --detailed-exitcode", 0, "...\"changed\": false", ""},
		{"dynamicmap add lmdb", 1, "", "there is no /usr/lib/postfix/postfix-lmdb.so"},
	})
	if text, err := root.ReadFile("/etc/postfix/dynamicmaps.cf"); !strings.Contains(string(text), "mkown") {
		t.Errorf("the registry is %q, %v", text, err)
	}
	walk(t, root, []step{
		{"dynamicmap remove pcre", 0, remove, ""},
		{"dynamicmap add a/b", 2, "", "a/b"},
	})
}

func TestSmarthostCommands(t *testing.T) {
	open := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(open, []byte("geheim\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	const diff = "change /etc/postfix/main.cf\n--- /etc/postfix/main.cf\n+++ /etc/postfix/main.cf\n@@ -4,3 +4,5 @@\n" +
		" multi_instance_directories = /etc/postfix-out\n multi_instance_enable = yes\n milter_protocol = 2\n" +
		"+relayhost = x\n+smtp_tls_security_level = may\nreload Postfix\n"
	walk(t, twoInstances(t), []step{
		{"smarthost show", 0, "relay:        none: mail is delivered directly\nTLS:          none\nroot's mail:  stays here\n", ""},
		{"smarthost show --instance out --json", 0, "...\"relay\": \"\"", ""},
		{"smarthost show --instance none --json", 1, "...\"kind\": \"failed\"", `cannot find instance "none"`},
		{"smarthost set --relay x --rewrite y", 2, "", "use none, generic=ADDRESS"},
		{"smarthost set --dry-run", 2, "", "a smarthost needs a relay"},
		{"smarthost set --relay x --rewrite users=/none", 1, "", "cannot read the senders"},
		{"smarthost set --relay x --rewrite users=/etc/hosts --wrapper", 1, "", "127.0.0.1"},
		{"smarthost set --relay x --rewrite none --from none --dry-run", 0, diff, ""},
		{"smarthost set --relay x --dry-run --json", 0, "...\"warnings\": []", ""},
		{"smarthost set --relay x --user u --dry-run --password-file " + open, 1, "", "WARNING: others than you can read " + open},
		{"smarthost set --relay x --password-stdin --password-file " + open, 2, "", "not from both"},
		{"smarthost unset", 0, "nothing to do\n", "WARNING: no smarthost was set"},
		{"smarthost test a@b", 1, "", "a smarthost needs a relay"},
		{"smarthost test a@b --wait 0s", 2, "", "is no time to wait"},
	})
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Cur != 0 {
		t.Errorf("a core dump may hold a password: %+v, %v", core, err)
	}
}

func TestScriptCommands(t *testing.T) {
	root := twoInstances(t)
	walk(t, root, []step{
		{"chroot sync", 0, "...updated etc/hosts\n", "cannot work out the libraries"},
		{"prerm upgrade 3.8", 0, "", ""},
		{"prerm remove", 0, "", ""},
	})
	if there, err := root.Exists("/var/spool/postfix/etc/hosts"); there || err != nil {
		t.Errorf("a removal leaves our copies, %v", err)
	}
	walk(t, root, []step{
		{"postinst triggered " + setup.LibraryTrigger, 0, "", "1 files brought up to date in the chroot /var/spool/postfix-out\n"},
		{"postinst triggered /usr/sbin/rsyslogd " + setup.ReloadTrigger, 0, "", ""},
		{"postinst abort-upgrade 3.8", 0, "", ""},
		{"postinst abort-remove", 0, "", ""},
		{"adopt --hand-over", 0, "", ""},
		{"adopt --status --layer /none", 1, "", `cannot read the layer`},
		{"adopt none.deb", 1, "", `cannot read package "none.deb"`},
	})
}

func TestApplyCommand(t *testing.T) {
	if _, err := os.Stat("/usr/bin/deb-systemd-helper"); err != nil {
		t.Skip("needs deb-systemd-helper(1), which works on the tree")
	}
	root := unpackedHost(t, "")
	for path, text := range map[string]string{
		"run/x": "", "lib/systemd/system/postfix.service": "[Install]\nWantedBy=multi-user.target\n", "etc/rc2.d/S01postfix": "",
	} {
		path = filepath.Join(root.Dir(), path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	walk(t, root, []step{
		{"apply --dry-run", 0, "...main.cf: create /etc/postfix/main.cf from /usr/share/postfix/main.cf.debian\n--- /etc/postfix/main.cf\n", ""},
		{"apply --dry-run --json", 0, "...\"step\": \"main.cf\"", ""},
		{"apply", 0, "...main.cf: create", ""},
		{"apply", 0, "nothing to do\n", ""},
		{"apply --json", 0, "{\n\t\"format\": 1,\n\t\"changes\": [],\n\t\"warnings\": [],\n\t\"changed\": false\n}\n", ""},
	})
}

// apt's hook neither runs in the update that an adoption starts, nor fails one while somebody else is at work.
func TestRefreshStandsInNobodysWay(t *testing.T) {
	root := twoInstances(t)
	walk(t, root, []step{{"adopt --refresh", 0, "", ""}})
	held := atWork(t, root)
	walk(t, root, []step{{"adopt --refresh --json", 0, "", "no look for a newer Postfix to adopt this time"}})
	held.Release()
	t.Setenv(nested, "1")
	walk(t, root, []step{{"adopt --refresh", 0, "", ""}})
}

func TestAdoptionInWords(t *testing.T) {
	for want, r := range map[string]adopt.Report{
		"postfix: not installed\nnewer versions are adopted: no\n": {},
		"postfix: 3.7+a0.1, this layer's\nnewer versions are adopted: yes, after each apt-get update\ninstance out: postfix@out.service, active\n" +
			"ready for apt: 3.8+a0.1\ncannot be adopted: 3.9: a; b\ncannot be adopted: 4.0: c\n": {
			Installed: "3.7+a0.1", Adopted: true, InForce: true, Ready: []string{"3.8+a0.1"},
			Refused:   map[string][]string{"4.0": {"c"}, "3.9": {"a", "b"}},
			Instances: []adopt.Further{{Name: "out", Unit: "postfix@out.service", State: "active"}},
		},
		"postfix: 3.7, Debian's own\nnewer versions are adopted: no\n":                                                                        {Installed: "3.7"},
		"postfix: 3.7, Debian's own\non hold: apt changes nothing of it before \"apt-mark unhold postfix\"\nnewer versions are adopted: no\n": {Installed: "3.7", Held: true},
	} {
		var out strings.Builder
		if err := printAdoptionStatus(&call{stdout: &out}, &r); err != nil || out.String() != want {
			t.Errorf("%v, it says %q, want %q", err, out.String(), want)
		}
	}
}

// What is printed besides by a flow that changes the host, for each kind of result.
func TestResultsInWords(t *testing.T) {
	var out, errs strings.Builder
	c := &call{stdout: &out, stderr: &errs, Context: cli.NewContext(cli.NewApp(), flag.NewFlagSet("", 0), nil)}
	show(&out)(setup.Change{Step: "main.cf", What: "edit it", Diff: "-a\n"})
	sayPlan(&errs, &setup.Plan{Warnings: []string{"odd"}, Notes: []string{"old"}})
	sayNotes(twoInstances(t), &errs)
	takeOver(twoInstances(t), "3.7", &errs)
	if err := errors.Join(
		printChanges(c, changed([]int{1}, []string{"careful"}, []string{"by the way"})),
		printChanges(c, changed([]int{}, nil, nil)),
		printAdopted(c, &adopt.Result{Changes: []string{"put in x"}, Path: "p.deb"}),
		printAdoption(c, &adopt.Report{}),
		printText(c, &smarthost.Status{}),
		printNothing(c, &adopt.Report{}),
	); err != nil {
		t.Fatal(err)
	}
	(&profile{Profile: "strict", Waits: true}).print(&out)
	const said = "main.cf: edit it\n-a\nnothing to do\nput in x\np.deb\nnothing to do\n"
	if got := out.String(); !strings.HasPrefix(got, said) || !strings.HasSuffix(got, "takes the profile up at its next restart\n") {
		t.Errorf("printed %q", got)
	}
	const warned = "WARNING: odd\nNOTE: old\nNOTE: /etc/postfix/main.cf:6: milter_protocol = 2\n"
	if got := errs.String(); !strings.HasPrefix(got, warned) || !strings.HasSuffix(got, "WARNING: careful\nNOTE: by the way\n") {
		t.Errorf("said %q", got)
	}
}

// The syslog daemon listens in the chroot of an instance that is made, and no longer when it goes.
func TestSocketsOfAnInstance(t *testing.T) {
	needsRoot(t)
	root := twoInstances(t)
	for _, file := range []string{paths.RsyslogConf, paths.RsyslogDir + "/x", paths.Rsyslogd} {
		file = filepath.Join(root.Dir(), file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	s := sockets{root, syslogd.Host{Root: root}}
	out := instance.Instance{Name: "postfix-out", ConfigDir: "/etc/postfix-out", QueueDir: "/var/spool/postfix-out"}
	if due, err := s.Due(out); !due || err != nil {
		t.Fatalf("nothing is due: %v", err)
	}
	if err := s.Provide(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if due, err := s.Due(out); due || err != nil {
		t.Errorf("it is due once more: %v", err)
	}
	if text, _ := root.ReadFile("/etc/rsyslog.d/postfix-maint.conf"); !strings.Contains(string(text), "/var/spool/postfix-out/dev/log") {
		t.Errorf("rsyslog is told %q", text)
	}
	if err := s.Withdraw(t.Context(), out); err != nil {
		t.Fatal(err)
	}
	if text, _ := root.ReadFile("/etc/rsyslog.d/postfix-maint.conf"); strings.Contains(string(text), "postfix-out") {
		t.Errorf("rsyslog is still told %q", text)
	}
}

// With --json every command prints one document, or nothing where it fails.
func TestEveryJSONIsOneDocument(t *testing.T) {
	root := twoInstances(t)
	t.Setenv("DPKG_ROOT", root.Dir())
	t.Setenv("PATH", t.TempDir())
	for call, r := range calls() {
		command, _, _ := r.option()
		if !rowOf(t, command).has("json") || r.words == "adopt" || r.who.root != "" || r.words == "adopt --hand-over" || command == "check-config" && r.words != command {
			continue
		}
		code, out, errs := runOn(t, root, call+" --json")
		dec := json.NewDecoder(strings.NewReader(out))
		var document any
		if err := dec.Decode(&document); err != nil && (code == 0 || out != "") || dec.More() {
			t.Errorf("%s: exit status %d, %v in %q; %s", call, code, err, out, errs)
		}
	}
}
