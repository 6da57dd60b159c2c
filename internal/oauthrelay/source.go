package oauthrelay

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
)

// source asks the token endpoint.
type source struct {
	account oauth.Account
	kept    *kept
	limit   time.Duration
	base    http.RoundTripper
	config  *oauth2.Config // remembers how the endpoint wants the application's secret
}

func newSource(opt Options, k *kept, conf *tls.Config) *source {
	a := opt.Account
	return &source{
		account: a, kept: k, limit: opt.Limits.Token,
		// no proxy: the environment is systemd's
		base:   &http.Transport{DialContext: opt.Dial, TLSClientConfig: conf, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
		config: &oauth2.Config{ClientID: a.ClientID, ClientSecret: string(a.ClientSecret), Endpoint: oauth2.Endpoint{TokenURL: a.TokenURL, AuthStyle: style(a)}, Scopes: a.Scopes},
	}
}

// style is how the application's secret is sent: the large providers want it in the request's body, and one without a secret can be nowhere
// else; others are tried.
func style(a oauth.Account) oauth2.AuthStyle {
	if a.ClientSecret == "" || slices.Contains([]string{"google", "microsoft"}, a.Provider) {
		return oauth2.AuthStyleInParams
	}
	return oauth2.AuthStyleAutoDetect
}

// watched notes what the libraries above it do not give on: why there was no answer.
type watched struct {
	base   http.RoundTripper
	failed error
}

// RoundTrip is the one of package http.
func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	answer, err := w.base.RoundTrip(req)
	w.failed = err
	return answer, err
}

// fetch gets a token. It is for everybody who waits, so it does not end with the one who asked first.
func (s *source) fetch(ctx context.Context) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limit)
	defer cancel()
	if u, err := url.Parse(s.account.TokenURL); err != nil || u.Scheme != "https" {
		return nil, refuse(oauth.ProblemRefused, "4.3.5", "cannot use the token endpoint of the login: it is no https address")
	}
	over := &watched{base: s.base}
	client := &http.Client{Transport: over, Timeout: s.limit, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got, err := s.ask(context.WithValue(ctx, oauth2.HTTPClient, client))
	switch {
	case err != nil:
		return nil, s.why(over.failed, err)
	case got.AccessToken == "":
		return nil, refuse(oauth.ProblemDown, "4.7.0", "the token endpoint of the login answers without a token")
	}
	return got, nil
}

func (s *source) ask(ctx context.Context) (*oauth2.Token, error) {
	a := s.account
	switch a.Grant {
	case oauth.GrantClient:
		c := clientcredentials.Config{ClientID: a.ClientID, ClientSecret: string(a.ClientSecret), TokenURL: a.TokenURL, Scopes: a.Scopes, AuthStyle: style(a)}
		return c.Token(ctx)
	case oauth.GrantServiceAccount:
		c, err := assertion(a)
		if err != nil {
			return nil, err
		}
		return c.TokenSource(ctx).Token()
	}
	refresh := s.kept.refreshToken(a)
	got, err := s.config.TokenSource(ctx, &oauth2.Token{RefreshToken: string(refresh)}).Token()
	if err == nil && got.RefreshToken != "" && got.RefreshToken != string(refresh) {
		s.kept.keep(a, secret.Secret(got.RefreshToken))
	}
	return got, err
}

// assertion reads the key file of a service account (https://developers.google.com/identity/protocols/oauth2/service-account), which logs in
// for the user.
func assertion(a oauth.Account) (*jwt.Config, error) {
	var key struct {
		Email string `json:"client_email"`
		Key   string `json:"private_key"`
		ID    string `json:"private_key_id"`
	}
	if err := json.Unmarshal([]byte(a.Key), &key); err != nil || key.Email == "" || key.Key == "" {
		return nil, refuse(oauth.ProblemRefused, "4.3.5", "cannot read the key of the service account: client_email or private_key is missing")
	}
	return &jwt.Config{Email: key.Email, PrivateKey: []byte(key.Key), PrivateKeyID: key.ID, Scopes: a.Scopes, TokenURL: a.TokenURL, Subject: a.User}, nil
}

// errorCode is what RFC 6749 (section 5.2) lets an error be named, and short.
var errorCode = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,40}$`)

// why tells what was wrong with a request, without anything of the answer but the name of its error.
func (s *source) why(network, err error) *refusal {
	var mine *refusal
	var answered *oauth2.RetrieveError
	switch {
	case errors.As(err, &mine):
		return mine
	case network != nil:
		return unreachable(hostOf(s.account.TokenURL), network)
	case errors.As(err, &answered) && answered.Response != nil:
		code := answered.ErrorCode
		if code == "" { // the library reads it for some grants only
			var body struct {
				Error string `json:"error"`
			}
			if json.Unmarshal(answered.Body, &body) == nil {
				code = body.Error
			}
		}
		if !errorCode.MatchString(code) {
			code = ""
		}
		return tokenError(s.account, code, answered.Response.StatusCode)
	case errors.Is(err, context.DeadlineExceeded):
		return unreachable(hostOf(s.account.TokenURL), err)
	}
	return refuse(oauth.ProblemDown, "4.7.0", "%s answers with no access token", hostOf(s.account.TokenURL))
}

// hostOf is what is said of an address.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return "the token endpoint"
}
