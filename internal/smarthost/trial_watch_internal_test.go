package smarthost

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/sysroot/sysroottest"

	"postfix-maint/internal/smarthost/probe"
)

func TestWatchReadsTheLog(t *testing.T) {
	const log = `Nov 23 04:00:46 h postfix/cleanup[1]: 0AAA: message-id=<other@h>
Nov 23 04:00:46 h postfix/cleanup[1]: 39F6: message-id=<mine@h>
Nov 23 04:00:46 h postfix/qmgr[1]: 39F6: from=<root@h>, size=3, nrcpt=1 (queue active)
Nov 23 04:00:46 h postfix/smtp[1]: 0AAA: to=<b@c>, relay=x[1.2.3.4]:25, delay=1, dsn=2.0.0, status=sent (250 not ours)
39F6: to=<b@c>, orig_to=<x>, relay=r.example[1.2.3.4]:587, delay=0.1, delays=0/0/0/0, dsn=5.7.1, status=bounced (host r.example[1.2.3.4] said: 553 5.7.1 <root@h>: no (in reply to MAIL FROM command))
Nov 23 04:00:46 h postfix/qmgr[1]: 39F6: removed
`
	fate := &Fate{}
	w := watch{fate: fate, id: "mine@h"}
	w.read(strings.Split(log, "\n"))
	w.settle(true)
	want := Fate{QueueID: "39F6", Sender: "root@h", Via: "r.example[1.2.3.4]:587", Status: "bounced",
		Reply: "host r.example[1.2.3.4] said: 553 5.7.1 <root@h>: no (in reply to MAIL FROM command)"}
	if !reflect.DeepEqual(*fate, want) {
		t.Errorf("%+v, want %+v", *fate, want)
	}
}

// A log is followed from where it ended: what was there before is not read at all, and what comes is read once.
func TestALogIsFollowedFromItsEnd(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"var/log/mail.log": "before\n"})
	l := (&host{d: Deps{Root: root}, effective: map[string]string{}}).openLogs(time.Now())
	var want []string
	for _, line := range []string{"one", "two"} {
		log, err := os.OpenFile(root.Dir()+"/var/log/mail.log", os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			_, err = log.WriteString(line + "\n")
		}
		if err = errors.Join(err, log.Close()); err != nil {
			t.Fatal(err)
		}
		want = append(want, line)
		if got := strings.TrimSpace(strings.Join(l.lines(context.Background()), "\n")); got != strings.Join(want, "\n") {
			t.Errorf("lines %q, want %q", got, want)
		}
		if fi, err := root.Stat("/var/log/mail.log"); err != nil || l.files["/var/log/mail.log"].from != fi.Size() {
			t.Errorf("read up to %d, %v, want all", l.files["/var/log/mail.log"].from, err)
		}
	}
}

// A message that goes several ways, some of them by another message of local(8)'s, is waited for until all are known, and the worst counts.
func TestWatchFollowsEveryWay(t *testing.T) {
	first := []string{
		"AAA: message-id=<mine@h>", "AAA: from=<root@h>, size=3, nrcpt=2 (queue active)",
		"AAA: to=<anna@h>, orig_to=<all@h>, relay=local, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (delivered to mailbox)",
	}
	rest := []string{
		"AAA: to=<all@h>, relay=local, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (delivered to command: cat)",
		"AAA: to=<all@h>, relay=local, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (delivered to file: /tmp/x)",
		"AAA: to=<root@h>, orig_to=<all@h>, relay=local, delay=0.1, delays=0/0/0/0.1, dsn=2.0.0, status=sent (forwarded as BBB)", "AAA: removed",
		"BBB: message-id=<mine@h>", "BBB: from=<root@h>, size=3, nrcpt=1 (queue active)",
	}
	last := "BBB: to=<me@x>, orig_to=<root@h>, relay=mx[1.2.3.4]:25, delay=1.5, delays=0/0/1/0.5, dsn=4.7.1, status=deferred (450 later)"
	w := watch{fate: &Fate{}, id: "mine@h"}
	for i, lines := range [][]string{first, rest, {last}} {
		w.read(lines)
		w.settle(true)
		if got := w.fate.Status; (got == "deferred") != (i == 2) || i < 2 && got != "" {
			t.Errorf("after %q the status is %q", lines, got)
		}
	}
	want := Delivery{QueueID: "BBB", Recipient: "me@x", Via: "mx[1.2.3.4]:25", Status: "deferred", Reply: "450 later", Delay: "1.5", Delays: "0/0/1/0.5", line: last}
	if all := w.final(); len(all) != 4 || !reflect.DeepEqual(all[3], want) {
		t.Errorf("%+v", all)
	}
}

