//go:build integration

package integration

import (
	"context"
	"os"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// fleetRuns are runs of the playbook that others may copy, one after the other on one host. Each ends with the tasks of the recap: changed
// and failed; and what is looked at afterwards has no other output than "-".
var fleetRuns = []struct{ name, args, changed, look string }{
	{"a check before anything is there", "--check", "some", "[ ! -e /usr/sbin/postfix-maint ]"},
	{"the first run", "", "some", `[ "$(postconf -h mydestination relayhost recipient_delimiter | tail -n 2 | tr '\n' ' ')" = '[relay.example.test]:587 + ' ]
		postmap -q '[relay.example.test]:587' "$(postconf -h default_database_type):/etc/postfix/sasl_passwd" | grep -qx joe:correct-horse
		systemctl is-active -q postfix@- postfix@postfix-out; postfix-maint doctor > /root/said 2>&1 || [ $? = 1 ]`},
	{"the same again", "", "0", "cmp /root/main.cf /etc/postfix/main.cf"},
	{"a check of the same", "--check --diff", "0", "cmp /root/main.cf /etc/postfix/main.cf"},
	{"a check of another delimiter", "--check --diff -e delimiter=-", "some", "cmp /root/main.cf /etc/postfix/main.cf"},
	{"another delimiter", "-e delimiter=-", "some", `[ "$(postconf -h recipient_delimiter)" = - ]; [ $(diff /root/main.cf /etc/postfix/main.cf | grep -c '^[<>]') = 2 ]`},
	{"that again", "-e delimiter=-", "0", "cmp /root/main.cf /etc/postfix/main.cf"},
	{"an edit by hand stays", "-e delimiter=-", "0", "[ \"$(postconf -h message_size_limit)\" = 12345678 ]"},
}

// fleet runs a scenario on the newest release, and where there is time for more (-nightly) on each.
func fleet(t *testing.T, do func(ctx context.Context, t *testing.T, release string)) {
	t.Parallel()
	all := releases()
	for _, release := range all {
		if *nightly || release == all[len(all)-1] {
			t.Run(release, func(t *testing.T) { do(scenario(t, 1), t, release) })
		}
	}
}

// TestFleetAnsible runs Debian's ansible-core on the host that it sets up.
func TestFleetAnsible(t *testing.T) {
	fleet(t, func(ctx context.Context, t *testing.T, release string) {
		opt := source(ctx, t, release, product.Ours)
		tools, err := session.Packages(ctx, release, "ansible", "ansible-core", "python3-apt", "python3-debconf")
		if err != nil {
			t.Fatal(err)
		}
		opt.Binds[tools] = "/tools"
		h := boot(ctx, t, "mail", opt)
		if err := os.CopyFS(h.Root()+"/root/fleet", os.DirFS("fleet/ansible")); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, h, `printf 'deb [trusted=yes] file:/tools ./\ndeb [trusted=yes] file:/packages ./\n' > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*
			apt-get update -q; apt-get install -y -q --no-install-recommends ansible-core python3-apt
			printf 'localhost ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n' > /root/inventory
			printf 'relay_password: correct-horse\n' > /root/secret.yml`)
		for _, r := range fleetRuns {
			out, err := h.Sh(ctx, "cd /root/fleet; LC_ALL=C.UTF-8 ANSIBLE_NOCOLOR=1 ansible-playbook -i /root/inventory -e @/root/secret.yml site.yml "+r.args+" 2>&1")
			if err != nil {
				t.Fatalf("%s: %v", r.name, err)
			}
			_, recap, _ := strings.Cut(out, "PLAY RECAP")
			if unchanged := strings.Contains(recap, "changed=0 "); unchanged != (r.changed == "0") {
				t.Errorf("%s: changed is not %s:\n%s", r.name, r.changed, out)
			}
			if strings.Contains(out, "correct-horse") {
				t.Errorf("%s: the password is on the screen", r.name)
			}
			if said, err := h.Sh(ctx, r.look); err != nil {
				t.Errorf("%s: %v: %s", r.name, err, said)
			}
			sh(ctx, t, h, "[ ! -e /etc/postfix/main.cf ] || cp /etc/postfix/main.cf /root/main.cf; [ -e /etc/postfix/main.cf ] && postconf -e message_size_limit=12345678 && cp /etc/postfix/main.cf /root/main.cf || :")
		}
	})
}

