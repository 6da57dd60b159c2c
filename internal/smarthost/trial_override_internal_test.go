package smarthost

import (
	"strings"
	"testing"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/sysroot/sysroottest"
)

// The test goes by what master.cf says for the services that its message meets, each for what it decides.
func TestOverridesOfTheTest(t *testing.T) {
	for line, want := range map[string]string{
		"smtp unix - - y - - smtp -o smtp_tls_security_level=encrypt":     "relay.example may > relay.example encrypt",
		"smtp unix - - y - - smtp -o { smtp_tls_security_level = $mine}":  "relay.example may > relay.example verify",
		"smtp unix - - y - - smtp -o relayhost=other.example":             "relay.example may > relay.example may",
		"rewrite unix - - y - - trivial-rewrite -o relayhost=[o.example]": "relay.example may > [o.example] may",
		"other unix - - y - - smtp -o smtp_tls_security_level=none":       "relay.example may > relay.example may",
		"": "relay.example may > relay.example may",
	} {
		live, err := maincf.Parse([]byte("mine = verify\n"))
		if err != nil {
			t.Fatal(err)
		}
		root := sysroottest.New(t, map[string]string{"etc/postfix/master.cf": line + "\n"})
		h := &host{
			d: Deps{Root: root}, inst: instance.Instance{ConfigDir: "/etc/postfix"}, live: live,
			effective: map[string]string{"relayhost": "relay.example", "smtp_tls_security_level": "may", "default_transport": "smtp"},
		}
		before := h.effective["relayhost"] + " " + h.effective["smtp_tls_security_level"]
		shown, err := h.override()
		got := before + " > " + h.effective["relayhost"] + " " + h.effective["smtp_tls_security_level"]
		if changed := !strings.HasSuffix(got, before); err != nil || got != want || changed != (len(shown) == 1) {
			t.Errorf("%q: %s, want %s; shown %q, %v", line, got, want, shown, err)
		}
	}
}
