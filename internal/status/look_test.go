package status

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/sysroot/sysroottest"
)

// certificate is one that ends then, in PEM.
func certificate(t *testing.T, ends time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: ends.AddDate(-1, 0, 0), NotAfter: ends}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLook(t *testing.T) {
	early, late := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		main  string
		tls   TLS
		relay Relay
		wrong string // a piece of a problem
	}{
		"nothing set":           {"", TLS{}, Relay{}, ""},
		"a relay":               {"relayhost = $r\nr = [a.example]:587\nsmtp_tls_security_level = verify\nsmtp_sasl_auth_enable = yes\n", TLS{}, Relay{"[a.example]:587", "verify", true, false}, ""},
		"TLS":                   {"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /c/late\n", TLS{"may", late, "/c/late"}, Relay{}, ""},
		"two certificates":      {"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /c/late\nsmtpd_tls_eccert_file = /c/early\n", TLS{"may", early, "/c/early"}, Relay{}, ""},
		"chain files":           {"smtpd_tls_security_level = encrypt\nsmtpd_tls_chain_files = /c/key, /c/late\nsmtpd_tls_cert_file = /c/early\n", TLS{"encrypt", late, "/c/late"}, Relay{}, "no certificate in /c/key"},
		"off":                   {"smtpd_tls_security_level = none\nsmtpd_tls_cert_file = /c/late\n", TLS{}, Relay{}, ""},
		"the old switch":        {"smtpd_use_tls = yes\nsmtpd_tls_cert_file = none\n", TLS{Level: "may"}, Relay{}, ""},
		"no file":               {"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /c/gone\n", TLS{Level: "may"}, Relay{}, "/c/gone"},
		"no certificate":        {"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /c/broken\n", TLS{Level: "may"}, Relay{}, "cannot understand the certificate in /c/broken"},
		"a main.cf that breaks": {"nonsense\n", TLS{}, Relay{}, "cannot look at the configuration of instance -"},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{
				"etc/postfix/main.cf": tc.main, "c/late": certificate(t, late) + certificate(t, early), "c/early": certificate(t, early), "c/key": "nothing\n",
				"c/broken": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			})
			in := Input{Root: root, Report: Report{Instances: []Instance{{Name: "-", Unit: "u", ConfigDir: "/etc/postfix", QueueDir: "/q", State: "inactive", Expected: []string{"192.0.2.1:25"}}}}}
			in.Since = func(_ context.Context, unit, state string) (time.Time, error) {
				if unit != "u" || state != "inactive" {
					t.Errorf("since when is %s %s?", unit, state)
				}
				return early, nil
			}
			r := Look(t.Context(), in)
			got := r.Instances[0]
			problems := strings.Join(got.Problems, "\n")
			if got.TLS != tc.tls || got.Relay != tc.relay || !got.Since.Equal(early) || (tc.wrong == "") != (problems == "") || !strings.Contains(problems, tc.wrong) {
				t.Errorf("got %+v %+v since %v, problems %q", got.TLS, got.Relay, got.Since, problems)
			}
			if len(got.Missing) > 0 { // it does not run
				t.Errorf("missing: %q", got.Missing)
			}
		})
	}
}

// Who has no use for the queues is spared the counting.
func TestNoQueues(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "", "q/hold/A1": "", "q/hold/A2": ""})
	for _, without := range []bool{false, true} {
		r := Look(t.Context(), Input{Root: root, Report: Report{Instances: []Instance{{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q"}}}, NoQueues: without})
		if got := r.Instances[0].Queue.Hold; (got == 2) == without {
			t.Errorf("without %v: %d", without, got)
		}
	}
}
