package chroot

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

const switchable = `smtp inet n - - - - smtpd
qmgr unix n - - 300 1 qmgr
pickup unix n - n 60 1 pickup
tlsmgr unix - - y 1000? 1 tlsmgr
local unix - n - - - local
filter unix - n n - - pipe argv=/bin/cat
own unix - n n - - /opt/own
`

// switched runs a switch and gives master.cf and how often the daemons were told.
func switched(t *testing.T, root *sysroot.Root, on bool, fail error) (s *Switch, master string, reloads int, err error) {
	t.Helper()
	inst, err := instance.Find(root, instance.Primary)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = NewSwitch(Deps{Root: root}, inst, on); err != nil {
		t.Fatal(err)
	}
	_, err = s.Apply(t.Context(), func(context.Context, instance.Instance) error {
		reloads++
		return fail
	})
	data, readErr := root.ReadFile("/etc/postfix/master.cf")
	if readErr != nil {
		t.Fatal(readErr)
	}
	return s, string(data), reloads, err
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		level string
		on    bool
		want  string // services that change
	}{
		// failure C13: at level 1 and above "-" means n, and the switch has to say y
		"on, where - means n":  {"3.6", true, "smtp/inet pickup/unix"},
		"on, where - means y":  {"0", true, "pickup/unix"},
		"off, where - means n": {"2", false, "tlsmgr/unix"},
		"off, where - means y": {"0", false, "smtp/inet qmgr/unix tlsmgr/unix local/unix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{
				"etc/postfix/main.cf":   "compatibility_level = " + c.level + "\nmyhostname = a.example\n",
				"etc/postfix/master.cf": switchable,
			})
			s, master, reloads, err := switched(t, root, c.on, nil)
			if got := strings.Join(s.Services, " "); got != c.want || reloads != 1 || err != nil {
				t.Errorf("switched %q, want %q; %d reloads, error %v", got, c.want, reloads, err)
			}
			before := strings.Split(switchable, "\n")
			for n, line := range strings.Split(master, "\n") {
				name, _, _ := strings.Cut(line, " ")
				if changed := line != before[n]; changed != strings.Contains(" "+c.want, " "+name+"/") {
					t.Errorf("line %q was %q", line, before[n])
				}
			}
			want(t, "files in the queue directory", inQueue(t, root), map[bool][]string{true: standard}[c.on])
			dump := sysroottest.Dump(t, root.Dir(), true)
			if s, again, reloads, err := switched(t, root, c.on, nil); len(s.Services) > 0 || again != master || reloads != 0 || err != nil {
				t.Errorf("the second run changes %q, %d reloads, error %v", s.Services, reloads, err)
			}
			if now := sysroottest.Dump(t, root.Dir(), true); !maps.Equal(now, dump) {
				t.Errorf("the second run touched something:\n%v\n%v", dump, now)
			}
		})
	}
}

// TestSwitchInterrupted shows that daemons which could not be told of a new master.cf are told by the next run.
func TestSwitchInterrupted(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{"etc/postfix/master.cf": switchable})
	broken := errors.New("no bus")
	if _, _, _, err := switched(t, root, false, broken); !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	if s, _, reloads, err := switched(t, root, false, nil); len(s.Services) > 0 || reloads != 1 || err != nil {
		t.Errorf("the second run changes %q, %d reloads, error %v", s.Services, reloads, err)
	}
	if _, _, reloads, _ := switched(t, root, false, nil); reloads != 0 {
		t.Errorf("the third run reloads %d times", reloads)
	}
}

// TestSwitchKeepsEdits shows that a service which somebody adds between plan and write stays, and is switched with the others.
func TestSwitchKeepsEdits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		on            bool
		before, added string
		want          string // of master.cf
		filled        bool
	}{
		"off, with others":          {false, switchable, "submission inet n - n - - smtpd\n", "submission inet n - n - - smtpd\n", false},
		"off, to be switched":       {false, switchable, "submission inet n - y - - smtpd\n", "submission inet n - n - - smtpd\n", false},
		"off, nothing was to be":    {false, "smtp inet n - n - - smtpd\n", "pickup unix n - y 60 1 pickup\n", "pickup unix n - n 60 1 pickup\n", false},
		"on, to be switched":        {true, switchable, "submission inet n - n - - smtpd\n", "submission inet n - y - - smtpd\n", true},
		"on, nothing was to be yet": {true, "smtp inet n - y - - smtpd\n", "pickup unix n - n 60 1 pickup\n", "pickup unix n - y 60 1 pickup\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{"etc/postfix/main.cf": "compatibility_level = 2\n", "etc/postfix/master.cf": c.before})
			inst, err := instance.Find(root, instance.Primary)
			if err != nil {
				t.Fatal(err)
			}
			s, err := NewSwitch(Deps{Root: root}, inst, c.on)
			if err != nil {
				t.Fatal(err)
			}
			put(t, root, "etc/postfix/master.cf", c.before+c.added)
			reloads := 0
			res, err := s.Apply(t.Context(), func(context.Context, instance.Instance) error {
				reloads++
				return nil
			})
			data, _ := root.ReadFile("/etc/postfix/master.cf")
			if err != nil || reloads > 1 || !strings.HasSuffix(string(data), c.want) {
				t.Errorf("error %v, %d reloads, master.cf is\n%s", err, reloads, data)
			}
			if got := inQueue(t, root); c.filled != (len(got) > 0) || c.filled != (len(res.Changed) > 0) {
				t.Errorf("in the chroot is %q; told of %q", got, res.Changed)
			}
		})
	}
}

// TestSwitchOnNeedsAFilledChroot shows that no service moves into a chroot that could not be filled.
func TestSwitchOnNeedsAFilledChroot(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level = 3.6\n", "etc/postfix/master.cf": switchable, "var/lib/postfix-maint/chroot": "in the list's place",
	})
	if _, master, reloads, err := switched(t, root, true, nil); err == nil || master != switchable || reloads != 0 {
		t.Errorf("error %v, %d reloads, master.cf is\n%s", err, reloads, master)
	}
}

// TestSwitchOffClears shows that what is ours goes even where the synchronisation was switched off before, and nothing else.
func TestSwitchOffClears(t *testing.T) {
	t.Parallel()
	root := host(t, map[string]string{queueDir + "/etc/own": "admin's\n"})
	apply(t, root)
	put(t, root, "etc/default/postfix", "SYNC_CHROOT=\n")
	if _, _, _, err := switched(t, root, false, nil); err != nil {
		t.Fatal(err)
	}
	want(t, "files in the queue directory", inQueue(t, root), []string{"etc/own"})
}

func TestInspect(t *testing.T) {
	t.Parallel()
	root := host(t, nil)
	apply(t, root)
	put(t, root, queueDir+"/etc/hosts", "stale\n")
	put(t, root, queueDir+"/etc/own", "admin's\n")
	put(t, root, queueDir+"/deferred/A/ABC", "mail\n")
	put(t, root, queueDir+"/etc/services", "")
	put(t, root, queueDir+"/usr/lib/sasl2", "")
	res, err := plan(t, root).Inspect()
	if err != nil {
		t.Fatal(err)
	}
	want(t, "missing", res.Missing, []string{"etc/services", "usr/lib/sasl2"})
	want(t, "foreign", res.Foreign, []string{"etc/own"})
	if !slices.Contains(res.Changed, "etc/hosts") {
		t.Errorf("a stale file is not named: %q", res.Changed)
	}
}
