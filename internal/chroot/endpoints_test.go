package chroot

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnreachableSockets(t *testing.T) {
	t.Parallel()
	const milter = "smtpd_milters = unix:/run/opendkim/opendkim.sock\n"
	for name, c := range map[string]struct {
		main   string
		listen string // in the queue directory
		dead   bool
		want   []string // parts of each sentence
	}{
		"no socket":            {},
		"a port":               {main: "smtpd_milters = inet:127.0.0.1:8891\n"},
		"one of Postfix's own": {main: "smtpd_recipient_restrictions = check_policy_service unix:private/policy\n"},
		"a milter outside":     {main: milter, want: []string{`cannot reach the milter "/run/opendkim/opendkim.sock" (smtpd_milters, /etc/postfix/main.cf:3)`}},
		"moved inside":         {main: milter, listen: "run/opendkim/opendkim.sock"},
		"dead":                 {main: milter, listen: "run/opendkim/opendkim.sock", dead: true, want: []string{"nobody listens at"}},
		"a policy":             {main: "smtpd_end_of_data_restrictions = check_policy_service unix:/run/quota\n", want: []string{`the policy service "/run/quota"`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := host(t, map[string]string{"etc/postfix/main.cf": level + c.main, "etc/postfix/master.cf": chrooted})
			if c.listen != "" {
				file := filepath.Join(root.Dir(), queueDir, c.listen)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: file})
				if err != nil {
					t.Fatal(err)
				}
				l.SetUnlinkOnClose(false)
				if c.dead {
					l.Close()
				} else {
					t.Cleanup(func() { l.Close() })
				}
			}
			res, err := plan(t, root).Inspect()
			if err != nil || len(res.Unreachable) != len(c.want) {
				t.Fatalf("Inspect = %q, %v", res.Unreachable, err)
			}
			for i, text := range c.want {
				if !strings.Contains(res.Unreachable[i], text) {
					t.Errorf("said %q, want %q in it", res.Unreachable[i], text)
				}
			}
		})
	}
}
