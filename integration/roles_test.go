//go:build integration

package integration

import (
	"context"
	"os"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// publicRole is a playbook of a kind that many use, which knows nothing of this layer: what is in force after it, and what becomes of
// three messages. Differing are the facts that are not what Debian's layer leads to, each with the reason.
type publicRole struct {
	playbook  string
	holds     map[string]string // of main.cf, filled in
	mail      string            // who has got what: envelope and subject
	debian    string            // the same with Debian's layer, where it is not
	differing map[string]string
}

// toAnna is why root's mail goes elsewhere where no playbook says where to.
var toAnna = map[string]string{"aliases:root": "D10: root's mail goes to the first human account, where it is read"}

var publicRoles = []publicRole{
	{
		playbook: "settings.yml",
		holds: map[string]string{
			"inet_interfaces": "localhost", "inet_protocols": "ipv4", "relayhost": "[127.0.0.1]:2525", "message_size_limit": "20480000", "default_transport": "smtp",
		},
		mail: `here <anna@mail.example.test> /var/mail/anna
root <root@mail.example.test> /var/mail/anna
there <root@mail.example.test> relay <bert@elsewhere.example>
`,
		debian: `here <anna@mail.example.test> /var/mail/anna
root <root@mail.example.test> /var/mail/nobody
there <root@mail.example.test> relay <bert@elsewhere.example>
`,
		differing: toAnna,
	},
	{
		playbook: "template.yml",
		holds: map[string]string{
			"myhostname": "mail.example.test", "inet_interfaces": "loopback-only", "relayhost": "[127.0.0.1]:2525", "smtp_sasl_auth_enable": "yes",
		},
		mail: `here <anna@mail.example.test> /var/mail/anna
root <root@mail.example.test> /var/mail/anna
there <root@mail.example.test> relay <bert@elsewhere.example>
`,
	},
	{
		playbook: "edits.yml",
		holds: map[string]string{
			"mydestination": "mail.example.test localhost", "relayhost": "[127.0.0.1]:2525", "recipient_delimiter": "-", "delay_warning_time": "4h",
			"sender_canonical_maps": "hash:/etc/postfix/canonical", "inet_interfaces": "loopback-only",
		},
		mail: `here <anna@mail.example.test> /var/mail/anna
root <ops@example.test> /var/mail/anna
there <ops@example.test> relay <bert@elsewhere.example>
`,
		debian: `here <anna@mail.example.test> /var/mail/anna
root <ops@example.test> /var/mail/nobody
there <ops@example.test> relay <bert@elsewhere.example>
`,
		differing: toAnna,
	},
}

// sentMail sends three messages, as anna and as root, and prints what became of them.
const sentMail = `
mkdir -p /var/tmp/sunk; chown postfix /var/tmp/sunk
systemd-run -q -p WorkingDirectory=/var/tmp/sunk smtp-sink -u postfix -d m. 127.0.0.1:2525 100
printf 'Subject: here\n\nx\n' | su anna -c 'sendmail anna'
printf 'Subject: root\n\nx\n' | sendmail root
printf 'Subject: there\n\nx\n' | sendmail bert@elsewhere.example
for i in $(seq 300); do [ "$(grep -rhE "^Subject: (here|root|there)" /var/mail /var/tmp/sunk | wc -l)" != 3 ] || break; sleep 0.2; done
awk 'function flush() { if (subject != "") print subject, from, to; subject = "" }
	FNR == 1 { flush() } /^From / { flush(); to = FILENAME }
	/^Return-Path: / { from = $2 } /^X-Mail-Args: / { from = $2 } /^X-Rcpt-Args: / { to = "relay " $2 } /^Subject: / { subject = $2 }
	END { flush() }' $(find /var/mail /var/tmp/sunk -type f) | sort
mailq
`

// TestFleetRoles runs the tasks of roles that were written for Debian's Postfix, with Debian's ansible-core, on a host with our layer, and
// (-nightly, which plays all of them and not the first alone) on one with Debian's own: both end in the same main.cf, by what it means, mail goes the same ways, and a second run changes
// nothing; on ours a reconfiguration does not either.
func TestFleetRoles(t *testing.T) {
	fleet(t, func(ctx context.Context, t *testing.T, release string) {
		for i, role := range publicRoles {
			if i > 0 && !*nightly {
				break
			}
			found := map[product.Layer]map[string]string{}
			for _, layer := range layers() {
				h := boot(ctx, t, "mail", withAnsible(ctx, t, release, layer))
				found[layer] = role.play(ctx, t, h, layer)
				if err := h.Remove(); err != nil {
					t.Error(err)
				}
			}
			theirs, mine := found[product.Debian], found[product.Ours]
			for _, name := range differing(theirs, mine) {
				if theirs != nil && stated(theirs, mine, name) && role.differing[name] == "" {
					t.Errorf("%s: %s: Debian %q, ours %q", role.playbook, name, theirs[name], mine[name])
				}
			}
		}
	})
}

// withAnsible is a host that has ansible and an account, and a layer's packages to be installed.
func withAnsible(ctx context.Context, t *testing.T, release string, l product.Layer) hosts.Options {
	t.Helper()
	opt, err := product.With(ctx, session, source(ctx, t, release, l), "ansible", "ansible-core", "python3-apt", "python3-debconf")
	if err != nil {
		t.Fatal(err)
	}
	opt, err = session.Layer(ctx, "roles-"+release+"-"+string(l), opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, `apt-get install -y -q --no-install-recommends ansible-core python3-apt
			useradd -m anna; printf 'localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n' > /root/inventory`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// play runs the playbook twice and gives what is in force then.
func (r publicRole) play(ctx context.Context, t *testing.T, h *hosts.Host, layer product.Layer) map[string]string {
	t.Helper()
	if err := os.CopyFS(h.Root()+"/root/roles", os.DirFS("roles")); err != nil {
		t.Fatal(err)
	}
	run := func(when string) string {
		t.Helper()
		out, err := h.Sh(ctx, "cd /root/roles; LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1 ansible-playbook -i /root/inventory "+r.playbook+" 2>&1")
		if err != nil {
			t.Fatalf("%s, the layer of %s, %s: %v", r.playbook, layer, when, err)
		}
		return out
	}
	run("the first run")
	if out := run("the second run"); !strings.Contains(out, "changed=0 ") {
		t.Errorf("%s, the layer of %s: the second run changes something:\n%s", r.playbook, layer, out)
	}
	want := r.mail
	if layer == product.Ours {
		sh(ctx, t, h, "cp /etc/postfix/main.cf /root; dpkg-reconfigure -f noninteractive postfix; cmp /root/main.cf /etc/postfix/main.cf")
	} else if r.debian != "" {
		want = r.debian
	}
	if got := sh(ctx, t, h, sentMail); got != want+"Mail queue is empty\n" {
		t.Errorf("%s, the layer of %s: mail went these ways:\n%swant:\n%s", r.playbook, layer, got, want)
	}
	found := meaning(sh(ctx, t, h, facts))
	for name, want := range r.holds {
		if found[name] != want {
			t.Errorf("%s, the layer of %s: %s is %q, want %q", r.playbook, layer, name, found[name], want)
		}
	}
	return found
}
