package oauthrelay

import (
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
)

// xoauth2 is the older of the two mechanisms (https://developers.google.com/workspace/gmail/imap/xoauth2-protocol).
const xoauth2 = "XOAUTH2"

// initial is how long a response may be beside its AUTH command: the line is a command like any other (RFC 4954, section 4).
const initial = 480

// mechanism chooses one of those that are offered.
func mechanism(hello reply) (string, error) {
	offered, _ := hello.extension("AUTH")
	for _, m := range []string{sasl.OAuthBearer, xoauth2} {
		if slices.Contains(offered, m) {
			return m, nil
		}
	}
	return "", refuse(oauth.ProblemRefused, "4.7.0", "%s offers no login by OAuth 2.0, but AUTH %s", strings.Fields(hello.lines[0] + " it")[0], strings.Join(offered, " "))
}

// response is what proves the login, and whatever answers the details of an error.
func response(mech, user string, token secret.Secret) (proof, sorry string, err error) {
	if mech == xoauth2 {
		return "user=" + user + "\x01auth=Bearer " + string(token) + "\x01\x01", "", nil
	}
	_, text, err := sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: user, Token: string(token)}).Start()
	return string(text), "\x01", err
}

// authenticate logs in; rejected is a token that is not taken. A server that refuses one gives details first, which want an answer before the
// refusal itself comes (RFC 7628, section 3.2.3): then it is one, whatever its code.
func (p *provider) authenticate(mech, user string, token secret.Secret) (answer reply, rejected bool, err error) {
	proof, sorry, err := response(mech, user, token)
	if err != nil {
		return reply{}, false, refuse(oauth.ProblemRefused, "4.7.0", "cannot log in by %s", mech)
	}
	coded := base64.StdEncoding.EncodeToString([]byte(proof))
	say := []string{"AUTH " + mech + " " + coded}
	if len(coded) > initial {
		say = []string{"AUTH " + mech, coded}
	}
	say = append(say, base64.StdEncoding.EncodeToString([]byte(sorry)))
	for i, s := range say {
		if answer, err = p.say(s); err != nil || answer.code != "334" {
			return answer, answer.code != "235" && (i == len(say)-1 || strings.HasPrefix(answer.code, "5")), err
		}
	}
	return answer, false, refuse(oauth.ProblemRefused, "4.7.0", "%s asks for more than a login by %s has", p.name, mech)
}

// say is ask for a line that may be empty.
func (p *provider) say(line string) (reply, error) {
	if _, err := p.conn.Write([]byte(line + "\r\n")); err != nil {
		return reply{}, unreachable(p.name, err)
	}
	return p.ask("")
}

// login logs in at the provider with a fresh token, and gives its answer. A token that is refused, though it is still good by the clock, may
// have been revoked: another one is tried, once, over a new connection.
func (s *session) login(ctx context.Context) (reply, error) {
	a := s.relay.opt.Account
	for again := false; ; again = true {
		token, err := s.relay.tokens.Get(ctx)
		if err != nil {
			return reply{}, err
		}
		if again {
			s.up.close()
			if s.up, err = s.relay.connect(ctx, s.helo); err != nil {
				return reply{}, err
			}
		}
		mech, err := mechanism(s.up.hello)
		if err != nil {
			return reply{}, err
		}
		s.up.deadline(s.relay.opt.Limits.Begin)
		answer, rejected, err := s.up.authenticate(mech, a.User, token)
		answer = masked(answer, string(token))
		switch {
		case err != nil:
			return reply{}, err
		case answer.code == "235":
			return answer, nil
		case !rejected:
			return reply{}, refuse(oauth.ProblemDown, "4.7.0", "%s takes no login just now: %s", s.up.name, answer)
		case again || !s.relay.tokens.Drop(token):
			return reply{}, refuse(oauth.ProblemRefused, "4.7.8", "%s refuses the login of %s: %s", s.up.name, a.User, answer)
		}
	}
}

// long is what only a token or what is made of one looks like in a reply.
var long = regexp.MustCompile(`[A-Za-z0-9+/=_]{32,}`)

// masked takes the login out of a reply that repeats it, as some servers do with a command that they do not know: Postfix logs the reply.
func masked(r reply, token string) reply {
	lines := make([]string, len(r.lines))
	for i, line := range r.lines {
		if token != "" {
			line = strings.ReplaceAll(line, token, "***")
		}
		lines[i] = long.ReplaceAllString(line, "***")
	}
	r.lines = lines
	return r
}
