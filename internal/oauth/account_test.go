package oauth

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func person() Account {
	return Account{
		Provider: "microsoft", Relay: "[smtp.office365.com]:587", User: "u@example.com", Grant: GrantRefresh, TokenURL: "https://login/token",
		ClientID: "id", ClientSecret: "s3cret", Scopes: []string{"a", "b"}, RefreshToken: "r3fresh", Local: "l0cal",
	}
}

func TestAnAccountComesBack(t *testing.T) {
	text, err := person().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(person(), back) {
		t.Error("an account that was written is not the same when it is read")
	}
}

func TestDamagedAccountsAreRefused(t *testing.T) {
	for name, change := range map[string]func(*Account){
		"no relay": func(a *Account) { a.Relay = "" }, "no user": func(a *Account) { a.User = "" },
		"no token endpoint": func(a *Account) { a.TokenURL = "" }, "no local secret": func(a *Account) { a.Local = "" },
		"no refresh token": func(a *Account) { a.RefreshToken = "" }, "another grant": func(a *Account) { a.Grant = "password" },
		"no client secret": func(a *Account) { a.Grant, a.ClientSecret = GrantClient, "" }, "no key": func(a *Account) { a.Grant = GrantServiceAccount },
	} {
		a := person()
		change(&a)
		text, err := a.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, text := range []string{"", "r3fresh", `{"format":2}`, `[]`} {
		if _, err := Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "r3fresh") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestPrintedAccountsShowNoSecret(t *testing.T) {
	asJSON, err := json.Marshal(person())
	if err != nil {
		t.Fatal(err)
	}
	for _, said := range []string{fmt.Sprint(person()), fmt.Sprintf("%#v", person()), string(asJSON)} {
		for _, secret := range []string{"s3cret", "r3fresh", "l0cal"} {
			if strings.Contains(said, secret) {
				t.Errorf("printed: %s", said)
			}
		}
	}
}
