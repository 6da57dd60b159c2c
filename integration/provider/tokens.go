package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerrors "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"
	"github.com/golang-jwt/jwt/v5"
)

const (
	grantDevice    = "urn:ietf:params:oauth:grant-type:device_code" // RFC 8628
	grantAssertion = "urn:ietf:params:oauth:grant-type:jwt-bearer"  // RFC 7523
	robot          = "robot"
)

// device is a login that somebody has to agree to elsewhere.
type device struct {
	client, user, scope string
	until               time.Time
	agreed              bool
}

// authority gives tokens and knows which are good.
type authority struct {
	state   *state
	user    string
	manager *manage.Manager
	server  *server.Server

	mu       sync.Mutex
	lifetime time.Duration
	rotate   bool
	revoked  time.Time // what is older is refused
	expired  time.Time
	devices  map[string]*device // by device code
	public   string
	robotKey string
}

func newAuthority(st *state, user string, lifetime time.Duration, rotate bool) (*authority, error) {
	t := &authority{state: st, user: user, lifetime: lifetime, rotate: rotate, devices: map[string]*device{}, manager: manage.NewDefaultManager()}
	kept, err := store.NewMemoryTokenStore()
	if err != nil {
		return nil, err
	}
	t.manager.MapTokenStorage(kept)
	t.manager.SetValidateURIHandler(func(string, string) error { return nil })
	t.server = server.NewServer(&server.Config{
		TokenType: "Bearer", AllowedResponseTypes: []oauth2.ResponseType{oauth2.Code},
		AllowedGrantTypes:           []oauth2.GrantType{oauth2.AuthorizationCode, oauth2.ClientCredentials, oauth2.Refreshing},
		AllowedCodeChallengeMethods: []oauth2.CodeChallengeMethod{oauth2.CodeChallengeS256}, ForcePKCE: true,
	}, t.manager)
	t.server.SetUserAuthorizationHandler(func(http.ResponseWriter, *http.Request) (string, error) { return user, nil })
	t.server.SetClientInfoHandler(func(r *http.Request) (string, string, error) {
		if id, secret, ok := r.BasicAuth(); ok {
			return id, secret, nil
		}
		if id := r.FormValue("client_id"); id != "" {
			return id, r.FormValue("client_secret"), nil
		}
		return "", "", oerrors.ErrInvalidClient
	})
	// A refresh token that is from before the last revocation has run out.
	t.server.SetRefreshingValidationHandler(func(ti oauth2.TokenInfo) (bool, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if !ti.GetRefreshCreateAt().After(t.revoked) {
			return false, oerrors.ErrInvalidGrant
		}
		return true, nil
	})
	t.set(func(*authority) {})
	return t, nil
}

// applications are who may ask for tokens: one that cannot keep a secret, one that can, and a service account.
func (t *authority) applications(public, private, secret, robotKey string) error {
	t.public, t.robotKey = public, robotKey
	clients := store.NewClientStore()
	t.manager.MapClientStorage(clients)
	return errors.Join(
		clients.Set(public, &models.Client{ID: public, Domain: "http://localhost", Public: true}),
		clients.Set(private, &models.Client{ID: private, Secret: strings.TrimSpace(secret), Domain: "http://localhost", UserID: t.user}),
		clients.Set(robot, &models.Client{ID: robot, Domain: "http://localhost", Public: true}),
	)
}

// set changes how long tokens are good, and what is made of a refresh token.
func (t *authority) set(change func(t *authority)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
	t.manager.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: t.lifetime, RefreshTokenExp: 24 * time.Hour, IsGenerateRefresh: true})
	t.manager.SetPasswordTokenCfg(&manage.Config{AccessTokenExp: t.lifetime, RefreshTokenExp: 24 * time.Hour, IsGenerateRefresh: true})
	t.manager.SetClientTokenCfg(&manage.Config{AccessTokenExp: t.lifetime})
	t.manager.SetRefreshTokenCfg(&manage.RefreshingConfig{
		AccessTokenExp: t.lifetime, RefreshTokenExp: 24 * time.Hour, IsGenerateRefresh: t.rotate, IsRemoveRefreshing: t.rotate, IsResetRefreshTime: t.rotate,
	})
}

func (t *authority) revoke() {
	t.set(func(t *authority) { t.revoked = time.Now(); t.expired = t.revoked })
}
func (t *authority) expire() { t.set(func(t *authority) { t.expired = time.Now() }) }

