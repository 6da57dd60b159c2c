//go:build integration

package integration

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/internal/oauth"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/secret"
)

// mailProvider is one of provider's processes: each release has its own, with ports of its own.
type mailProvider struct {
	host *hosts.Host
	base int // added to each port
}

// providerState is what integration/provider says of itself.
type providerState struct {
	Refresh, Tokens, Refused, Connects, Auth, Failed int
	Mechs, Messages                                  map[string]int
	Given, Access                                    []string
}

// buildProvider puts the program into a host that runs.
func buildProvider(ctx context.Context, t *testing.T, h *hosts.Host) {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(h.Root(), "/usr/local/bin/provider"), ".")
	cmd.Dir, cmd.Env, cmd.WaitDelay = "provider", append(os.Environ(), "CGO_ENABLED=0"), time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cannot build the provider: %v: %s", err, out)
	}
}

// startProvider starts one with a certificate that the host has.
func startProvider(ctx context.Context, t *testing.T, h *hosts.Host, base int, cert string) mailProvider {
	t.Helper()
	p := mailProvider{h, base}
	sh(ctx, t, h, fmt.Sprintf("systemd-run -q --unit=provider%d provider -cert %s -oauth :%d -smtp :%d -smtps :%d -control :%d", base, cert, base+443, base+587, base+465, base+80))
	await(ctx, t, h, "the provider's ports", fmt.Sprintf("for p in %d %d %d %d; do ss -Hltn sport = $p | grep -q .; done", base+443, base+587, base+465, base+80))
	return p
}

// ask uses the port for tests.
func (p mailProvider) ask(ctx context.Context, t *testing.T, method, what string, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, fmt.Sprintf("http://127.0.0.1:%d/%s", p.base+80, what), nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: p.host.Dial, DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v %s", what, answer.StatusCode, err, text)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v: %s", what, err, text)
	}
}

func (p mailProvider) state(ctx context.Context, t *testing.T) (s providerState) {
	t.Helper()
	p.ask(ctx, t, "GET", "state", &s)
	return s
}

// refreshToken is what a login of a person gives.
func (p mailProvider) refreshToken(ctx context.Context, t *testing.T) string {
	t.Helper()
	var given struct {
		RefreshToken string `json:"refresh_token"`
	}
	p.ask(ctx, t, "POST", "issue", &given)
	return given.RefreshToken
}

const (
	relayPort  = "2525"
	relayLocal = "l0cal-Zufall"
	relayUnit  = "postfix-oauth-relay@" + relayPort
	relayState = paths.OAuthState + "/" + relayPort + "/"
)

// oauthLogin writes the login's file by hand, as "smarthost login" does.
func oauthLogin(ctx context.Context, t *testing.T, client *hosts.Host, p mailProvider, refresh string) {
	t.Helper()
	text, err := oauth.Account{
		Relay: fmt.Sprintf("[provider.example.test]:%d", p.base+587), User: account2, Grant: oauth.GrantRefresh, ClientID: "app",
		TokenURL: fmt.Sprintf("https://provider.example.test:%d/token", p.base+443), RefreshToken: secret.Secret(refresh), Local: relayLocal, CAFile: "/etc/ssl/test-ca.pem",
	}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sh(ctx, t, client, "install -d -m 0700 "+paths.OAuthDir)
	write(t, client, paths.OAuthDir+"/"+relayPort+".json", text)
	sh(ctx, t, client, "systemctl stop "+relayUnit+".service 2>/dev/null")
}

const account2 = "anna@example.test"

