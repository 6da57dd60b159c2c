// Package oauth (ring: format) has the form of a login at a relay by OAuth 2.0 (RFC 6749): what one relay account has to know to get
// access tokens and to log in with them. The commands that log in write it, the OAuth relay reads it.
package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"postfix-maint/internal/secret"
)

// Format is the number of the form that accounts are written in.
const Format = 1

// Ways to get an access token.
const (
	GrantRefresh        = "refresh_token"      // RFC 6749, section 6: a person has logged in once
	GrantClient         = "client_credentials" // RFC 6749, section 4.4: an application of its own
	GrantServiceAccount = "service_account"    // RFC 7523: a signed assertion
)

// Account is one login at one relay, in a file of root's that nobody else may read.
type Account struct {
	Provider     string // row of internal/providers, "" for another
	Relay        string // [HOST]:PORT of the provider
	Wrapper      bool   // TLS from the first byte instead of STARTTLS
	CAFile       string // CAs to check the relay and the token endpoint with, in PEM; "" means the system's
	User         string // the address that logs in
	Grant        string // one of the grants above
	TokenURL     string // token endpoint
	ClientID     string // of the application
	ClientSecret secret.Secret
	Scopes       []string
	RefreshToken secret.Secret // GrantRefresh
	Key          secret.Secret // GrantServiceAccount: the key file, as JSON
	Local        secret.Secret // what Postfix logs in with at the OAuth relay
}

// stored is an account as it stands in its file: the only place where secrets are printed.
type stored struct {
	Format       int      `json:"format"`
	Provider     string   `json:"provider,omitempty"`
	Relay        string   `json:"relay"`
	Wrapper      bool     `json:"wrapper,omitempty"`
	CAFile       string   `json:"ca_file,omitempty"`
	User         string   `json:"user"`
	Grant        string   `json:"grant"`
	TokenURL     string   `json:"token_url"`
	ClientID     string   `json:"client_id,omitempty"`
	ClientSecret string   `json:"client_secret,omitempty"`
	Scopes       []string `json:"scopes,omitempty"`
	RefreshToken string   `json:"refresh_token,omitempty"`
	Key          string   `json:"key,omitempty"`
	Local        string   `json:"local"`
}

// Marshal gives the text of the account's file. Whoever calls it is about to write a secret.
func (a Account) Marshal() ([]byte, error) {
	text, err := json.MarshalIndent(stored{
		Format: Format, Provider: a.Provider, Relay: a.Relay, Wrapper: a.Wrapper, CAFile: a.CAFile, User: a.User, Grant: a.Grant,
		TokenURL: a.TokenURL, ClientID: a.ClientID, ClientSecret: string(a.ClientSecret), Scopes: a.Scopes,
		RefreshToken: string(a.RefreshToken), Key: string(a.Key), Local: string(a.Local),
	}, "", "  ")
	return append(text, '\n'), err
}

// Parse reads the text of an account's file. Its errors repeat nothing of what is in it.
func Parse(text []byte) (Account, error) {
	var s stored
	switch err := json.Unmarshal(text, &s); {
	case err != nil:
		return Account{}, errors.New("cannot read the login: it is no JSON object of the form that \"smarthost login\" writes")
	case s.Format != Format:
		return Account{}, fmt.Errorf("cannot read the login: its format is %d, this version knows %d", s.Format, Format)
	case s.Relay == "" || s.User == "" || s.TokenURL == "" || s.Local == "":
		return Account{}, errors.New("cannot read the login: relay, user, token_url or local is missing")
	}
	a := Account{
		Provider: s.Provider, Relay: s.Relay, Wrapper: s.Wrapper, CAFile: s.CAFile, User: s.User, Grant: s.Grant,
		TokenURL: s.TokenURL, ClientID: s.ClientID, ClientSecret: secret.Secret(s.ClientSecret), Scopes: s.Scopes,
		RefreshToken: secret.Secret(s.RefreshToken), Key: secret.Secret(s.Key), Local: secret.Secret(s.Local),
	}
	return a, a.check()
}

// check tells what the account's grant lacks.
func (a Account) check() error {
	missing := map[string]bool{
		GrantRefresh: a.RefreshToken == "", GrantClient: a.ClientID == "" || a.ClientSecret == "", GrantServiceAccount: a.Key == "",
	}
	switch lacks, known := missing[a.Grant]; {
	case !known:
		return errors.New("cannot read the login: its grant is none of " + strings.Join([]string{GrantRefresh, GrantClient, GrantServiceAccount}, ", "))
	case lacks:
		return fmt.Errorf("cannot read the login: the grant %s lacks its secret", a.Grant)
	}
	return nil
}
