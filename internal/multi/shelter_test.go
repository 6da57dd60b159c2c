package multi

import (
	"context"
	"slices"
	"testing"
)

func TestShelter(t *testing.T) {
	t.Parallel()
	const script, install = "/usr/lib/postfix/sbin/postfix-script", "/etc/postfix/post-install"
	process := func(pid int, group string, args ...string) Process {
		return Process{PID: pid, Args: append([]string{"/bin/sh"}, args...), Groups: []string{"13:memory:/", "0::" + group}}
	}
	// chain is what "postfix ACTION" gives in a control group, below something else.
	chain := func(group, action string) []Process {
		return []Process{
			process(9, group, install, "create-missing"), process(8, group, script, "check-fatal"), process(7, group, script, action),
			process(6, group, "-c", "postfix start"), {PID: 1, Args: []string{"/sbin/init"}},
		}
	}
	for name, c := range map[string]struct {
		ancestors []Process
		want      []int
	}{
		"in a service":                        {chain("/system.slice/job.service", "start"), []int{9, 8, 7}},
		"in a session":                        {chain("/user.slice/user-0.slice/session-1.scope", "start"), []int{9, 8, 7}},
		"in its unit":                         {chain(`/system.slice/system-postfix-\x2d.slice/postfix@-.service`, "start"), nil},
		"in Debian 13's unit":                 {chain("/system.slice/postfix.service", "start"), nil},
		"in a service that has almost a name": {chain("/system.slice/postfix@-.service.d", "start"), []int{9, 8, 7}},
		"a check":                             {chain("/system.slice/job.service", "check"), nil},
		"a reload":                            {chain("/system.slice/job.service", "reload"), nil},
		"in the foreground, as its service wants it": {chain("/system.slice/job.service", "start-fg"), nil},
		"by post-install alone":                      {chain("/system.slice/job.service", "start")[:1], nil},
		"by nobody":                                  {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var moved []int
			err := Shelter(context.Background(), c.ancestors, func(_ context.Context, scope, _ string, pids []int) error {
				if scope != "postfix-by-hand-7.scope" {
					t.Errorf("the scope is %q", scope)
				}
				moved = pids
				return nil
			})
			if err != nil || !slices.Equal(moved, c.want) {
				t.Errorf("moved %v, %v; want %v", moved, err, c.want)
			}
		})
	}
}