// TestFleetArchive makes an apt source of our packages with the script that others may copy, and installs from it: signed, pinned, before a
// newer one of Debian's; the next one comes by unattended-upgrades. One that was changed on the way is refused.
func TestFleetArchive(t *testing.T) {
	fleet(t, func(ctx context.Context, t *testing.T, release string) {
		opt := source(ctx, t, release, product.Ours)
		tools, err := session.Packages(ctx, release, "gnupg", "gnupg")
		if err != nil {
			t.Fatal(err)
		}
		stock, err := product.Folder(ctx, session, release, product.Debian)
		if err != nil {
			t.Fatal(err)
		}
		upgrades, err := session.Packages(ctx, release, "unattended-upgrades", "unattended-upgrades")
		if err != nil {
			t.Fatal(err)
		}
		opt.Binds[tools], opt.Binds[stock], opt.Binds[upgrades] = "/tools", "/stock", "/upgrades"
		h := boot(ctx, t, "mail", opt)
		if err := os.CopyFS(h.Root()+"/root/fleet", os.DirFS("fleet/archive")); err != nil {
			t.Fatal(err)
		}
		sh(ctx, t, h, product.NextVersion+`
			printf 'deb [trusted=yes] file:%s ./\n' /tools /upgrades > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*
			apt-get update -q; apt-get install -y -q --no-install-recommends gnupg unattended-upgrades
			gpg --batch --passphrase '' --quick-generate-key archive@example.test ed25519 sign never
			mkdir -p /srv/mail /srv/debian; cp /packages/*.deb /srv/mail
			/root/fleet/publish /srv/mail mail.example.test archive@example.test
			next /stock/postfix_*.deb /srv/debian; cd /srv/debian; apt-ftparchive packages . > Packages
			echo 'deb [trusted=yes] file:/srv/debian ./' > /etc/apt/sources.list
			cp /srv/mail/archive-key.gpg /usr/share/keyrings/mail-archive.gpg; cp /root/fleet/mail.pref /etc/apt/preferences.d/; cp /root/fleet/52mail-upgrades /etc/apt/apt.conf.d/
			sed 's,https://[^ ]*,file:/srv/mail,' /root/fleet/mail.sources > /etc/apt/sources.list.d/mail.sources
			apt-get update -q
			apt-get install -y -q postfix
			dpkg-query -Wf '${Version}\n' postfix | grep '+a[0-9a-z.~]*$'
			apt-get dist-upgrade -y -q; dpkg-query -Wf '${Version}\n' postfix | grep '+a[0-9a-z.~]*$'
			postfix-maint adopt --status
			rm /srv/mail/postfix_*.deb; postfix-maint adopt --output /srv/mail /srv/debian/postfix_*.deb
			/root/fleet/publish /srv/mail mail.example.test archive@example.test
			apt-get update -q; unattended-upgrade -v; apt-cache policy postfix
			[ "$(dpkg-query -Wf '${Version}' postfix)" = "$(dpkg-deb -f /srv/mail/postfix_*.deb Version)" ]; systemctl is-active postfix@-`)
		if out, err := h.Sh(ctx, `echo >> /srv/mail/Packages; rm -rf /var/lib/apt/lists/*; apt-get update -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none 2>&1`); err == nil || !strings.Contains(out, "Hash Sum mismatch") && !strings.Contains(out, "unexpected size") {
			t.Errorf("a changed index is taken: %v: %s", err, out)
		}
		if out, err := h.Sh(ctx, `cd /srv/mail; apt-ftparchive release . > Release; rm InRelease; apt-get update -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none 2>&1`); err == nil || !strings.Contains(out, "is not signed") {
			t.Errorf("an archive without a signature is taken: %v: %s", err, out)
		}
	})
}

// TestFleetCloudInit boots a host with Debian's cloud-init and the user-data that others may copy.
func TestFleetCloudInit(t *testing.T) {
	fleet(t, func(ctx context.Context, t *testing.T, release string) {
		opt := source(ctx, t, release, product.Ours)
		tools, err := session.Packages(ctx, release, "cloud-init", "cloud-init")
		if err != nil {
			t.Fatal(err)
		}
		opt.Binds[tools] = "/tools"
		h := boot(ctx, t, "web", opt)
		data, err := os.ReadFile("fleet/cloud-init/user-data")
		if err != nil {
			t.Fatal(err)
		}
		const from = "deb [signed-by=/usr/share/keyrings/mail-archive.gpg] https://archive.example.test/mail/trixie ./"
		user := strings.Replace(string(data), from, "deb [trusted=yes] file:/packages ./", 1)
		if user == string(data) {
			t.Fatal("the archive of the user-data is another one")
		}
		sh(ctx, t, h, `printf 'deb [trusted=yes] file:/tools ./\n' > /etc/apt/sources.list; rm -f /etc/apt/sources.list.d/*
			apt-get update -q; apt-get install -y -q --no-install-recommends cloud-init
			mkdir -p /var/lib/cloud/seed/nocloud; printf 'instance-id: one\n' > /var/lib/cloud/seed/nocloud/meta-data
			printf 'datasource_list: [NoCloud]\nnetwork: {config: disabled}\napt_preserve_sources_list: true\n' > /etc/cloud/cloud.cfg.d/90-test.cfg`)
		if err := os.WriteFile(h.Root()+"/var/lib/cloud/seed/nocloud/user-data", []byte(user), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := h.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := h.Boot(ctx); err != nil {
			t.Fatal(err)
		}
		await(ctx, t, h, "the end of cloud-init", "[ -e /var/lib/cloud/instance/boot-finished ]")
		sh(ctx, t, h, `! grep -E 'errors\": \[[^]]' /run/cloud-init/result.json || { grep -E 'WARN|ERR' /var/log/cloud-init.log; exit 1; }
			[ "$(hostname --fqdn)" = web1.example.test ]; [ "$(cat /etc/mailname)" = example.test ]
			[ "$(postconf -h relayhost)" = '[relay.example.test]:587' ]; grep -qx 'root: *ops@example.test' /etc/aliases
			[ "$(postconf -xh myhostname)" = web1.example.test ]
			systemctl is-active postfix@-; postfix-maint doctor`)
	})
}
