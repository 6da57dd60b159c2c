package oauthrelay

import (
	"context"
	"time"

	"golang.org/x/oauth2"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
)

// How long a failure is remembered, during which nobody is asked again; and how soon after one token that was refused by the provider
// another may be.
const (
	firstPause = time.Second
	longPause  = time.Minute
)

// usual is the lifetime of a token that comes without one (RFC 6749, section 5.1, only recommends to say it).
const usual = 5 * time.Minute

// shortest is what any token counts as good for: one that has run out when it comes is not asked for without end.
const shortest = time.Second

// tokens has the access token in force, and gets a new one when that has run out: one request at a time, for all connections at once.
type tokens struct {
	fetch func(ctx context.Context) (*oauth2.Token, error)
	now   func() time.Time
	turn  chan struct{} // taken by whoever looks at what follows, or changes it

	current  secret.Secret
	good     time.Time // until then
	failed   error     // of the last request, nil after one that succeeded
	failures int
	again    time.Time // not before
	dropped  time.Time // when a token was refused last
}

func newTokens(fetch func(ctx context.Context) (*oauth2.Token, error), now func() time.Time) *tokens {
	return &tokens{fetch: fetch, now: now, turn: make(chan struct{}, 1)}
}

// Get gives an access token that is good for now. Who has to wait for somebody else's request gets what that one brings.
func (t *tokens) Get(ctx context.Context) (secret.Secret, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", refuse(oauth.ProblemDown, "4.4.2", "the OAuth relay is ending")
	}
	defer func() { <-t.turn }()
	switch now := t.now(); {
	case t.current != "" && now.Before(t.good):
		return t.current, nil
	case t.failed != nil && now.Before(t.again):
		return "", t.failed
	}
	got, err := t.fetch(ctx)
	if err != nil {
		t.fail(err)
		return "", t.failed
	}
	t.failed, t.failures = nil, 0
	t.current, t.good = secret.Secret(got.AccessToken), t.until(got.Expiry)
	return t.current, nil
}

// until is when a token is taken as run out: a little earlier than it is, for a login that takes its time.
func (t *tokens) until(expiry time.Time) time.Time {
	now := t.now()
	lifetime := usual
	if !expiry.IsZero() {
		lifetime = max(expiry.Sub(now), shortest)
	}
	return now.Add(lifetime - min(time.Minute, lifetime/10))
}

// fail remembers a failure: twice as long each time, and the longest at once for what waiting does not cure.
func (t *tokens) fail(err error) {
	why := asRefusal(err)
	pause := min(firstPause<<min(t.failures, 10), longPause)
	if why.problem == oauth.ProblemLoginAgain || why.problem == oauth.ProblemRefused {
		pause = longPause
	}
	t.failures++
	t.current, t.failed, t.again = "", why, t.now().Add(pause)
}

// Drop takes a token out of use that the provider refused, unless that happened to another one a short time ago: then a new token is no
// cure. It tells whether it is worth while to get another.
func (t *tokens) Drop(token secret.Secret) bool {
	t.turn <- struct{}{} // held for one request at most, which ends
	defer func() { <-t.turn }()
	if t.current != token {
		return true // somebody else has dropped it, and there may be a new one
	}
	if now := t.now(); t.dropped.IsZero() || now.Sub(t.dropped) >= longPause {
		t.current, t.dropped = "", now
		return true
	}
	return false
}

// tokenError is what can be said of a token endpoint's refusal: its body may hold tokens.
func tokenError(a oauth.Account, code string, status int) *refusal {
	where := hostOf(a.TokenURL)
	switch code {
	case "invalid_grant", "interaction_required", "consent_required", "login_required":
		if a.Grant != oauth.GrantRefresh {
			return refuse(oauth.ProblemRefused, "4.7.8", "%s refuses the login of %s (%s): the key or its rights have to be looked at", where, a.User, code)
		}
		return refuse(oauth.ProblemLoginAgain, "4.7.8", "the login of %s was revoked or has run out (%s): %s", a.User, code, loginAgain(a))
	case "temporarily_unavailable", "server_error", "slow_down":
		return refuse(oauth.ProblemDown, "4.7.0", "%s gives no access token just now (%s)", where, code)
	case "":
		if status >= 500 || status == 429 {
			return refuse(oauth.ProblemDown, "4.7.0", "%s gives no access token just now: it answers %d", where, status)
		}
		return refuse(oauth.ProblemRefused, "4.7.0", "%s gives no access token: it answers %d", where, status)
	}
	return refuse(oauth.ProblemRefused, "4.7.8", "%s refuses the application that logs in %s (%s): %s", where, a.User, code, loginAgain(a))
}
