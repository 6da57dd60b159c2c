//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// providerHosts are names of providers' relays, which the relay of the scenarios has in the test's DNS and in its certificate.
var providerHosts = []string{"smtp.gmail.com", "smtp.fastmail.com", "email-smtp.eu-central-1.amazonaws.com"}

// refuseUnverified makes the relay say what Amazon SES says of a sender that is not verified.
const refuseUnverified = `postconf -e 'smtpd_sender_restrictions=check_sender_access inline:{ {unverified@relay.example.test = ` +
	`554 Message rejected: Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: unverified@relay.example.test} }, ` +
	`reject_known_sender_login_mismatch'; postfix reload 2>/dev/null`

// TestProvidersByName sets relays by the provider's name, against a host that has their names, ports, TLS and logins: mail is delivered, what a
// refusal means there is said, and unset takes all back.
func TestProvidersByName(t *testing.T) {
	withRelay(t, clientOptions, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		sh(ctx, t, client, trustRelay)
		sh(ctx, t, relay, refuseUnverified)
		before := sh(ctx, t, client, "postconf -n")
		for _, c := range []struct{ args, relay, mechanism, wrapper, note string }{
			{"--provider gmail", "[smtp.gmail.com]:587", "PLAIN", "no", "app password"},
			{"--provider fastmail", "[smtp.fastmail.com]:465", "LOGIN", "yes", "app password"},
			{"--provider amazon-ses --region eu-central-1", "[email-smtp.eu-central-1.amazonaws.com]:587", "PLAIN", "no", "no access key"},
		} {
			said := setSmarthost(ctx, t, client, pass, append(strings.Fields(c.args), "--user", "anna", "--rewrite", "generic="+account)...)
			o, ok := tryRelay(ctx, t, client)
			if cert := o.Probe.Certificate; !ok || !o.Delivered || o.Probe.Mechanism != c.mechanism || o.TLS != "verify" || cert == nil || !cert.Matched {
				t.Errorf("%s: %+v", c.args, o)
			}
			got := sh(ctx, t, client, "postconf -h relayhost smtp_tls_wrappermode; postfix-maint smarthost show")
			name := strings.Fields(strings.Replace(c.args, "gmail", "google", 1))[1]
			if !strings.HasPrefix(got, c.relay+"\n"+c.wrapper+"\n") || !strings.Contains(got, "(--provider "+name+")") || !strings.Contains(said, c.note) {
				t.Errorf("%s: in force is\n%s\nit was said:\n%s", c.args, got, said)
			}
		}
		for _, c := range []struct{ args, password, advice string }{
			{"--provider google --user anna --rewrite generic=" + account, "wrong", "an app password"},
			{"--provider amazon-ses --region eu-central-1 --user anna --rewrite generic=unverified@relay.example.test", pass, "verify it in the SES console"},
		} {
			setSmarthost(ctx, t, client, c.password, strings.Fields(c.args)...)
			if o, ok := tryRelay(ctx, t, client); ok || o.Delivered || !strings.Contains(o.Advice, c.advice) {
				t.Errorf("%s: %+v", c.args, o)
			}
		}
		for args, want := range map[string]string{
			"--provider microsoft --user anna":                               "smarthost login --provider microsoft",
			"--provider google --relay [relay.example.test]:587 --user anna": "is no host of Gmail",
			"--provider google --tls encrypt --user anna":                    "use verify or secure",
		} {
			if _, err := smarthost(ctx, client, pass, append([]string{"set"}, strings.Fields(args)...)...); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", args, err)
			}
		}
		if _, err := smarthost(ctx, client, "", "unset"); err != nil {
			t.Error(err)
		}
		if after := sh(ctx, t, client, "postconf -n"); after != before {
			t.Errorf("unset left\n%s\nbefore it was\n%s", after, before)
		}
	})
}

// TestProviderPreseeded installs with nothing but provider, account and password.
func TestProviderPreseeded(t *testing.T) {
	fresh := func(ctx context.Context, t *testing.T, release string) hosts.Options {
		return source(ctx, t, release, product.Ours)
	}
	withRelay(t, fresh, func(ctx context.Context, t *testing.T, relay, client *hosts.Host) {
		sh(ctx, t, client, trustRelay)
		answers := product.Answers{
			"main_mailer_type": "Satellite system", "mailname": client.Name + ".example.test", "maint_relay_provider": "fastmail", "maint_relay_account": "anna",
			"maint_relay_password": pass, "maint_sender_rewriting": "generic", "maint_sender_address": account,
		}
		if err := product.Preseed(ctx, client, answers); err != nil {
			t.Fatal(err)
		}
		said := sh(ctx, t, client, "apt-get install -q -y --no-install-recommends postfix-maint postfix 2>&1")
		if o, ok := tryRelay(ctx, t, client); !ok || !o.Delivered || o.TLS != "verify" {
			t.Errorf("%+v; it was said:\n%s", o, said)
		}
		state := "postconf -n; stat -c '%n %Y' /etc/postfix/*"
		before := sh(ctx, t, client, state)
		said = sh(ctx, t, client, "dpkg-reconfigure -f noninteractive postfix 2>&1")
		if after := sh(ctx, t, client, state); after != before {
			t.Errorf("another run changed\n%s\nto\n%s\nand said:\n%s", before, after, said)
		}
		// Another provider takes the place of what is in force, until a relay host is named as well.
		for _, c := range []struct{ provider, relayhost, want string }{
			{"google", "", "[smtp.gmail.com]:587"}, {"fastmail", "[relay.example.test]:587", "[relay.example.test]:587"},
		} {
			more := product.Answers{"maint_relay_provider": c.provider, "maint_relay_account": "anna", "maint_relay_password": pass}
			if c.relayhost != "" {
				more["relayhost"] = c.relayhost
			}
			if err := product.Preseed(ctx, client, more); err != nil {
				t.Fatal(err)
			}
			said = sh(ctx, t, client, "dpkg-reconfigure -f noninteractive postfix 2>&1")
			if o, ok := tryRelay(ctx, t, client); !ok || sh(ctx, t, client, "postconf -h relayhost") != c.want+"\n" {
				t.Errorf("%v: %+v; it was said:\n%s", more, o, said)
			}
		}
	})
}
