package oauthrelay

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"postfix-maint/internal/oauth"
)

// refusal is why a message has to wait. Postfix gets it as a reply that begins with 4.
type refusal struct {
	problem  string // of package oauth
	enhanced string // RFC 3463
	words    string
}

// Error is what is said of it.
func (r *refusal) Error() string { return r.words }

func refuse(problem, enhanced, format string, args ...any) *refusal {
	return &refusal{problem, enhanced, oauth.Printable(fmt.Sprintf(format, args...), 400)}
}

// asRefusal makes one of any error.
func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse(oauth.ProblemDown, "4.4.2", "%v", err)
}

// unreachable says why there is no connection to what.
func unreachable(what string, err error) *refusal {
	var dns *net.DNSError
	switch {
	case isCertificate(err):
		return refuse(oauth.ProblemCertificate, "4.7.5", "cannot trust %s: %s; nothing secret was sent", what, plain(err))
	case errors.As(err, &dns):
		return refuse(oauth.ProblemDown, "4.4.3", "cannot find the address of %s: %s", what, dns.Err)
	}
	return refuse(oauth.ProblemDown, "4.4.1", "cannot reach %s: %s", what, plain(err))
}

// isCertificate tells whether the other side did not show that it is the one that is meant.
func isCertificate(err error) bool {
	var failed *tls.CertificateVerificationError
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &failed) || errors.As(err, &name) || errors.As(err, &unknown) || errors.As(err, &invalid)
}

// handshake says why there is no TLS with what.
func handshake(what string, err error) *refusal {
	if network := (net.Error)(nil); errors.As(err, &network) && network.Timeout() || errors.Is(err, io.EOF) || isCertificate(err) {
		return unreachable(what, err)
	}
	return refuse(oauth.ProblemCertificate, "4.7.5", "cannot make a safe connection to %s: %s; nothing secret was sent", what, plain(err))
}

// plain is what a person has to know of an error of package net.
func plain(err error) string {
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "it does not answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "it has closed the connection"
	case errors.As(err, &op):
		return op.Err.Error()
	}
	return err.Error()
}

// loginAgain is what a person has to do where a login was revoked.
func loginAgain(a oauth.Account) string {
	if a.Provider == "" {
		return "log in again: postfix-maint smarthost login"
	}
	return "log in again: postfix-maint smarthost login --provider " + a.Provider
}