func TestOAuthRelay(t *testing.T) {
	ctx := scenario(t, 1+len(releases()))
	lan, ca := newNetwork(ctx, t), newIssuer(t)
	opt := clientOptions(ctx, t, "trixie")
	opt.Network = lan
	server := boot(ctx, t, "provider", opt)
	buildProvider(ctx, t, server)
	write(t, server, "/root/good.pem", ca.issue("provider.example.test", 24*time.Hour))
	write(t, server, "/root/other.pem", ca.issue("other.example.test", 24*time.Hour))
	clients := map[string]*hosts.Host{}
	for _, release := range releases() {
		opt := clientOptions(ctx, t, release)
		opt.Network = lan
		clients[release] = boot(ctx, t, release, opt)
		write(t, clients[release], "/etc/ssl/test-ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}))
		sh(ctx, t, clients[release], "chmod 0644 /etc/ssl/test-ca.pem")
	}
	t.Run("on", func(t *testing.T) {
		base := 1000
		for release, client := range clients {
			good, other := startProvider(ctx, t, server, base, "/root/good.pem"), startProvider(ctx, t, server, base+1000, "/root/other.pem")
			base += 2000
			t.Run(release, func(t *testing.T) {
				t.Parallel()
				oauthRelay(ctx, t, client, good, other)
			})
		}
	})
}

// oauthRelay is what happens on one host.
func oauthRelay(ctx context.Context, t *testing.T, client *hosts.Host, good, other mailProvider) {
	first := good.refreshToken(ctx, t)
	oauthLogin(ctx, t, client, good, first)
	write(t, client, "/etc/postfix/sasl_passwd", []byte("[127.0.0.1]:"+relayPort+" "+account2+":"+relayLocal+"\n"))
	sh(ctx, t, client, "postconf -e 'relayhost=[127.0.0.1]:"+relayPort+"' smtp_sasl_auth_enable=yes smtp_sasl_password_maps=texthash:/etc/postfix/sasl_passwd "+
		"smtp_sasl_security_options=noanonymous smtp_tls_security_level=none myhostname=client.example.test; systemctl enable --now "+relayUnit+".socket; postfix reload")
	said := sh(ctx, t, client, "systemd-analyze security --no-pager "+relayUnit+".service | tail -n 1")
	if m := regexp.MustCompile(`(\d\.\d)`).FindString(said); m == "" || m > "1.5" {
		t.Errorf("exposure: %s", said)
	}
	mailFor(ctx, t, client, "first", 1)
	awaitMessages(ctx, t, client, good, 1)

	t.Run("strangers", func(t *testing.T) { oauthStrangers(ctx, t, client, good) })
	t.Run("memory", func(t *testing.T) { oauthMemory(ctx, t, client) })
	t.Run("queue", func(t *testing.T) { oauthQueue(ctx, t, client, good) })
	t.Run("secrets", func(t *testing.T) { oauthSecrets(ctx, t, client, good, first) })

	t.Run("revoked", func(t *testing.T) {
		before := len(good.state(ctx, t).Messages)
		good.ask(ctx, t, "POST", "revoke", nil)
		mailFor(ctx, t, client, "revoked", 1)
		await(ctx, t, client, "the state login-again", "grep -q '\"problem\":\"login-again\"' "+relayState+"status.json")
		sh(ctx, t, client, "postqueue -p | grep 'log in again: postfix-maint smarthost login'; journalctl -q -u "+relayUnit+" | grep -q 'was revoked or has run out'")
		oauthLogin(ctx, t, client, good, good.refreshToken(ctx, t))
		awaitMessages(ctx, t, client, good, before+1)
		await(ctx, t, client, "a state without a problem", "grep -q '\"problem\":\"\"' "+relayState+"status.json")
	})
	t.Run("another certificate", func(t *testing.T) {
		before := len(good.state(ctx, t).Messages)
		oauthLogin(ctx, t, client, other, other.refreshToken(ctx, t))
		mailFor(ctx, t, client, "mitm", 1)
		await(ctx, t, client, "the state certificate", "grep -q '\"problem\":\"certificate\"' "+relayState+"status.json")
		if s := other.state(ctx, t); s.Auth != 0 || s.Refresh != 0 || len(s.Messages) != 0 {
			t.Errorf("something was sent: %+v", s)
		}
		oauthLogin(ctx, t, client, good, good.refreshToken(ctx, t))
		awaitMessages(ctx, t, client, good, before+1)
	})
	t.Run("rest", func(t *testing.T) {
		time.Sleep(40 * time.Second) // a minute after the last connection
		await(ctx, t, client, "no process, and a port", "! systemctl is-active -q "+relayUnit+".service && ! pgrep -f 'postfix-oauth-relay serv[e]' && "+
			"systemctl is-active -q "+relayUnit+".socket && ss -Hltn 'sport = "+relayPort+"' | grep -q . && [ $(systemctl show -P Result "+relayUnit+".service) = success ]")
	})
}

// mailFor queues messages with names of their own.
func mailFor(ctx context.Context, t *testing.T, client *hosts.Host, name string, n int) {
	t.Helper()
	sh(ctx, t, client, fmt.Sprintf(`for i in $(seq %d); do printf 'Message-ID: <%s-%%d@client.example.test>\nSubject: x\n\nhello\n' $i | sendmail -f local@example.test you@dest.test; done`, n, name))
}

// awaitMessages waits until the provider has n, each once, and the queue is empty.
func awaitMessages(ctx context.Context, t *testing.T, client *hosts.Host, p mailProvider, n int) {
	t.Helper()
	for end := time.Now().Add(4 * time.Minute); ; {
		s := p.state(ctx, t)
		queue := sh(ctx, t, client, "postqueue -f; postqueue -p | tail -n 1")
		if len(s.Messages) >= n && strings.Contains(queue, "empty") {
			for id, times := range s.Messages {
				if times != 1 {
					t.Errorf("%s came %d times", id, times)
				}
			}
			if len(s.Messages) != n {
				t.Errorf("%d messages, want %d", len(s.Messages), n)
			}
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%d messages, want %d: %s", len(s.Messages), n, sh(ctx, t, client, "postqueue -p | tail -n 20; journalctl -q --no-pager -n 20 -u "+relayUnit+"; tail -n 20 /var/log/mail.log"))
		}
		time.Sleep(time.Second)
	}
}

// oauthQueue lets tokens run out, and the provider start anew, while 500 messages are on their way.
func oauthQueue(ctx context.Context, t *testing.T, client *hosts.Host, p mailProvider) {
	const lifetime = 2 * time.Second
	sh(ctx, t, client, "postconf -e defer_transports=smtp; postfix reload")
	mailFor(ctx, t, client, "queue", 500)
	p.ask(ctx, t, "POST", "set?rotate=1&lifetime="+lifetime.String(), nil)
	sh(ctx, t, client, "systemctl stop "+relayUnit+".service 2>/dev/null; postconf -X defer_transports; postfix reload") // a token with the new lifetime
	before, start := p.state(ctx, t), time.Now()
	sh(ctx, t, client, "postqueue -f")
	for len(p.state(ctx, t).Messages) < 50 && time.Since(start) < time.Minute {
		time.Sleep(50 * time.Millisecond)
	}
	// Away for longer than a token lasts: what comes after it logs in with another.
	p.ask(ctx, t, "POST", "restart?down=3s", nil)
	restarted := len(p.state(ctx, t).Messages)
	awaitMessages(ctx, t, client, p, len(before.Messages)+500)
	after, took := p.state(ctx, t), time.Since(start)
	t.Logf("%d of the messages came before the provider's start; all in %v, with %d requests for a token", restarted, took, after.Refresh-before.Refresh)
	if restarted > len(before.Messages)+480 {
		t.Errorf("the provider was started anew too late, after %d messages", restarted)
	}
	if n, most := after.Refresh-before.Refresh, int(took/(lifetime*9/10))+1; n < 2 || n > most {
		t.Errorf("%d requests for a token in %v, want 2 to %d", n, took, most)
	}
	p.ask(ctx, t, "POST", "set?lifetime=1h", nil)
}

// oauthStrangers is what users see who are not Postfix.
func oauthStrangers(ctx context.Context, t *testing.T, client *hosts.Host, p mailProvider) {
	before := p.state(ctx, t)
	for _, who := range []string{"--reuid=nobody --regid=nogroup", "--reuid=user0 --regid=user0"} {
		out := sh(ctx, t, client, `exec 3<>/dev/tcp/127.0.0.1/`+relayPort+`; pid=$(pgrep -f 'postfix-oauth-relay serv[e]'); exec 3>&-
setpriv `+who+` --clear-groups bash -c '
trap "" PIPE
exec 3<>/dev/tcp/127.0.0.1/`+relayPort+`
printf "EHLO x\r\nQUIT\r\n" 2>/dev/null >&3
timeout 5 cat <&3 2>/dev/null
for f in `+paths.OAuthDir+`/* `+paths.OAuthDir+` `+relayState+`* /proc/'$pid'/{environ,maps,mem,fd,root,cwd} /run/credentials/`+relayUnit+`.service/account; do
    cat "$f" 2>/dev/null; ls "$f"/ 2>/dev/null
done
kill -0 '$pid' 2>/dev/null && echo signalled
exit 0'`)
		if strings.TrimSpace(out) != "" {
			t.Errorf("%s gets %q", who, out)
		}
	}
	if after := p.state(ctx, t); after.Connects != before.Connects || after.Refresh != before.Refresh {
		t.Error("the provider was asked for a stranger")
	}
}

// oauthMemory holds twenty connections that have logged in.
func oauthMemory(ctx context.Context, t *testing.T, client *hosts.Host) {
	var all []net.Conn
	defer func() {
		for _, c := range all {
			_ = c.Close()
		}
	}()
	for range 20 {
		conn, err := client.Dial(ctx, "tcp", "127.0.0.1:"+relayPort)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, conn)
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		r := bufio.NewReader(conn)
		say := func(line, want string) {
			_, _ = io.WriteString(conn, line)
			for {
				answer, err := r.ReadString('\n')
				if err != nil || !strings.HasPrefix(answer, want) {
					t.Fatalf("%.5s: %q %v", line, answer, err)
				}
				if len(answer) < 4 || answer[3] != '-' {
					return
				}
			}
		}
		say("", "220")
		say("EHLO client.example.test\r\n", "250")
		say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00"+account2+"\x00"+relayLocal))+"\r\n", "235")
	}
	said := sh(ctx, t, client, "sed -n 's/^VmHWM:[^0-9]*\\([0-9]*\\) kB/\\1/p' /proc/$(pgrep -f 'postfix-oauth-relay serv[e]')/status")
	kib, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil || kib > 25<<10 {
		t.Errorf("%d KiB at 20 connections, %v", kib, err)
	}
	t.Logf("%d KiB at 20 connections", kib)
}

// oauthSecrets looks for tokens where they must not be.
func oauthSecrets(ctx context.Context, t *testing.T, client *hosts.Host, p mailProvider, first string) {
	tokens := append(p.state(ctx, t).Given, first)
	if len(tokens) < 4 {
		t.Fatalf("%d tokens: too few to look for", len(tokens))
	}
	write(t, client, "/root/tokens", []byte(strings.Join(tokens, "\n")+"\n"))
	out := sh(ctx, t, client, `set +e
sync
grep -rlFf /root/tokens / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev --exclude=tokens 2>/dev/null | grep -vxE '`+paths.OAuthDir+`/`+relayPort+`.json|`+relayState+`token.json|/var/lib/postfix-oauth-relay/.*|/run/credentials/.*'
journalctl -q --no-pager | grep -cFf /root/tokens | sed 's/^0$//'
for p in /proc/[0-9]*; do tr '\0' '\n' < $p/environ; tr '\0' '\n' < $p/cmdline; done 2>/dev/null | grep -cFf /root/tokens | sed 's/^0$//'
rm /root/tokens`)
	if strings.TrimSpace(out) != "" {
		t.Errorf("tokens are in %s", out)
	}
}
