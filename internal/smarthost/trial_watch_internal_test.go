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
`
	res := &Result{}
	w := watch{res: res, id: "mine@h"}
	w.read(strings.Split(log, "\n"))
	want := Result{QueueID: "39F6", Sender: "root@h", Via: "r.example[1.2.3.4]:587", Status: "bounced",
		Reply: "host r.example[1.2.3.4] said: 553 5.7.1 <root@h>: no (in reply to MAIL FROM command)"}
	if !reflect.DeepEqual(*res, want) {
		t.Errorf("%+v, want %+v", *res, want)
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

// What a content filter takes is not at the relay: the message that it hands back counts, or none.
func TestTheFilterIsNotTheRelay(t *testing.T) {
	const taken = "AAA1: message-id=<mine@h>\nAAA1: to=<b@c>, relay=filter, delay=1, dsn=2.0.0, status=sent (delivered via filter service)\n"
	const back = "BBB2: message-id=<mine@h>\nBBB2: to=<b@c>, relay=r.example[1.2.3.4]:587, delay=1, dsn=4.0.0, status=deferred (later)\n"
	before := "AAA1: message-id=<mine@h>\nBBB2: message-id=<mine@h>\nAAA1: to=<b@c>, relay=127.0.0.1[127.0.0.1]:10024, status=sent (250 ok)\n" + back
	for log, want := range map[string]string{taken: "", taken + back: "deferred", before: "deferred"} {
		w := watch{res: &Result{}, id: "mine@h", filter: "filter:dummy"}
		for range 2 { // what was kept of a log is gone through each time
			w.read(strings.Split(log, "\n"))
		}
		if w.res.Status != want || log != before && w.handed != "filter" {
			t.Errorf("status %q by %q, want %q:\n%s", w.res.Status, w.handed, want, log)
		}
	}
	w := watch{res: &Result{}, id: "mine@h"}
	if w.read(strings.Split(taken, "\n")); w.res.Status != "sent" {
		t.Errorf("without a filter the status is %q", w.res.Status)
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
		if got := h.adviseReply(&Result{Reply: reply, Sender: "a@b", Probe: &probe.Report{}}); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
}
