package probe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// judge looks at the certificate as Postfix does at this level: at encrypt it only reports, at verify and secure chain, time and
// name must be right.
func (r *Report) judge(chain []*x509.Certificate, t Target) error {
	if len(chain) == 0 {
		return &Failure{Handshake, "the relay shows no certificate"}
	}
	leaf := chain[0]
	c := &Certificate{
		Subject: Clean(leaf.Subject.String()), Issuer: Clean(leaf.Issuer.String()), Names: cleanAll(names(leaf)), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
	}
	r.Certificate = c
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: t.Roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	c.Trusted = err == nil
	for _, want := range t.Match {
		if want == "hostname" {
			want = r.Host
			if want == "" {
				want = t.Host
			}
		}
		c.Matched = c.Matched || matches(leaf, want)
	}
	if err != nil {
		c.Why = Clean(reason(err))
	}
	if t.Level != "verify" && t.Level != "secure" {
		return nil
	}
	var invalid x509.CertificateInvalidError
	now := time.Now()
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired, now.After(leaf.NotAfter), now.Before(leaf.NotBefore):
		return &Failure{Expired, fmt.Sprintf("the certificate is valid from %s to %s", day(leaf.NotBefore), day(leaf.NotAfter))}
	case err != nil:
		return &Failure{Untrusted, "the certificate is not trusted: " + c.Why}
	case !c.Matched:
		return &Failure{OtherName, fmt.Sprintf("the certificate is for %s, not for %s", list(c.Names), strings.Join(t.Match, " or "))}
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func list(names []string) string {
	if len(names) == 0 {
		return "no name at all"
	}
	return strings.Join(names, ", ")
}

// names are those that count: the DNS names, and only without any of them the common name (RFC 6125 6.4.4), and addresses.
func names(cert *x509.Certificate) []string {
	all := append([]string{}, cert.DNSNames...)
	if len(all) == 0 && cert.Subject.CommonName != "" {
		all = append(all, cert.Subject.CommonName)
	}
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	return all
}

// matches compares with one name; ".example.com" takes every name below it. A certificate's * stands for one whole label.
func matches(cert *x509.Certificate, want string) bool {
	if ip := net.ParseIP(want); ip != nil {
		for _, have := range cert.IPAddresses {
			if have.Equal(ip) {
				return true
			}
		}
	}
	for _, have := range names(cert) {
		have, want := strings.ToLower(strings.TrimSuffix(have, ".")), strings.ToLower(strings.TrimSuffix(want, "."))
		if strings.HasPrefix(want, ".") && strings.HasSuffix(have, want) || have == want {
			return true
		}
		_, rest, _ := strings.Cut(want, ".")
		if tail, ok := strings.CutPrefix(have, "*."); ok && tail == rest && strings.Contains(tail, ".") {
			return true
		}
	}
	return false
}

// reason says in plain words why a chain is not trusted.
func reason(err error) string {
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &authority):
		return "it was not issued by a CA that is trusted here"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "it, or its CA's, is not valid now"
	}
	return err.Error()
}
