package smarthost_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost"
)

// A state that cannot be understood is set aside, and the configuration of now counts.
func TestADamagedStateStopsNothing(t *testing.T) {
	const name = "/var/lib/postfix-maint/smarthost/postfix@-.json"
	for _, text := range []string{"", "{", "[1]", "\x00\xff"} {
		d, _ := lay(t, map[string]string{name[1:]: text})
		if _, err := smarthost.Show(t.Context(), d, primary); err != nil || read(t, d, name) != text {
			t.Errorf("show: %v", err)
		}
		if p := set(t, d, options()); !strings.Contains(strings.Join(p.Warnings, "\n"), name+".damaged") || read(t, d, name+".damaged") != text {
			t.Errorf("%q: it is not set aside: %q", text, p.Warnings)
		}
		unset(t, d)
		if got := value(t, d, "relayhost"); got != "" {
			t.Errorf("unset leaves %q", got)
		}
	}
}

// Where Postfix's programs refuse main.cf (an address that is not up) a smarthost is shown and set all the same.
func TestAConfigurationThatPostfixRefuses(t *testing.T) {
	d, f := lay(t, nil)
	d.Run = refusing{f}
	if _, err := smarthost.Show(t.Context(), d, primary); err != nil {
		t.Error(err)
	}
	set(t, d, options())
	if got := value(t, d, "relayhost"); got != "[relay.example.net]:587" {
		t.Errorf("relayhost is %q", got)
	}
}

// refusing are programs that take the plain configuration only, and postconf(1) also another address.
type refusing struct{ *tools }

func (r refusing) Output(ctx context.Context, name string, args ...string) ([]byte, error) {
	line := strings.Join(args, " ")
	if !strings.Contains(line, "/usr/share/postfix-maint/plain") && !strings.Contains(line, "inet_interfaces=loopback-only") {
		return nil, &run.ExitError{Args: args, Code: 1, Stderr: "fatal: parameter inet_interfaces: no local interface found for 192.0.2.77"}
	}
	return r.tools.Output(ctx, name, args...)
}

// What cannot be read stops no configuration of packages: the account counts as unknown, the state as damaged.
func TestWhatCannotBeReadIsUnknown(t *testing.T) {
	const dir, name = "/var/lib/postfix-maint/smarthost", "/var/lib/postfix-maint/smarthost/postfix@-.json"
	login := mainCF + "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\nrelayhost = [r.example]:587\n"
	d, _ := lay(t, map[string]string{"etc/postfix/main.cf": login, "etc/postfix/sasl_passwd/": ""})
	live, _, err := smarthost.Live(d.Root, primary)
	if _, known := live[answers.RelayAccount]; known || live[answers.RelayHost] != "[r.example]:587" || err == nil || !strings.Contains(err.Error(), "sasl_passwd") {
		t.Errorf("a directory for the passwords: %q, %v", live, err)
	}
	d, _ = lay(t, map[string]string{dir[1:]: "a file"})
	if live, ours, err := smarthost.Live(d.Root, primary); live == nil || ours || err != nil {
		t.Errorf("a file for the directory of states: %q, %v, %v", live, ours, err)
	}
	d, _ = lay(t, map[string]string{name[1:] + "/": ""})
	if live, ours, err := smarthost.Live(d.Root, primary); live == nil || ours || err != nil {
		t.Errorf("a directory for the state: %q, %v, %v", live, ours, err)
	}
	p := set(t, d, options())
	if there, err := d.Root.Exists(name + ".damaged"); !there || err != nil || !strings.Contains(strings.Join(p.Warnings, "\n"), name+".damaged") {
		t.Errorf("a directory for the state is not set aside: %q, %v", p.Warnings, err)
	}
	if _, ok := smarthost.Last(d.Root, primary); !ok {
		t.Error("no state is written")
	}
}

func TestAnAliasFileOfAnotherAccountsNeedsRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give a directory away")
	}
	d, f := lay(t, map[string]string{
		"etc/postfix/main.cf": mainCF + "alias_database = hash:/srv/lists/aliases\n", "etc/shadow": "root:$y$secret:1\n", "srv/lists/aliases": "-> /etc/shadow",
	})
	if err := os.Chown(filepath.Join(f.dir, "srv/lists"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	o := options()
	o.Root = "anna@example.net"
	if _, err := smarthost.Set(t.Context(), d, primary, o); err == nil || !strings.Contains(err.Error(), "/srv/lists") {
		t.Errorf("set says %v", err)
	}
	if st, err := smarthost.Show(t.Context(), d, primary); st.Root != "" || err != nil {
		t.Errorf("show says %q, %v", st.Root, err)
	}
}
