package oauth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asked is a request that is right.
func asked(change func(*Wish)) Wish {
	w := Wish{Request: Request{Provider: "microsoft", User: "u@example.com", ClientID: "id"}}
	if change != nil {
		change(&w)
	}
	return w
}

func TestResolve(t *testing.T) {
	other := func(w *Wish) {
		w.Provider, w.Relay, w.TokenURL = "", "[relay.example]:465", "https://login.example/token"
	}
	for name, row := range map[string]struct {
		change func(*Wish)
		want   string // flow, relay, token endpoint, scopes; or the beginning of an error
	}{
		"usual":       {nil, "device [smtp.office365.com]:587 https://login.microsoftonline.com/organizations/oauth2/v2.0/token https://outlook.office.com/SMTP.Send,offline_access"},
		"tenant":      {func(w *Wish) { w.Tenant = "example.com" }, "device [smtp.office365.com]:587 https://login.microsoftonline.com/example.com/oauth2/v2.0/token https://outlook.office.com/SMTP.Send,offline_access"},
		"application": {func(w *Wish) { w.Tenant, w.Flow, w.ClientSecret = "t", FlowClient, "s" }, "client-credentials [smtp.office365.com]:587 https://login.microsoftonline.com/t/oauth2/v2.0/token https://outlook.office365.com/.default"},
		"google":      {func(w *Wish) { w.Provider = "google" }, "browser [smtp.gmail.com]:587 https://oauth2.googleapis.com/token https://mail.google.com/"},
		"key":         {func(w *Wish) { w.Provider, w.Key, w.ClientID = "google", "{}", "" }, "service-account [smtp.gmail.com]:587 https://oauth2.googleapis.com/token https://mail.google.com/"},
		"other": {func(w *Wish) { other(w); w.DeviceURL, w.Scopes = "https://login.example/device", []string{"mail"} },
			"device [relay.example]:465 https://login.example/token mail"},
		"other in a browser": {func(w *Wish) { other(w); w.AuthURL = "https://login.example/auth" }, "browser [relay.example]:465 https://login.example/token "},

		"nothing":               {func(w *Wish) { w.Provider = "" }, "nobody says where"},
		"no provider":           {func(w *Wish) { w.Provider = "nobody" }, `--provider: there is no "nobody"`},
		"no such flow":          {func(w *Wish) { w.Flow = "password" }, "--flow: there is no"},
		"flow of another":       {func(w *Wish) { w.Provider, w.Flow = "google", FlowDevice }, "--flow: google has no device for mail: use browser or service-account"},
		"no tenant":             {func(w *Wish) { w.Flow, w.ClientSecret = FlowClient, "s" }, "--tenant is missing"},
		"a path as tenant":      {func(w *Wish) { w.Tenant = "a/b" }, "--tenant: "},
		"a tenant for nothing":  {func(w *Wish) { w.Provider, w.Tenant = "google", "t" }, "--tenant: no address"},
		"no user":               {func(w *Wish) { w.User = "" }, "--user is missing"},
		"no address":            {func(w *Wish) { w.User = "u" }, "--user: "},
		"colon":                 {func(w *Wish) { w.User = `"u:v"@example.com` }, "--user: "},
		"no client id":          {func(w *Wish) { w.ClientID = "" }, "--client-id is missing"},
		"no secret":             {func(w *Wish) { w.Flow, w.Tenant = FlowClient, "t" }, "--client-secret-file is missing"},
		"no key":                {func(w *Wish) { w.Provider, w.Flow = "google", FlowService }, "--key-file is missing"},
		"a key for nothing":     {func(w *Wish) { w.Flow, w.Key = FlowDevice, "{}" }, "--key-file: "},
		"relay without port":    {func(w *Wish) { w.Relay = "relay.example" }, "--relay: "},
		"relay without brakets": {func(w *Wish) { w.Relay = "relay.example:587" }, "--relay: "},
		"no token endpoint":     {func(w *Wish) { other(w); w.TokenURL = "" }, "--token-url is missing"},
		"no device endpoint":    {other, "--device-url is missing"},
		"in clear":              {func(w *Wish) { other(w); w.DeviceURL = "http://login.example/device" }, "--device-url: "},
		"with a password":       {func(w *Wish) { w.TokenURL = "https://a:b@login.example/" }, "--token-url: "},
	} {
		r, err := asked(row.change).Resolve()
		got := fmt.Sprint(r.Flow, " ", r.Relay, " ", r.TokenURL, " ", strings.Join(r.Scopes, ","))
		if err != nil {
			got = err.Error()
		}
		if got != row.want && (err == nil || !strings.HasPrefix(got, row.want)) {
			t.Errorf("%s: %s\nwant %s", name, got, row.want)
		}
	}
}

func TestARequestComesBack(t *testing.T) {
	want, err := asked(func(w *Wish) { w.ClientSecret = "s3cret" }).Resolve()
	if err != nil {
		t.Fatal(err)
	}
	text, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseRequest(text); err != nil || !cmp.Equal(want, got) || got.ClientSecret != "s3cret" {
		t.Errorf("%v, %v", got, err)
	}
	for _, text := range []string{"", "s3cret", "[]", "{}", `{"Key":{"s3cret":1}}`} {
		if _, err := ParseRequest([]byte(text)); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
