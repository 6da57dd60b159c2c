package status

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"postfix-maint/internal/queue"
	"postfix-maint/internal/sysroot/sysroottest"
)

// message is the beginning of a queue file, as cleanup(8) writes it.
func message(came int64) string {
	size, when := fmt.Sprintf("%15d %15d %15d %15d %15d", 300, 600, 1, 0, 300), fmt.Sprintf("%d 123456", came)
	return "C" + string(rune(len(size))) + size + "T" + string(rune(len(when))) + when + "A\x01x"
}

// deferral is what bounce(8) writes about a recipient.
func deferral(reason string) string {
	return "<a@b.example>: text\nrecipient=a@b.example\noffset=1\nstatus=4.4.1\naction=delayed\nreason=" + reason + "\n\n"
}

func TestCountQueue(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"q/maildrop/A": message(900), "q/incoming/B": message(800), "q/active/C1": "nonsense", "q/hold/D": message(100), "q/corrupt/E": "",
		"q/deferred/1/1A": message(500), "q/defer/1/1A": deferral("connect to a.example[192.0.2.1]:25: Connection refused"),
		"q/deferred/2/2A": message(600), "q/defer/2/2A": deferral("connect to b.example[2001:db8::1]:25: Connection refused"),
		"q/deferred/2/2B": message(700), "q/defer/2/2B": deferral("lost connection with \x1b[2Jc.example[192.0.2.1] while receiving"),
		"q/deferred/3/link": "-> /etc/passwd", "q/defer/3/3A": deferral("of no message"), "q/pid/master.pid": "1\n",
	})
	q, err := countQueue(t.Context(), root, "/q", 100, time.Now().Add(time.Hour))
	want := Queue{
		Counts: queue.Counts{Maildrop: 1, Incoming: 1, Active: 1, Deferred: 3, Hold: 1, Corrupt: 1}, Oldest: time.Unix(100, 0), Looked: 6,
		Reason: "connect to HOST: Connection refused", Reasons: 2, Deferrals: 3,
	}
	if err != nil || q != want {
		t.Errorf("got %+v, %v; want %+v", q, err, want)
	}
	if q, err = countQueue(t.Context(), root, "/q", 2, time.Now().Add(time.Hour)); err != nil || q.Looked > 2 || q.Total() != 8 {
		t.Errorf("a sample of 2: %+v, %v", q, err)
	}
	if q, err = countQueue(t.Context(), root, "/nothing", 2, time.Now().Add(time.Hour)); err != nil || q != (Queue{}) {
		t.Errorf("no queue: %+v, %v", q, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if q, err = countQueue(over, root, "/q", 2, time.Now()); err != nil || !q.Partly {
		t.Errorf("no time: %+v, %v", q, err)
	}
}

// A queue belongs to Postfix's account, which may put anything there: nothing of it is waited for or followed.
func TestCountQueueTrustsNobody(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"secret/F": message(1), "q/deferred/A": message(500), "q/hold": "-> /secret", "q/defer/": ""})
	for _, pipe := range []string{"q/active", "q/defer/A"} {
		if err := syscall.Mkfifo(filepath.Join(root.Dir(), pipe), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	deep := filepath.Join(root.Dir(), "q/incoming", strings.Repeat("d/", 100))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	q, err := countQueue(t.Context(), root, "/q", 10, time.Now().Add(time.Hour))
	want := Queue{Counts: queue.Counts{Deferred: 1}, Oldest: time.Unix(500, 0), Looked: 1, Partly: true}
	if err != nil || q != want {
		t.Errorf("got %+v, %v; want %+v", q, err, want)
	}
}

// Postfix's account may write any time into a message: a report with it is still JSON.
func TestATimeThatIsNone(t *testing.T) {
	for _, at := range []int64{1 << 39, 1 << 62} {
		root := sysroottest.New(t, map[string]string{"q/active/A": message(at)})
		q, err := countQueue(t.Context(), root, "/q", 10, time.Now().Add(time.Hour))
		if _, bad := json.Marshal(q); err != nil || bad != nil || !q.Oldest.IsZero() || q.Active != 1 {
			t.Errorf("%d: %+v, %v, %v", at, q, err, bad)
		}
	}
}

func TestReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                    "",
		"reason=":             "",
		"x\nreason=why\nmore": "why",
		"reason=delivery temporarily suspended: connect to h.example[::1]:25: No route": "connect to HOST: No route",
		"reason=Host or domain name not found. Name service error for name=a.example type=MX: Host not found, try again": "Host or domain name not found. " +
			"Name service error for name=HOST type=MX: Host not found, try again",
		"reason=host mx[192.0.2.1] said: 450 <a@b.example>: busy\x07 (in reply to RCPT)": "host HOST said: 450 <ADDRESS>: busy? (in reply to RCPT)",
		"reason=" + strings.Repeat("y", 400):                                             strings.Repeat("y", 297) + "...",
	} {
		if got := reason([]byte(text)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzArrival(f *testing.F) {
	f.Add([]byte(message(1_700_000_000)))
	f.Add([]byte("T\xff\xff\xff\xff\x7f"))
	f.Fuzz(func(_ *testing.T, head []byte) {
		arrival(head)
		reason(head)
	})
}