// good tells whether an access token lets a user log in.
func (t *authority) good(ctx context.Context, user, token string) bool {
	ti, err := t.manager.LoadAccessToken(ctx, token)
	if err != nil || ti.GetUserID() != user && ti.GetClientID() != "daemon" {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return ti.GetAccessCreateAt().After(t.expired) && user == t.user
}

// issue gives tokens as a login does.
func (t *authority) issue(ctx context.Context) (map[string]any, error) {
	return t.give(ctx, t.public, t.user, oauth2.PasswordCredentials)
}

func (t *authority) give(ctx context.Context, client, user string, grant oauth2.GrantType) (map[string]any, error) {
	ti, err := t.manager.GenerateAccessToken(ctx, grant, &oauth2.TokenGenerateRequest{ClientID: client, UserID: user})
	if err != nil {
		return nil, err
	}
	data := t.server.GetTokenData(ti)
	t.note(data)
	return data, nil
}

// note keeps what was given.
func (t *authority) note(data map[string]any) {
	t.state.change(func(s *state) {
		s.Tokens++
		for _, name := range []string{"access_token", "refresh_token"} {
			if token, ok := data[name].(string); ok && token != "" {
				s.Given = append(s.Given, token)
				if name == "access_token" {
					s.Access = append(s.Access, token)
				}
			}
		}
	})
}

func (t *authority) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", func(w http.ResponseWriter, r *http.Request) {
		if err := t.server.HandleAuthorizeRequest(w, r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("POST /token", t.token)
	mux.HandleFunc("POST /device/code", t.begin)
	return mux
}

// token is the token endpoint: what the library does not know, and the library.
func (t *authority) token(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("grant_type") == "refresh_token" {
		t.state.change(func(s *state) { s.Refresh++ })
	}
	var given map[string]any
	var err error
	switch r.FormValue("grant_type") {
	case grantDevice:
		given, err = t.poll(r)
	case grantAssertion:
		given, err = t.asserted(r)
	default:
		answer := &counted{ResponseWriter: w, status: http.StatusOK}
		_ = t.server.HandleTokenRequest(answer, r)
		var data map[string]any
		if answer.status == http.StatusOK && json.Unmarshal(answer.body, &data) == nil {
			t.note(data)
			return
		}
		t.state.change(func(s *state) { s.Refused++ })
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		t.state.change(func(s *state) { s.Refused++ })
		w.WriteHeader(http.StatusBadRequest)
		given = map[string]any{"error": err.Error()}
	}
	_ = json.NewEncoder(w).Encode(given)
}

// counted remembers an answer.
type counted struct {
	http.ResponseWriter
	status int
	body   []byte
}

// Write is the one of package http.
func (c *counted) Write(b []byte) (int, error) {
	c.body = append(c.body, b...)
	return c.ResponseWriter.Write(b)
}

// WriteHeader is the one of package http.
func (c *counted) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// begin begins a login by device code.
func (t *authority) begin(w http.ResponseWriter, r *http.Request) {
	code := rand.Text()
	word := code[:4] + "-" + code[4:8]
	t.mu.Lock()
	t.devices[code] = &device{client: r.FormValue("client_id"), user: word, scope: r.FormValue("scope"), until: time.Now().Add(10 * time.Minute)}
	t.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"device_code": code, "user_code": word, "verification_uri": "https://" + r.Host + "/device", "expires_in": 600, "interval": 1,
	})
}

func (t *authority) approve(word string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range t.devices {
		if d.user == word {
			d.agreed = true
			return nil
		}
	}
	return errors.New("no such code")
}

func (t *authority) poll(r *http.Request) (map[string]any, error) {
	code := r.FormValue("device_code")
	t.mu.Lock()
	d := t.devices[code]
	switch {
	case d == nil || time.Now().After(d.until) || d.client != r.FormValue("client_id"):
		t.mu.Unlock()
		return nil, errors.New("expired_token")
	case !d.agreed:
		t.mu.Unlock()
		return nil, errors.New("authorization_pending")
	}
	delete(t.devices, code)
	t.mu.Unlock()
	return t.give(r.Context(), t.public, t.user, oauth2.PasswordCredentials)
}

// asserted takes the signed word of the service account.
func (t *authority) asserted(r *http.Request) (map[string]any, error) {
	parsed, err := jwt.Parse(r.FormValue("assertion"), func(*jwt.Token) (any, error) { return jwt.ParseRSAPublicKeyFromPEM([]byte(t.robotKey)) },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithAudience("https://"+r.Host+"/token"))
	if err != nil {
		return nil, errors.New("invalid_grant")
	}
	subject, err := parsed.Claims.GetSubject()
	if err != nil || subject != t.user {
		return nil, errors.New("invalid_grant")
	}
	given, err := t.give(r.Context(), robot, subject, oauth2.PasswordCredentials)
	delete(given, "refresh_token")
	return given, err
}
