//go:build integration

package integration

import (
	"context"
	"fmt"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// reply is what a person does when a question is shown, in each of the frontends that talk to a terminal.
type reply struct {
	question string // of the short description in the templates
	dialog   string // keys
	readline string // a line
}

const (
	enter  = "\r"
	tab    = "\t"
	escape = "\x1b"
	home   = "\x1b[H"
	down   = "\x1b[B"
	wipe   = "\x15" // control-U: the default stands in the line
)

// interview is a conversation: the person goes back once, changes most answers and keeps two as shown.
var interview = []reply{
	{"General mail configuration type:", home + down + down + enter, "3"}, // Internet with smarthost
	{"System mail name:", wipe + "wrong.example" + enter, "neu.example"},
	{"Provider of the relay host", enter, "1"},       // other
	{"SMTP relay host (blank for none)", escape, ""}, // back, in the dialog
	{"Provider of the relay host", escape, ""},
	{"System mail name:", wipe + "neu.example" + enter, ""},
	{"Provider of the relay host", enter, ""},
	{"SMTP relay host (blank for none)", wipe + "[relay.example.test]:587" + enter, "[relay.example.test]:587"},
	{"Account at the relay host", enter, " "},
	{"Encryption on the way to the relay host", enter, "1"},
	{"Sender addresses:", enter, "1"},
	{"Recipient for root and postmaster mail", wipe + "anna" + enter, "anna"},
	{"Other destinations to accept mail for", enter, "neu.example, localhost"},
	{"Force synchronous updates on mail queue", enter, "no"},
	{"Local networks:", enter, "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"},
	{"Use procmail for local delivery", tab + enter, "no"},
	{"Mailbox size limit", wipe + "20480000" + enter, "20480000"},
	{"Local address extension character", wipe + "-" + enter, "-"},
	{"Internet protocols to use", home + down + down + enter, "3"}, // ipv4
}

// afterInterview is what main.cf must say then.
const afterInterview = `test "$(postconf -h relayhost)" = '[relay.example.test]:587'
test "$(postconf -h mailbox_size_limit)" = 20480000
test "$(postconf -h recipient_delimiter)" = -
test "$(postconf -h inet_protocols)" = ipv4
test "$(postconf -h mailbox_command)" = ''
test "$(postconf -h mynetworks)" = '127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128'
test "$(cat /etc/mailname)" = neu.example
test "$(postconf -hx myorigin)" = /etc/mailname
grep -q '^# kept' /etc/postfix/main.cf
test "$(postconf -h header_checks)" = regexp:/etc/postfix/checks
systemctl is-active -q postfix@-
`

// TestFrontends answers the questions of an installed host in each of debconf's frontends.
func TestFrontends(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		for name, drive := range map[string]func(context.Context, *testing.T, *hosts.Host) (said string, err error){
			"dialog": byDialog, "readline": byReadline, "editor": byEditor, "noninteractive": byPreseed,
		} {
			h := boot(ctx, t, "host", installed(ctx, t, release, product.Ours))
			sh(ctx, t, h, "echo '# kept' >> /etc/postfix/main.cf; postconf -e 'header_checks = regexp:/etc/postfix/checks'; touch /etc/postfix/checks")
			said, err := drive(ctx, t, h)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if out, err := h.Sh(ctx, "exec 2>&1; set -x\n"+afterInterview); err != nil {
				t.Errorf("%s: main.cf is not as answered:\n%s\nit said:\n%s", name, out, said)
			}
			if err := h.Remove(); err != nil {
				t.Error(err)
			}
		}
	})
}

func byDialog(ctx context.Context, t *testing.T, h *hosts.Host) (string, error) {
	return talk(ctx, t, h, "dialog", interview, func(r reply) string { return r.dialog })
}

func byReadline(ctx context.Context, t *testing.T, h *hosts.Host) (string, error) {
	return talk(ctx, t, h, "readline", interview, func(r reply) string {
		if r.readline == "" {
			return ""
		}
		return wipe + r.readline + enter
	})
}

// talk goes through an interview; a question that this release does not have is left out.
func talk(ctx context.Context, t *testing.T, h *hosts.Host, frontend string, interview []reply, keys func(reply) string) (string, error) {
	term := open(ctx, t, h, "dpkg-reconfigure", "-f", frontend, "postfix")
	var questions []reply
	for _, r := range interview {
		if keys(r) != "" {
			questions = append(questions, r)
		}
	}
	for i := 0; i < len(questions); {
		wanted := []string{questions[i].question}
		if i+1 < len(questions) {
			wanted = append(wanted, questions[i+1].question)
		}
		skipped, err := term.expect(wanted...)
		if err != nil {
			return "", err
		}
		if i += skipped; skipped > 0 && questions[i-1].question != "Force synchronous updates on mail queue" {
			return "", fmt.Errorf("%q was not asked", questions[i-1].question)
		}
		if err := term.send(keys(questions[i])); err != nil {
			return "", err
		}
		i++
	}
	return term.wait()
}

func byEditor(ctx context.Context, t *testing.T, h *hosts.Host) (string, error) {
	sh(ctx, t, h, `cat > /usr/local/bin/answer <<'SCRIPT'
#!/bin/sh
set -e
cp "$1" /root/asked
sed -i -e 's,^\(postfix/main_mailer_type\)=.*,\1="Internet with smarthost",' -e 's,^\(postfix/mailname\)=.*,\1="neu.example",' \
	-e 's,^\(postfix/relayhost\)=.*,\1="[relay.example.test]:587",' -e 's,^\(postfix/root_address\)=.*,\1="anna",' \
	-e 's,^\(postfix/procmail\)=.*,\1="no",' -e 's,^\(postfix/mailbox_limit\)=.*,\1="20480000",' \
	-e 's,^\(postfix/recipient_delim\)=.*,\1="-",' -e 's,^\(postfix/protocols\)=.*,\1="ipv4",' "$1"
SCRIPT
chmod +x /usr/local/bin/answer`)
	return open(ctx, t, h, "EDITOR=/usr/local/bin/answer", "VISUAL=", "dpkg-reconfigure", "-f", "editor", "postfix").wait()
}

func byPreseed(ctx context.Context, _ *testing.T, h *hosts.Host) (string, error) {
	err := product.Preseed(ctx, h, product.Answers{
		"main_mailer_type": "Internet with smarthost", "mailname": "neu.example", "relayhost": "[relay.example.test]:587", "root_address": "anna",
		"procmail": "false", "mailbox_limit": "20480000", "recipient_delim": "-", "protocols": "ipv4",
	})
	if err != nil {
		return "", err
	}
	return h.Run(ctx, reconfigure...)
}