// A second attempt is told from the first, whose line stays in the log and whose reason stays in the queue until then.
func TestTheSecondAttemptCounts(t *testing.T) {
	q := &queue{messages: map[string]string{}}
	w := watch{h: &host{d: Deps{Run: q}}, fate: &Fate{}, id: "mine@h"}
	old := "AAA: to=<b@c>, relay=none, delay=1, delays=1/0/0/0, dsn=4.4.1, status=deferred (delivery temporarily suspended: connect to r: Connection refused)"
	for i, line := range []string{old, old, "AAA: to=<b@c>, relay=none, delay=2, delays=1/0/1/0, dsn=4.4.1, status=deferred (connect to r: Connection refused)"} {
		w.read([]string{"AAA: message-id=<mine@h>", line})
		w.settle(true)
		if again := w.retry(t.Context()); again != (i == 0) || (w.fate.Status == "") != (i < 2) {
			t.Errorf("%d: again %v, status %q", i, again, w.fate.Status)
		}
	}
}

// What a content filter takes is not at the relay: the message that it hands back counts, or none.
func TestTheFilterIsNotTheRelay(t *testing.T) {
	const taken = "AAA1: message-id=<mine@h>\nAAA1: to=<b@c>, relay=filter, delay=1, dsn=2.0.0, status=sent (delivered via filter service)\nAAA1: removed\n"
	const back = "BBB2: message-id=<mine@h>\nBBB2: to=<b@c>, relay=r.example[1.2.3.4]:587, delay=1, dsn=4.0.0, status=deferred (later)\n"
	before := "AAA1: message-id=<mine@h>\nBBB2: message-id=<mine@h>\nAAA1: to=<b@c>, relay=127.0.0.1[127.0.0.1]:10024, status=sent (250 ok)\nAAA1: removed\n" + back
	for log, want := range map[string]string{taken: "", taken + back: "deferred", before: "deferred"} {
		w := watch{fate: &Fate{}, id: "mine@h", filter: "filter:dummy"}
		for range 2 { // what was kept of a log is gone through each time
			w.read(strings.Split(log, "\n"))
			w.settle(true)
		}
		if w.fate.Status != want || log != before && w.handed != "filter" {
			t.Errorf("status %q by %q, want %q:\n%s", w.fate.Status, w.handed, want, log)
		}
	}
	w := watch{fate: &Fate{}, id: "mine@h"}
	w.read(strings.Split(taken, "\n"))
	if w.settle(true); w.fate.Status != "sent" {
		t.Errorf("without a filter the status is %q", w.fate.Status)
	}
}

func TestAdviceNamesAParameter(t *testing.T) {
	h := &host{effective: map[string]string{"smtp_host_lookup": "native"}}
	for reply, want := range map[string]string{
		"SASL authentication failed; server r said: 535 no":                                              "smtp_sasl_password_maps",
		"SASL authentication failed; cannot authenticate to server r: no mechanism available":            "libsasl2-modules",
		"TLS is required, but was not offered by host r":                                                 "in between",
		"SMTPUTF8 is required, but was not offered by host r":                                            "smtputf8_enable",
		"Server certificate not trusted":                                                                 "smtp_tls_CAfile",
		"Host or domain name not found. Name service error for name=r type=A: Host not found":            "chroot",
		"Host or domain name not found. Name service error for name=r type=A: Host not found, try again": "did not answer",
		"host r said: 550 5.7.1 no (in reply to MAIL FROM command)":                                      "smtp_generic_maps",
		"host r said: 553 5.7.1 <a@b>: Sender address rejected: no (in reply to RCPT TO command)":        "smtp_generic_maps",
		"host r said: 550 5.1.1 <a@b>: Recipient address rejected: no (in reply to RCPT TO command)":     "recipient",
		"host r said: 554 5.7.1 no (in reply to end of DATA command)":                                    "--from",
	} {
		if got := h.adviseReply(&Result{Fate: Fate{Reply: reply, Sender: "a@b"}, Probe: &probe.Report{}}); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
}
