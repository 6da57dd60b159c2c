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

// An account that was cut off, anywhere, or has other bytes in it: the error says what to do, and nothing of what is in the file.
func TestErrorsOfDamagedAccountsShowNothingOfThem(t *testing.T) {
	a := person()
	a.Key = "k3yfile"
	whole, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for n := range len(whole) - 2 { // without its last bracket at least
		_, err := Parse(whole[:n])
		said[fmt.Sprint(err)] = true
	}
	for from, to := range map[string]string{`"r3fresh"`: "r3fresh", `"l0cal"`: `"l0cal"s3cret`, `"s3cret"`: `{"s3cret":1}`} {
		_, err := Parse([]byte(strings.Replace(string(whole), from, to, 1)))
		said[fmt.Sprint(err)] = true
	}
	if len(said) != 1 || said["<nil>"] {
		t.Errorf("what is said of a login that is damaged depends on what is in it: %v", said)
	}
	text := strings.Replace(string(whole), `"grant": "`+GrantRefresh, `"grant": "r3fresh`, 1)
	if _, err := Parse([]byte(text)); err == nil || strings.Contains(err.Error(), "r3fresh") {
		t.Errorf("another grant: %v", err)
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
