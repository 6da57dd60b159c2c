package smarthost

import (
	"strings"
	"testing"

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
	if *res != want {
		t.Errorf("%+v, want %+v", *res, want)
	}
}

func TestAdviceNamesAParameter(t *testing.T) {
	h := &host{effective: map[string]string{"smtp_host_lookup": "native"}}
	for reply, want := range map[string]string{
		"SASL authentication failed; server r said: 535 no":                                          "smtp_sasl_password_maps",
		"SASL authentication failed; cannot authenticate to server r: no mechanism available":        "libsasl2-modules",
		"TLS is required, but was not offered by host r":                                             "in between",
		"SMTPUTF8 is required, but was not offered by host r":                                        "smtputf8_enable",
		"Server certificate not trusted":                                                             "smtp_tls_CAfile",
		"Host or domain name not found. Name service error for name=r type=A: Host not found":        "chroot",
		"host r said: 550 5.7.1 no (in reply to MAIL FROM command)":                                  "smtp_generic_maps",
		"host r said: 553 5.7.1 <a@b>: Sender address rejected: no (in reply to RCPT TO command)":    "smtp_generic_maps",
		"host r said: 550 5.1.1 <a@b>: Recipient address rejected: no (in reply to RCPT TO command)": "recipient",
		"host r said: 554 5.7.1 no (in reply to end of DATA command)":                                "--from",
	} {
		if got := h.adviseReply(&Result{Reply: reply, Sender: "a@b", Probe: &probe.Report{}}); !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", reply, got, want)
		}
	}
}
