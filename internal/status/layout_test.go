package status_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"postfix-maint/internal/queue"
	"postfix-maint/internal/status"
)

var now = time.Date(2026, 11, 30, 10, 30, 0, 0, time.UTC)

// running is an instance without anything to tell.
func running(name string) status.Instance {
	return status.Instance{
		Name: name, Unit: "postfix@" + name + ".service", Enabled: true, State: "active", Since: now.Add(-50 * time.Hour),
		Expected: []string{"0.0.0.0:25", "[::]:25"}, Listening: []string{"0.0.0.0:25", "[::]:25"},
		Chroot: status.Chroot{State: "current", Services: 19, Of: 31}, TLS: status.TLS{Level: "may", Ends: now.AddDate(1, 0, 0), File: "/etc/ssl/c.pem"},
	}
}

func hundred() (all []status.Instance) {
	for n := range 100 {
		i := running(fmt.Sprint("postfix-", n))
		if n == 60 {
			i.State = "failed"
		}
		if n == 90 {
			i.Queue = status.Queue{Counts: queue.Counts{Deferred: 1_234_567}, Partly: true}
		}
		all = append(all, i)
	}
	return all
}

// troubled has everything that can be told of one.
func troubled() status.Instance {
	i := running("postfix-out")
	i.Enabled, i.State = false, "failed"
	i.Listening, i.Missing, i.Extra = nil, []string{"0.0.0.0:25", "[::]:25"}, []string{"127.0.0.1:2525"}
	i.Taken = []string{"0.0.0.0:25 by /usr/sbin/exim4 (process 4711)"}
	i.TLS = status.TLS{Level: "encrypt", Ends: now.Add(-time.Hour), File: "/etc/letsencrypt/live/mail.example.com/fullchain.pem"}
	i.Relay, i.Account = status.Relay{Host: "[smtp.example.com]:587", TLS: "secure", Login: true}, "joe@example.com"
	i.Chroot = status.Chroot{State: "stale", Services: 3, Of: 31, Stale: 2}
	i.Queue = status.Queue{
		Counts: queue.Counts{Maildrop: 1, Incoming: 2, Active: 3, Deferred: 400, Hold: 5, Corrupt: 6},
		Oldest: now.Add(-5*24*time.Hour - time.Hour), Looked: 200,
		Reason: "connect to HOST: Connection timed out", Reasons: 120, Deferrals: 190,
	}
	i.Problems = []string{"its service smtp (0.0.0.0:25) meets service smtp (0.0.0.0:25) of instance postfix-two"}
	return i
}

// odd has what no screen should get as it is.
func odd() status.Instance {
	i := running(strings.Repeat("größe-", 40))
	i.Relay.Host = "evil\x1b[2J\nhost \xff"
	i.Queue.Deferred, i.Queue.Reason, i.Queue.Reasons, i.Queue.Deferrals = 1, strings.Repeat("x", 300), 1, 1
	i.TLS = status.TLS{Level: "may", Ends: now.Add(72 * time.Hour), File: "/" + strings.Repeat("d/", 100) + "c.pem"}
	return i
}

// Each screen is a file in testdata; UPDATE=1 writes them anew.
func TestText(t *testing.T) {
	whole := status.Report{Time: now, Host: "mx.example.com", Postfix: "3.7.11-0+deb12u1+a0.1.0", Layer: "0.1.0", Program: "0.1.0"}
	with := func(change func(*status.Report), all ...status.Instance) status.Report {
		r := whole
		r.Instances = all
		change(&r)
		return r
	}
	user := running("-")
	user.Queue.Unseen, user.Since, user.Listening = true, time.Time{}, nil
	for name, r := range map[string]status.Report{
		"healthy": with(func(*status.Report) {}, running("-")),
		"two": with(func(r *status.Report) {
			r.Update, r.Changed, r.Layer = "3.7.12-0+deb12u1", now.AddDate(0, -1, 0), ""
		}, running("-"), troubled()),
		"odd":     with(func(r *status.Report) { r.Problems = []string{"a\tb\x00c"} }, odd()),
		"nothing": {Time: now, Program: "0.1.0"},
		"user":    with(func(r *status.Report) { r.Unseen = []string{"the queues", "which program has a socket"} }, user),
		"hundred": with(func(*status.Report) {}, hundred()...),
		"oddmany": with(func(*status.Report) {}, odd(), odd(), odd(), troubled()),
	} {
		t.Run(name, func(t *testing.T) {
			got := r.Text(status.Style{Width: 80, Lines: 10})
			for line := range strings.Lines(got) {
				if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 || strings.ContainsAny(line, "\x1b\t\x00") {
					t.Errorf("%d columns, or not to be printed: %q", n, line)
				}
			}
			file := filepath.Join("testdata", name+".txt")
			if os.Getenv("UPDATE") != "" {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("%v: got\n%s\nwant\n%s", err, got, want)
			}
			plain := got
			if got = r.Text(status.Style{Width: 80, Lines: 10, Colour: true}); !strings.Contains(got, "\x1b[1m") {
				t.Error("no colour")
			}
			for _, code := range []string{"0", "1", "31", "32", "33"} {
				got = strings.ReplaceAll(got, "\x1b["+code+"m", "")
			}
			if got != plain {
				t.Errorf("the colours change the text:\n%s", got)
			}
		})
	}
}
