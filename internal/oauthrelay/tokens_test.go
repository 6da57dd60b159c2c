package oauthrelay

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
)

func TestTokensByTheClock(t *testing.T) {
	now := time.Now()
	requests := 0
	var fails error
	lifetime := time.Hour
	all := newTokens(func(context.Context) (*oauth2.Token, error) {
		requests++
		return &oauth2.Token{AccessToken: fmt.Sprint(requests), Expiry: now.Add(lifetime)}, fails
	}, func() time.Time { return now })
	revoked, down := refuse(oauth.ProblemLoginAgain, "4.7.8", "again"), refuse(oauth.ProblemDown, "4.4.1", "down")
	refused := refuse(oauth.ProblemRefused, "4.7.8", "refused")
	for i, step := range []struct {
		later time.Duration
		fails error
		want  string // "" for none
		asked int    // requests so far
	}{
		{0, nil, "1", 1}, {58 * time.Minute, nil, "1", 1}, {2 * time.Minute, nil, "2", 2},
		{time.Hour, down, "", 3}, {500 * time.Millisecond, down, "", 3}, {600 * time.Millisecond, down, "", 4},
		{1100 * time.Millisecond, nil, "", 4}, {time.Second, nil, "5", 5},
		{time.Hour, revoked, "", 6}, {59 * time.Second, nil, "", 6}, {2 * time.Second, nil, "7", 7},
		{time.Hour, refused, "", 8}, {59 * time.Second, nil, "", 8}, {2 * time.Second, nil, "9", 9},
	} {
		now, fails = now.Add(step.later), step.fails
		token, err := all.Get(t.Context())
		if string(token) != step.want || (err != nil) != (step.want == "") || requests != step.asked {
			t.Errorf("step %d: %q %v after %d requests", i, string(token), err, requests)
		}
	}
	lifetime = 0
	now = now.Add(2 * time.Hour)
	if _, err := all.Get(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	all.turn <- struct{}{}
	if _, err := all.Get(ctx); err == nil {
		t.Error("one who has gone is served")
	}
}

func TestUnknownLifetime(t *testing.T) {
	now := time.Now()
	all := newTokens(nil, func() time.Time { return now })
	if got := all.until(time.Time{}).Sub(now); got != usual*9/10 {
		t.Error(got)
	}
	if got := all.until(now.Add(time.Hour)).Sub(now); got != 59*time.Minute {
		t.Error(got)
	}
}

func TestDroppedTokens(t *testing.T) {
	now := time.Now()
	all := newTokens(nil, func() time.Time { return now })
	for i, step := range []struct {
		later   time.Duration
		current string
		drop    string
		want    bool
		after   string
	}{
		{0, "a", "a", true, ""}, {time.Second, "b", "a", true, "b"}, {time.Second, "b", "b", false, "b"}, {time.Minute, "b", "b", true, ""},
	} {
		now, all.current = now.Add(step.later), secret.Secret(step.current)
		if got := all.Drop(secret.Secret(step.drop)); got != step.want || string(all.current) != step.after {
			t.Errorf("step %d: %v", i, got)
		}
	}
}

func TestOtherGrants(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	file, err := json.Marshal(map[string]string{
		"type": "service_account", "client_email": "robot@example.test", "private_key_id": "7",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	must(t, err)
	t.Run("service account", func(t *testing.T) {
		s := newScene(t)
		s.account.Grant, s.account.Key, s.account.Scopes = oauth.GrantServiceAccount, secret.Secret(file), []string{"https://mail.example.test/"}
		s.start()
		if _, said := s.login(); !strings.HasPrefix(said, "235 ") {
			t.Fatalf("%s; %s", said, s.log())
		}
		form := s.endpoint.requests[0]
		parts := strings.Split(form.Get("assertion"), ".")
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		must(t, err)
		for _, want := range []string{`"iss":"robot@example.test"`, `"sub":"` + user + `"`, `"aud":"https://login.example.test/token"`, `"scope":"https://mail.example.test/"`} {
			if !strings.Contains(string(claims), want) {
				t.Errorf("%s has not %s", claims, want)
			}
		}
		s.silent()
	})
	t.Run("service account refused", func(t *testing.T) {
		s := newScene(t)
		s.account.Grant, s.account.Key = oauth.GrantServiceAccount, secret.Secret(file)
		s.endpoint.answer = answers(400, `{"error":"invalid_grant","error_description":"b0dy-secret"}`)
		s.start()
		if _, said := s.login(); !strings.Contains(said, "refuses the login of anna@example.test (invalid_grant): the key or its rights") || s.status().Problem != oauth.ProblemRefused {
			t.Error(said)
		}
		s.silent()
	})
	t.Run("service account, an answer without a token", func(t *testing.T) {
		s := newScene(t)
		s.account.Grant, s.account.Key = oauth.GrantServiceAccount, secret.Secret(file)
		s.endpoint.answer = answers(200, `{"id_token":""}`)
		s.start()
		for range 3 { // it is not asked again for each connection
			if _, said := s.login(); !strings.Contains(said, "answers without a token") {
				t.Error(said)
			}
		}
		if n := len(s.endpoint.requests); n != 1 {
			t.Errorf("%d requests for a token", n)
		}
		s.silent()
	})
	t.Run("no key", func(t *testing.T) {
		s := newScene(t)
		s.account.Grant, s.account.Key = oauth.GrantServiceAccount, "b0dy-secret"
		s.start()
		if _, said := s.login(); !strings.HasPrefix(said, "454 4.3.5 cannot read the key") {
			t.Error(said)
		}
		s.silent()
	})
	t.Run("a key that is none", func(t *testing.T) {
		s := newScene(t)
		s.account.Grant, s.account.Key = oauth.GrantServiceAccount, `{"client_email":"a","private_key":"b0dy-secret"}`
		s.start()
		if _, said := s.login(); !strings.HasPrefix(said, "454 4.") {
			t.Error(said)
		}
		s.silent()
	})
	t.Run("client credentials", func(t *testing.T) {
		s := newScene(t)
		s.account.Grant, s.account.ClientSecret, s.account.Scopes = oauth.GrantClient, "b0dy-secret", []string{"x/.default"}
		s.start()
		if _, said := s.login(); !strings.HasPrefix(said, "235 ") {
			t.Fatalf("%s; %s", said, s.log())
		}
		if f := s.endpoint.requests[0]; f.Get("grant_type") != "client_credentials" || f.Get("scope") != "x/.default" || f.Get("client_secret") != "b0dy-secret" {
			t.Error("the request is another")
		}
		s.silent()
	})
}

// What a token endpoint is not told: an error that is passed on has none of its answer.
func TestErrorsOfLibrariesAreNotShown(t *testing.T) {
	s := &source{account: oauth.Account{TokenURL: "https://login.example.test/token"}}
	for _, err := range []error{errors.New("oauth2: cannot parse json: b0dy-secret"), &oauth2.RetrieveError{Body: []byte("b0dy-secret"), ErrorCode: "b0dy-secret"}} {
		if got := s.why(nil, err); strings.Contains(got.Error(), "b0dy") {
			t.Error(got)
		}
	}
	_ = url.Values{}
}

// A server that does not know AUTH may repeat the line, and Postfix logs what is answered.
func TestARepeatedLoginIsMasked(t *testing.T) {
	const token = "ya29.a0AfH6SMB-short"
	r := masked(reply{code: "500", lines: []string{"unknown: AUTH XOAUTH2 dXNlcj1hQGIBYXV0aD1CZWFyZXIgeWEyOS5hMEFmSDZTTUI=", "or " + token, "try at mail.prod.outlook.example"}}, token)
	if got := r.String(); got != "500 unknown: AUTH XOAUTH2 *** or *** try at mail.prod.outlook.example" {
		t.Errorf("the reply is %q", got)
	}
}
