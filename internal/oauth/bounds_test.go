package oauth

import (
	"slices"
	"strings"
	"testing"
)

// Ports of a relay are 1 to 65535, beside which nothing is one.
func TestPortsOfRelays(t *testing.T) {
	for port, want := range map[string]bool{"0": false, "1": true, "65535": true, "65536": false, "-1": false, "": false, "25x": false} {
		w := asked(func(w *Wish) {
			w.Provider, w.Relay, w.TokenURL, w.DeviceURL = "", "[relay.example]:"+port, "https://login.example/token", "https://login.example/device"
		})
		if _, err := w.Resolve(); (err == nil) != want || err != nil && !strings.HasPrefix(err.Error(), "--relay: ") {
			t.Errorf("port %q: %v", port, err)
		}
	}
}

// Only providers that we can log in at are offered.
func TestProvidersThatLogIn(t *testing.T) {
	if all := Providers(); !slices.Contains(all, "microsoft") || !slices.Contains(all, "google") || slices.Contains(all, "fastmail") || slices.Contains(all, "gmx") {
		t.Errorf("they are %q", all)
	}
}

// Each grant wants all of its own secrets, and none of another one's.
func TestGrantsWithoutTheirSecrets(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*Account)
		want   bool
	}{
		"refresh token":             {func(a *Account) { a.Grant, a.RefreshToken = GrantRefresh, "r" }, true},
		"another one's":             {func(a *Account) { a.Grant, a.Key = GrantRefresh, "k" }, false},
		"client":                    {func(a *Account) { a.Grant, a.ClientID, a.ClientSecret = GrantClient, "i", "s" }, true},
		"client without its secret": {func(a *Account) { a.Grant, a.ClientID = GrantClient, "i" }, false},
		"client without its id":     {func(a *Account) { a.Grant, a.ClientSecret = GrantClient, "s" }, false},
		"key":                       {func(a *Account) { a.Grant, a.Key = GrantServiceAccount, "k" }, true},
		"no key":                    {func(a *Account) { a.Grant, a.RefreshToken = GrantServiceAccount, "r" }, false},
		"no such grant":             {func(a *Account) { a.Grant, a.RefreshToken = "password", "r" }, false},
	} {
		var a Account
		row.change(&a)
		if err := a.check(); (err == nil) != row.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
