package generator

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/instance"
)

var (
	primary = instance.Instance{
		Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/var/spool/postfix", DataDir: "/var/lib/postfix", Enabled: true,
	}
	out = instance.Instance{
		Name: "postfix-out", ConfigDir: "/etc/postfix-out", QueueDir: "/q/out", DataDir: "/var/lib/postfix-out", Enabled: true,
	}
)

// summary is one line for each file: its path and what it wants, or that it is another name of something.
func summary(files []File) []string {
	var lines []string
	for _, f := range files {
		switch line := f.Path; {
		case strings.Contains(f.Text, "Wants="):
			var units []string
			for text := range strings.Lines(f.Text) {
				if unit, ok := strings.CutPrefix(text, "Wants="); ok {
					units = append(units, strings.TrimSuffix(strings.TrimSpace(unit), ".service"))
				}
			}
			lines = append(lines, line+" wants "+strings.Join(units, " "))
		case strings.Contains(f.Text, "Requires="):
			_, after, _ := strings.Cut(f.Text, "Requires=")
			unit, _, _ := strings.Cut(after, "\n")
			lines = append(lines, line+" for "+unit)
		default:
			lines = append(lines, line)
		}
	}
	return lines
}

func TestUnits(t *testing.T) {
	t.Parallel()
	disabled := out
	disabled.Enabled = false
	off := primary
	off.Enabled = false
	for name, c := range map[string]struct {
		in   Input
		want []string
	}{
		"one instance": {
			Input{Instances: []instance.Instance{primary}},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@-`,
				"postfix@-.service.d/50-instance.conf",
			},
		},
		"two instances, and the other names of the second": {
			Input{Instances: []instance.Instance{primary, out}},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@- postfix@postfix-out`,
				"postfix@-.service.d/50-instance.conf",
				"postfix@out.service.d/50-instance.conf for postfix@postfix-out.service",
				"postfix@postfix-out.service.d/50-instance.conf",
			},
		},
		"a directory with a dash, the way Debian 13 escapes it": {
			Input{Instances: []instance.Instance{primary, {Name: "mx", ConfigDir: "/etc/postfix-a-b"}}},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@-`,
				"postfix@-.service.d/50-instance.conf",
				"postfix@a-b.service.d/50-instance.conf for postfix@mx.service",
				`postfix@a\x2db.service.d/50-instance.conf for postfix@mx.service`,
				"postfix@mx.service.d/50-instance.conf",
			},
		},
		"a disabled instance is known, not wanted": {
			Input{Instances: []instance.Instance{off, disabled}, Enabled: []string{"postfix@postfix-out.service"}},
			[]string{
				"postfix@-.service.d/50-instance.conf",
				"postfix@out.service.d/50-instance.conf for postfix@postfix-out.service",
				"postfix@postfix-out.service.d/50-instance.conf",
			},
		},
		"a primary one that cannot be read is wanted all the same": {
			Input{},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@-`,
				"postfix@-.service.d/50-instance.conf",
			},
		},
		"Debian 13's naming, enabled by hand, without an entry in the list": {
			Input{Instances: []instance.Instance{primary}, Enabled: []string{"postfix@-.service", `postfix@a\x2db.service`}},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@- postfix@a\x2db`,
				"postfix@-.service.d/50-instance.conf",
				`postfix@a\x2db.service.d/50-instance.conf`,
			},
		},
		"Debian 13's naming, enabled by hand, of an instance that has another name": {
			Input{Instances: []instance.Instance{primary, out}, Enabled: []string{"postfix@out.service"}},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@- postfix@postfix-out`,
				"postfix@-.service.d/50-instance.conf",
				"postfix@out.service.d/50-instance.conf for postfix@postfix-out.service",
				"postfix@postfix-out.service.d/50-instance.conf",
			},
		},
		"another name that is an instance of its own means that one": {
			Input{Instances: []instance.Instance{primary, {Name: "postfix-x", ConfigDir: "/a"}, {Name: "x", ConfigDir: "/b"}}},
			[]string{
				`postfix.service.d/50-instances.conf wants postfix@-`,
				"postfix@-.service.d/50-instance.conf",
				"postfix@postfix-x.service.d/50-instance.conf",
				"postfix@x.service.d/50-instance.conf",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := append([]string{"multi-user.target.d/50-postfix.conf wants postfix-takeover.path", Table, "postfix-takeover.path.d/50-instances.conf"}, c.want...)
			slices.Sort(want)
			if diff := cmp.Diff(want, summary(Units(c.in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// systemd cannot watch any number of files; each instance is in the table all the same.
func TestWatched(t *testing.T) {
	t.Parallel()
	var insts []instance.Instance
	for n := range 3 * maxWatched {
		insts = append(insts, instance.Instance{Name: fmt.Sprint("n", n), QueueDir: fmt.Sprint("/q/", n)})
	}
	for _, f := range watched(insts) {
		want := map[string]int{Table: 3 * maxWatched, "postfix-takeover.path.d/50-instances.conf": maxWatched}[f.Path]
		if n := strings.Count(f.Text, "/q/"); n != want {
			t.Errorf("%s has %d instances, want %d", f.Path, n, want)
		}
	}
}

func TestDropIns(t *testing.T) {
	t.Parallel()
	odd := instance.Instance{Name: `a%b\c"d`, ConfigDir: `/srv/a b%/"x"\`, QueueDir: "/q", DataDir: "/d"}
	for name, c := range map[string]struct {
		got, want string
	}{
		"the primary one has a condition: no configuration is no failure": {
			instanceText(primary, nil),
			`# Made by postfix-instance-generator from /etc/postfix/main.cf
[Unit]
AssertPathExists=
ConditionPathExists=/etc/postfix/main.cf
RequiresMountsFor="/etc/postfix" "/var/spool/postfix" "/var/lib/postfix"
[Service]
Environment="MAIL_CONFIG=/etc/postfix"
`,
		},
		"another instance, that has another name": {
			instanceText(out, []string{"postfix@out.service"}),
			`# Made by postfix-instance-generator from /etc/postfix-out/main.cf
[Unit]
AssertPathExists=
Description=Postfix Mail Transport Agent (instance postfix-out in /etc/postfix-out)
AssertPathExists=/etc/postfix-out/main.cf
RequiresMountsFor="/etc/postfix-out" "/q/out" "/var/lib/postfix-out"
PartOf=postfix@out.service
[Service]
Environment="MAIL_CONFIG=/etc/postfix-out"
Slice=system-postfix-postfix\x2dout.slice
`,
		},
		"what systemd would read otherwise, and disabled": {
			instanceText(odd, nil),
			`# Made by postfix-instance-generator from /srv/a b%/"x"\/main.cf
[Unit]
AssertPathExists=
Description=Postfix Mail Transport Agent (instance a%%b\c"d in /srv/a b%%/"x"\)
AssertPathExists=/srv/a b%%/"x"\/main.cf
RequiresMountsFor="/srv/a b%%/\"x\"\\" "/q" "/d"
[Service]
Environment="MAIL_CONFIG=/srv/a b%%/\"x\"\\"
Slice=system-postfix-a\x25b\x5cc\x22d.slice
ExecCondition=/usr/libexec/postfix-maint/configure-instance --enabled
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSystemdTakesThem has systemd itself read what we make, over the real units: no line may be unknown to it or ignored.
func TestSystemdTakesThem(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs Debian's package systemd: ", err)
	}
	units, err := filepath.Abs("../../systemd")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	odd := instance.Instance{Name: "odd", ConfigDir: `/srv/a b%/"x"`, QueueDir: "/q d", DataDir: "/d"}
	files := Units(Input{Instances: []instance.Instance{primary, out, odd}})
	if errs := Write(dir, files); len(errs) > 0 {
		t.Fatal(errs)
	}
	for _, unit := range []string{"postfix@-.service", "postfix@postfix-out.service", "postfix@out.service", "postfix@odd.service", "postfix.service", "postfix-takeover.path"} {
		cmd := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", unit)
		cmd.Env = append(cmd.Environ(), "SYSTEMD_UNIT_PATH="+dir+":"+units+":/usr/lib/systemd/system:/lib/systemd/system", "SYSTEMD_LOG_LEVEL=info")
		said, _ := cmd.CombinedOutput() // fails for programs that are not installed here
		for line := range strings.Lines(string(said)) {
			if strings.Contains(line, "postfix") && !strings.Contains(line, "is not executable") {
				t.Errorf("%s: %s", unit, line)
			}
		}
	}
}
