package setup_test

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
)

// Debian 13 no longer compiles the place of the SASL configuration in: an upgrade writes it down, in every instance, where
// nobody chose another one.
func TestUpgradeAcrossReleases(t *testing.T) {
	const line = "cyrus_sasl_config_path = /etc/postfix/sasl"
	for name, c := range map[string]struct {
		old, new, main string
		typ            answers.Type
		want           bool
	}{
		"12 to 13":                        {"3.7.11-0+deb12u1+maint1", "3.10.13-0+deb13u1+maint1", "", answers.InternetSite, true},
		"12 to 13 without configuration":  {"3.7.11-0+deb12u1", "3.10.13-0+deb13u1+maint1", "", answers.NoConfiguration, true},
		"within 12":                       {"3.7.11-0+deb12u1", "3.7.11-0+deb12u2+maint1", "", answers.InternetSite, false},
		"within 13":                       {"3.10.1-1", "3.10.13-0+deb13u1+maint1", "", answers.InternetSite, false},
		"12 to 13 with a path of its own": {"3.7.11", "3.10.13", "cyrus_sasl_config_path = /srv/sasl\n", answers.InternetSite, false},
		"an unknown version":              {"3.7.11", "", "", answers.InternetSite, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, map[string]string{
				"etc/postfix/main.cf":     "multi_instance_directories = /etc/postfix-out\n" + c.main,
				"etc/postfix-out/main.cf": "multi_instance_name = out\nmulti_instance_enable = yes\nqueue_directory=/var/spool/postfix-out\ndata_directory=/var/lib/postfix-out\n" + c.main,
				"etc/aliases":             "", "etc/aliases.db": "", "etc/postfix/master.cf": "",
			})
			p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{
				Answers: answers.Answers{answers.MailerType: {Value: string(c.typ), Answered: true}}, Package: c.new, Old: c.old,
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Apply(context.Background(), func(setup.Change) {}, settled); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{"/etc/postfix/main.cf", "/etc/postfix-out/main.cf"} {
				if got := read(t, root, path); strings.Contains(got, line) != c.want {
					t.Errorf("%s is %q, with the path: want %v", path, got, c.want)
				}
			}
		})
	}
}
