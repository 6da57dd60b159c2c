// Package login (ring: flow) logs in at a provider by OAuth 2.0: once, by a person or for an application, so that the OAuth relay gets access
// tokens by itself from then on. golang.org/x/oauth2 has the protocol; here is what is asked, shown and said.
//
// It runs in a process of its own (cmd/postfix-oauth-relay login) that changes nothing: an oauth.Request comes in, an oauth.Account goes out.
// No secret, and nothing of an answer as it came, is in an error or in what is shown.
package login

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
)

// Limits: of one answer of the provider's, and of a person. Codes of providers hold for a quarter of an hour at most.
const (
	answerLimit = 30 * time.Second
	Patience    = 15 * time.Minute
)

// Person is who logs in.
type Person struct {
	Words    io.Writer                                          // what to do
	Terminal bool                                               // they see a terminal, where a QR code can be drawn
	Paste    func(ctx context.Context) (line string, err error) // one line of theirs; nil: nobody is there
}

// Deps are what a login needs of the world.
type Deps struct {
	Person
	Transport http.RoundTripper // to the provider: see Transport
}

// Transport is the way to a provider: its certificate is checked with the CAs in pem, without any with the system's. Nothing switches that off.
func Transport(pem []byte) (http.RoundTripper, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, TLSHandshakeTimeout: answerLimit, ForceAttemptHTTP2: true}
	if pem == nil {
		return t, nil
	}
	t.TLSClientConfig.RootCAs = x509.NewCertPool()
	if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("cannot check certificates: the file of CAs holds no certificate in PEM form")
	}
	return t, nil
}

// attempt is one login.
type attempt struct {
	Deps
	oauth.Request
	way *bounded
}

// Run logs in. The account has a Local secret of its own.
func Run(ctx context.Context, d Deps, r oauth.Request) (a oauth.Account, err error) {
	defer func() {
		if recover() != nil { // the libraries take some answers for impossible
			a, err = oauth.Account{}, errors.New("cannot log in: the provider's answer is none of OAuth 2.0")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	way := &bounded{ctx: ctx, next: d.Transport}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{
		Transport: way, Timeout: answerLimit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a secret goes to the address that was meant
	})
	a = oauth.Account{
		Provider: r.Provider, Relay: r.Relay, Wrapper: r.Wrapper, CAFile: r.CAFile, User: r.User, TokenURL: r.TokenURL,
		ClientID: r.ClientID, ClientSecret: r.ClientSecret, Scopes: r.Scopes, Local: secret.Secret(rand.Text()),
	}
	t := &attempt{d, r, way}
	switch r.Flow {
	case oauth.FlowDevice:
		a.Grant = oauth.GrantRefresh
		a.RefreshToken, err = t.device(ctx)
	case oauth.FlowBrowser:
		a.Grant = oauth.GrantRefresh
		a.RefreshToken, err = t.browser(ctx)
	case oauth.FlowClient:
		a.Grant, err = oauth.GrantClient, t.client(ctx)
	case oauth.FlowService:
		a.Grant, a.Key, err = oauth.GrantServiceAccount, r.Key, t.service(ctx)
	default:
		err = fmt.Errorf("there is no flow %q", r.Flow)
	}
	if err != nil {
		return oauth.Account{}, fmt.Errorf("cannot log in: %w", t.plain(ctx, err))
	}
	return a, nil
}

// bounded ends each question with the login: the library asks some of them without a context.
type bounded struct {
	ctx  context.Context
	next http.RoundTripper
	lost error // the last question's, where it had no answer: the library keeps only its text of some
}

// RoundTrip is http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	ctx, cancel := context.WithCancel(r.Context())
	context.AfterFunc(b.ctx, cancel)
	answer, b.lost = b.next.RoundTrip(r.WithContext(ctx))
	return answer, b.lost
}

// config is what the library calls the application. It sends the secret in the body, where all known providers take it: finding out would
// ask everything twice, and a provider that is waited for counts that.
func (t *attempt) config(style oauth2.AuthStyle) *oauth2.Config {
	return &oauth2.Config{
		ClientID: t.ClientID, ClientSecret: string(t.ClientSecret), Scopes: t.Scopes, RedirectURL: redirect,
		Endpoint: oauth2.Endpoint{AuthURL: t.AuthURL, TokenURL: t.TokenURL, DeviceAuthURL: t.DeviceURL, AuthStyle: style},
	}
}

// styled asks with the secret in the body, and where the provider knows the application not so, in the header (RFC 6749, section 2.3.1).
func (t *attempt) styled(ask func(c *oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	token, err := ask(t.config(oauth2.AuthStyleInParams))
	if refused := (*oauth2.RetrieveError)(nil); t.ClientSecret != "" && errors.As(err, &refused) && codeOf(refused) == "invalid_client" {
		if again, againErr := ask(t.config(oauth2.AuthStyleInHeader)); againErr == nil {
			return again, nil
		}
	}
	return token, err
}

// refreshing is the token that the OAuth relay goes on with.
func refreshing(token *oauth2.Token, err error) (secret.Secret, error) {
	switch {
	case err != nil:
		return "", err
	case token.RefreshToken == "":
		return "", errors.New("the provider gave a token for now and none for later (no refresh_token): the scopes lack the one that asks for it, " +
			"mostly offline_access, or the application may not have any")
	}
	return secret.Secret(token.RefreshToken), nil
}

// client logs in as an application: whether that works shows now.
func (t *attempt) client(ctx context.Context) error {
	_, err := t.styled(func(c *oauth2.Config) (*oauth2.Token, error) {
		app := clientcredentials.Config{
			ClientID: c.ClientID, ClientSecret: c.ClientSecret, TokenURL: c.Endpoint.TokenURL, Scopes: c.Scopes, AuthStyle: c.Endpoint.AuthStyle,
		}
		return app.Token(ctx)
	})
	return err
}

// host is whom an address leads to.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the provider"
	}
	return u.Host
}
