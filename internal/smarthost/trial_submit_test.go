package smarthost_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/smarthost/probe"
)

// answer greets whoever connects, and says the same to each line.
func answer(t *testing.T, l net.Listener, reply string) {
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("220 r ESMTP\r\n"))
			for lines := bufio.NewScanner(c); lines.Scan(); {
				_, _ = c.Write([]byte(reply))
			}
			_ = c.Close()
		}
	}()
}

// greet is a relay that takes connections and says hello.
func greet(t *testing.T) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, "250 r\r\n")
	return l.Addr().String()
}

// A message for an instance that does not run would wait in its queue: none is sent, and that is said.
func TestAStoppedInstanceGetsNoMessage(t *testing.T) {
	host, port, err := net.SplitHostPort(greet(t))
	if err != nil {
		t.Fatal(err)
	}
	main := strings.NewReplacer("relayhost =", "relayhost = ["+host+"]:"+port, "level=may", "level=none").Replace(mainCF)
	d, _ := lay(t, map[string]string{"etc/postfix/main.cf": main})
	d.Runs = func(instance.Instance) bool { return false }
	d.Submit = func(context.Context, []byte, ...string) error {
		t.Error("a message was submitted")
		return nil
	}
	res, err := smarthost.Test(context.Background(), d, primary, "x@example.net")
	if err != nil || res.Submitted || res.Probe.Failure != nil || !strings.Contains(res.Text(), "no message was sent") || !strings.Contains(res.Advice, "start it") {
		t.Errorf("%+v, %v", res, err)
	}
}

// A relay that takes tokens alone gets no message: Postfix would try it for days.
func TestALoginThatNobodyCanDoSendsNoMessage(t *testing.T) {
	fixture := httptest.NewTLSServer(nil) // has a certificate
	fixture.Close()
	l, err := tls.Listen("tcp", "127.0.0.1:0", fixture.TLS)
	if err != nil {
		t.Fatal(err)
	}
	answer(t, l, "250-r\r\n250 AUTH XOAUTH2\r\n")
	relay := strings.Replace(l.Addr().String(), "127.0.0.1", "[127.0.0.1]", 1)
	main := strings.NewReplacer("relayhost =", "relayhost = "+relay, "level=may", "level=encrypt").Replace(mainCF) +
		"smtp_tls_wrappermode=yes\nsmtp_sasl_auth_enable=yes\nsmtp_sasl_password_maps=hash:/etc/postfix/sasl_passwd\nsmtp_sasl_tls_security_options=noanonymous\n"
	d, _ := lay(t, map[string]string{"etc/postfix/main.cf": main, "etc/postfix/sasl_passwd": relay + " me:geheim\n"})
	d.Submit = func(context.Context, []byte, ...string) error {
		t.Error("a message was submitted")
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	res, err := smarthost.Test(ctx, d, primary, "x@example.net")
	if err != nil || res.Probe.Failure == nil || res.Probe.Failure.Cause != probe.NoMechanism || !strings.Contains(res.Advice, "smarthost login") {
		t.Errorf("%+v, %v", res, err)
	}
}
