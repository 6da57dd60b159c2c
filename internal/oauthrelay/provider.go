package oauthrelay

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"time"

	"postfix-maint/internal/oauth"
)

// provider is a connection to the relay that the mail goes to, under TLS.
type provider struct {
	conn   net.Conn
	r      *bufio.Reader
	name   string // HOST:PORT
	hello  reply  // its answer to EHLO under TLS
	unhook func() bool
}

// connect makes one that greets with the client's own name. Nothing but STARTTLS is said before TLS, and nothing that was heard before it
// counts. The connection ends with ctx.
func (r *Relay) connect(ctx context.Context, helo string) (*provider, error) {
	host, port, err := net.SplitHostPort(r.opt.Account.Relay)
	if err != nil {
		return nil, refuse(oauth.ProblemRefused, "4.3.5", "cannot read the relay %q of the login", r.opt.Account.Relay)
	}
	p := &provider{name: net.JoinHostPort(host, port)}
	dial, cancel := context.WithTimeout(ctx, r.opt.Limits.Dial)
	defer cancel()
	if p.conn, err = r.opt.Dial(dial, "tcp", p.name); err != nil {
		return nil, unreachable(p.name, err)
	}
	raw := p.conn
	p.unhook = context.AfterFunc(ctx, func() { _ = raw.Close() })
	if err := p.begin(ctx, &tls.Config{ServerName: host, RootCAs: r.roots, MinVersion: tls.VersionTLS12}, helo, r.opt); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *provider) close() {
	p.unhook()
	_ = p.conn.Close() // nobody waits for its end
}

// begin goes as far as EHLO under TLS.
func (p *provider) begin(ctx context.Context, conf *tls.Config, helo string, opt Options) error {
	p.deadline(opt.Limits.Begin)
	if opt.Account.Wrapper {
		if err := p.secure(ctx, conf); err != nil {
			return err
		}
		if _, err := p.expect("220", ""); err != nil {
			return err
		}
	} else if err := p.startTLS(ctx, conf, helo); err != nil {
		return err
	}
	var err error
	p.hello, err = p.expect("250", "EHLO "+helo)
	return err
}

func (p *provider) startTLS(ctx context.Context, conf *tls.Config, helo string) error {
	p.r = bufio.NewReaderSize(p.conn, maxLine)
	if _, err := p.expect("220", ""); err != nil {
		return err
	}
	hello, err := p.expect("250", "EHLO "+helo)
	if err != nil {
		return err
	}
	if _, offered := hello.extension("STARTTLS"); !offered {
		return refuse(oauth.ProblemCertificate, "4.7.4", "%s offers no STARTTLS: nothing secret was sent", p.name)
	}
	if _, err := p.expect("220", "STARTTLS"); err != nil {
		return err
	}
	// A server waits for the client to begin TLS: what is here by now was put in by somebody on the way (CVE-2011-0411).
	if p.r.Buffered() > 0 {
		return refuse(oauth.ProblemCertificate, "4.7.5", "%s says more than that TLS may begin: somebody may be on the way; nothing secret was sent", p.name)
	}
	return p.secure(ctx, conf)
}

// secure puts TLS around the connection. What was read before is gone with the old reader.
func (p *provider) secure(ctx context.Context, conf *tls.Config) error {
	conn := tls.Client(p.conn, conf)
	if err := conn.HandshakeContext(ctx); err != nil {
		return handshake(p.name, err)
	}
	p.conn, p.r = conn, bufio.NewReaderSize(conn, maxLine)
	return nil
}

// expect says something, and wants an answer with that code.
func (p *provider) expect(code, say string) (reply, error) {
	answer, err := p.ask(say)
	if err == nil && answer.code != code {
		about := "it greets with"
		if say != "" {
			verb, _, _ := strings.Cut(say, " ")
			about = "to " + verb + " it says"
		}
		err = refuse(oauth.ProblemDown, "4.3.2", "%s is not ready: %s %s", p.name, about, answer)
	}
	return answer, err
}

// ask says something, "" nothing, and gives the answer.
func (p *provider) ask(say string) (reply, error) {
	if say != "" {
		if _, err := p.conn.Write([]byte(say + "\r\n")); err != nil {
			return reply{}, unreachable(p.name, err)
		}
	}
	answer, err := readReply(p.r)
	if err != nil {
		return reply{}, refuse(oauth.ProblemDown, "4.4.2", "%s breaks off: %s", p.name, plain(err))
	}
	return answer, nil
}

func (p *provider) deadline(d time.Duration) {
	_ = p.conn.SetDeadline(time.Now().Add(d)) // fails for a closed connection alone, and so does what follows
}

// extension gives the words behind a name that an answer to EHLO offers.
func (r reply) extension(name string) (words []string, offered bool) {
	for i, line := range r.lines {
		f := strings.Fields(strings.ToUpper(line))
		if i > 0 && len(f) > 0 && f[0] == name {
			return f[1:], true
		}
	}
	return nil, false
}

// offer is the provider's answer to EHLO as the client gets it: TLS is ours, and so is the login.
func (r reply) offer() reply {
	mine := reply{code: r.code}
	for i, line := range r.lines {
		name := strings.ToUpper(line)
		if i > 0 && (strings.HasPrefix(name, "STARTTLS") || strings.HasPrefix(name, "AUTH ") || strings.HasPrefix(name, "AUTH=") || name == "AUTH") {
			continue
		}
		mine.lines = append(mine.lines, line)
	}
	mine.lines = append(mine.lines, "AUTH PLAIN")
	return mine
}
