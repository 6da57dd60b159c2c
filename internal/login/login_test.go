package login

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"postfix-maint/internal/oauth"
	"postfix-maint/internal/secret"
)

// provider is one of the test's: what it answers a form with, in a bubble of time of its own.
type provider func(form url.Values, r *http.Request) (status int, answer string)

// RoundTrip is http.RoundTripper.
func (p provider) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	status, answer := p(r.Form, r)
	if status == 0 {
		return nil, errors.New("no route to host")
	}
	w.WriteHeader(status)
	_, err := w.WriteString(answer)
	return w.Result(), err
}

const (
	given  = `{"access_token":"acc3ss","refresh_token":"r3fresh","token_type":"Bearer","expires_in":3600}`
	code   = `{"device_code":"dev1ce","user_code":"ABCD-EFGH","verification_uri":"https://login.example/go","expires_in":900,"interval":5}`
	denied = `{"error":"access_denied","error_description":"no"}`
)

func request(flow string) oauth.Request {
	return oauth.Request{
		Flow: flow, Relay: "[relay.example]:587", User: "u@example.com", ClientID: "id", Scopes: []string{"mail", "offline_access"},
		AuthURL: "https://login.example/auth", TokenURL: "https://login.example/token", DeviceURL: "https://login.example/device",
	}
}

// try logs in, and gives what the person was told. No secret may be in that.
func try(t *testing.T, r oauth.Request, p provider, paste func(shown string) string) (a oauth.Account, shown string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var words strings.Builder
		d := Deps{Person: Person{Words: &words, Terminal: true}, Transport: p}
		if paste != nil {
			d.Paste = func(context.Context) (string, error) { return paste(words.String()), nil }
		}
		a, err = Run(t.Context(), d, r)
		shown = words.String()
		time.Sleep(2 * answerLimit) // the library leaves a question open, which the client ends
	})
	for _, hidden := range []string{"acc3ss", "r3fresh", "dev1ce", "s3cret", "PRIVATE"} {
		if strings.Contains(shown+fmt.Sprint(err), hidden) {
			t.Errorf("%s is shown: %s %v", hidden, shown, err)
		}
	}
	return a, shown, err
}

// whole tells whether an account is one that the OAuth relay can use.
func whole(t *testing.T, a oauth.Account) {
	t.Helper()
	text, err := a.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oauth.Parse(text); err != nil {
		t.Error(err)
	}
}

func TestDevice(t *testing.T) {
	polls := []time.Time{}
	a, shown, err := try(t, request(oauth.FlowDevice), func(form url.Values, r *http.Request) (int, string) {
		if r.URL.Path == "/device" {
			if form.Get("client_id") != "id" || form.Get("scope") != "mail offline_access" {
				t.Errorf("asked with %v", form)
			}
			return 200, code
		}
		if form.Get("device_code") != "dev1ce" || form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:device_code" {
			t.Errorf("asked with %v", form)
		}
		switch polls = append(polls, time.Now()); len(polls) {
		case 1:
			return 400, `{"error":"authorization_pending"}`
		case 2:
			return 400, `{"error":"slow_down"}`
		case 3:
			return 0, "" // the network is away
		}
		return 200, given
	}, nil)
	if err != nil || a.RefreshToken != "r3fresh" || a.Grant != oauth.GrantRefresh || a.Local == "" {
		t.Fatalf("%+v, %v", a, err)
	}
	whole(t, a)
	for i, least := range []time.Duration{5, 10, 10} { // RFC 8628, section 3.5
		if got := polls[i+1].Sub(polls[i]); got < least*time.Second {
			t.Errorf("question %d came %v after the one before", i+2, got)
		}
	}
	for _, part := range []string{"https://login.example/go", "ABCD-EFGH", "█"} {
		if !strings.Contains(shown, part) {
			t.Errorf("%q is not shown:\n%s", part, shown)
		}
	}
}

// Each way in which a provider says no has its own words, with what to do.
func TestRefusals(t *testing.T) {
	for name, row := range map[string]struct {
		flow, device, token string
		status              int
		want                string
	}{
		"declined":           {oauth.FlowDevice, code, denied, 400, "the login was declined in the browser"},
		"expired":            {oauth.FlowDevice, code, `{"error":"expired_token"}`, 400, "begin again (expired_token)"},
		"never finished":     {oauth.FlowDevice, code, `{"error":"authorization_pending"}`, 400, "nobody finished the login in time"},
		"no such client":     {oauth.FlowDevice, code, `{"error":"invalid_client"}`, 401, "check --client-id"},
		"not public":         {oauth.FlowDevice, code, `{"error":"invalid_client","error_description":"AADSTS7000218: The request body"}`, 401, "Allow public client flows"},
		"declined in Entra":  {oauth.FlowDevice, code, `{"error":"authorization_declined","error_description":"AADSTS65004: User declined"}`, 400, "declined"},
		"unknown code":       {oauth.FlowDevice, code, `{"error":"odd_thing","error_description":"r3fresh s3cret"}`, 400, "page of error codes (odd_thing)"},
		"terminal's command": {oauth.FlowDevice, code, `{"error":"\u001b[2J"}`, 400, "the provider refuses it"},
		"device refused":     {oauth.FlowDevice, `!{"error":"unauthorized_client","error_description":"AADSTS700016: Application"}`, "", 400, "no such application in this tenant"},
		"device null":        {oauth.FlowDevice, "null", "", 200, "none of OAuth 2.0"},
		"device blank":       {oauth.FlowDevice, "{}", "", 200, "check --device-url"},
		"device commands":    {oauth.FlowDevice, `{"device_code":"d","user_code":"\u001b[2J","verification_uri":"https://a"}`, "", 200, "check --device-url"},
		"device interval":    {oauth.FlowDevice, strings.Replace(code, `"interval":5`, `"interval":-7`, 1), denied, 400, "declined"},
		"device long ago":    {oauth.FlowDevice, strings.Replace(code, `900,"interval":5`, `900,"interval":9223372036854775807`, 1), denied, 400, "declined"},
		"device no JSON":     {oauth.FlowDevice, "<html>r3fresh</html>", "", 200, "does not answer as OAuth 2.0 has it"},
		"page":               {oauth.FlowDevice, code, "<html>r3fresh</html>", 404, "login.example answers 404"},
		"nothing for later":  {oauth.FlowDevice, code, `{"access_token":"acc3ss"}`, 200, "no refresh_token"},
		"null":               {oauth.FlowDevice, code, "null", 200, "does not answer as OAuth 2.0 has it"},
		"elsewhere":          {oauth.FlowClient, "", "", 307, "answers 307"},
		"wrong secret":       {oauth.FlowClient, "", `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid"}`, 401, "the secret's Value"},
		"no route":           {oauth.FlowClient, "", "", 0, "cannot reach login.example: no route to host"},
		"secret sent back":   {oauth.FlowClient, "", `{"error":"s3cret"}`, 400, "the provider refuses it"},
		"key may not":        {oauth.FlowService, "", `{"error":"unauthorized_client"}`, 401, "Domain-wide delegation"},
		"key, no route":      {oauth.FlowService, "", "", 0, "cannot reach login.example: no route to host"},
		"key, no token":      {oauth.FlowService, "", "{}", 200, "login.example gave no token"},
		"key, no JSON":       {oauth.FlowService, "", "r3fresh", 200, "does not answer as OAuth 2.0 has it"},
		"no terminal":        {oauth.FlowBrowser, "", "", 200, "needs a terminal"},
		"a flow of nobody":   {"password", "", "", 200, "there is no flow"},
	} {
		r := request(row.flow)
		if row.flow == oauth.FlowClient {
			r.ClientSecret = "s3cret"
		}
		if row.flow == oauth.FlowService {
			r.Key = newKey(t, nil)
		}
		a, _, err := try(t, r, func(_ url.Values, q *http.Request) (int, string) {
			if no, refused := strings.CutPrefix(row.device, "!"); q.URL.Path == "/device" && refused {
				return 400, no
			} else if q.URL.Path == "/device" {
				return 200, row.device
			}
			return row.status, row.token
		}, nil)
		if err == nil || !strings.Contains(err.Error(), row.want) || !strings.HasPrefix(err.Error(), "cannot log in: ") || a.Local != "" {
			t.Errorf("%s: %v; want %q", name, err, row.want)
		}
	}
}

func TestBrowser(t *testing.T) {
	challenge := ""
	p := func(form url.Values, _ *http.Request) (int, string) {
		if form.Get("code") != "4/0code" || form.Get("code_verifier") == "" || form.Get("redirect_uri") != redirect {
			t.Errorf("asked with %v", form)
		}
		return 200, given
	}
	query := func(shown string) url.Values {
		for line := range strings.Lines(shown) {
			if u, err := url.Parse(strings.TrimSpace(line)); err == nil && u.Host == "login.example" {
				challenge = u.Query().Get("code_challenge")
				return u.Query()
			}
		}
		t.Fatalf("no address is shown: %s", shown)
		return nil
	}
	for name, row := range map[string]struct {
		paste func(state string) string
		want  string
	}{
		"whole":          {func(state string) string { return redirect + "/?state=" + state + "&code=4%2F0code&scope=x" }, ""},
		"behind the ?":   {func(state string) string { return " code=4%2F0code&state=" + state + "\r\n" }, ""},
		"code alone":     {func(string) string { return "4/0code\n" }, ""},
		"code as it was": {func(string) string { return "4%2F0code\n" }, ""},
		"another login":  {func(string) string { return redirect + "/?state=x&code=4%2F0code" }, "another login"},
		"no state":       {func(string) string { return redirect + "/?code=4%2F0code" }, "another login"},
		"no code":        {func(state string) string { return redirect + "/?state=" + state }, "has no code in it"},
		"declined":       {func(string) string { return redirect + "/?error=access_denied&error_description=x" }, "declined in the browser"},
		"nothing":        {func(string) string { return "\n" }, "was pasted is not"},
		"first address":  {func(string) string { return "https://login.example/auth" }, "was pasted is not"},
		"no encoding":    {func(string) string { return "?code=%zz" }, "was pasted is not"},
	} {
		a, _, err := try(t, request(oauth.FlowBrowser), p, func(shown string) string { return row.paste(query(shown).Get("state")) })
		if row.want == "" {
			if err != nil || a.RefreshToken != "r3fresh" || challenge == "" {
				t.Errorf("%s: %v", name, err)
			}
			whole(t, a)
		} else if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v; want %q", name, err, row.want)
		}
	}
	for scopes, want := range map[string]string{"mail": "consent", "offline_access": ""} {
		r := request(oauth.FlowBrowser)
		r.Scopes = []string{scopes}
		if _, _, err := try(t, r, p, func(shown string) string {
			if got := query(shown).Get("prompt"); got != want {
				t.Errorf("%s: prompt is %q", scopes, got)
			}
			return "4/0code"
		}); err != nil {
			t.Error(err)
		}
	}
}

// The secret goes in the body, and where the provider does not take it there in the header.
func TestClientCredentials(t *testing.T) {
	for _, header := range []bool{false, true} {
		r := request(oauth.FlowClient)
		r.ClientSecret = "s3cret"
		asked := 0
		a, _, err := try(t, r, func(form url.Values, q *http.Request) (int, string) {
			asked++
			_, password, basic := q.BasicAuth()
			if basic != header || !basic && form.Get("client_secret") != "s3cret" || basic && password != "s3cret" {
				return 401, `{"error":"invalid_client"}`
			}
			return 200, `{"access_token":"acc3ss"}`
		}, nil)
		if err != nil || a.Grant != oauth.GrantClient || a.ClientSecret != "s3cret" || asked != map[bool]int{false: 1, true: 2}[header] {
			t.Errorf("%+v, %v after %d questions", a, err, asked)
		}
		whole(t, a)
	}
}

// newKey is the key file of a service account.
func newKey(t *testing.T, change func(map[string]string)) secret.Secret {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der := x509.MarshalPKCS1PrivateKey(private)
	file := map[string]string{
		"type": "service_account", "client_email": "a@example.iam", "private_key_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der})),
	}
	if change != nil {
		change(file)
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return secret.Secret(text)
}

func TestServiceAccount(t *testing.T) {
	r := request(oauth.FlowService)
	r.ClientID, r.Key = "", newKey(t, nil)
	a, _, err := try(t, r, func(form url.Values, _ *http.Request) (int, string) {
		if form.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || strings.Count(form.Get("assertion"), ".") != 2 {
			t.Errorf("asked with %v", form)
		}
		return 200, given
	}, nil)
	if err != nil || a.Grant != oauth.GrantServiceAccount || a.Key != r.Key {
		t.Fatalf("%+v, %v", a, err)
	}
	whole(t, a)
	for want, key := range map[string]secret.Secret{
		"no JSON": "PRIVATE", "not that of a service account": newKey(t, func(k map[string]string) { k["type"] = "authorized_user" }),
		"not whole":          newKey(t, func(k map[string]string) { k["client_email"] = "" }),
		"private key cannot": newKey(t, func(k map[string]string) { k["private_key"] = "PRIVATE" }),
	} {
		r.Key = key
		if _, _, err := try(t, r, func(url.Values, *http.Request) (int, string) { return 200, given }, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
}

// A login ends with its context, also while it waits.
func TestALoginEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		began := time.Now()
		_, err := Run(ctx, Deps{Person: Person{Words: &strings.Builder{}}, Transport: provider(func(_ url.Values, q *http.Request) (int, string) {
			if q.URL.Path == "/device" {
				return 200, code
			}
			return 400, `{"error":"authorization_pending"}`
		})}, request(oauth.FlowDevice))
		if err == nil || time.Since(began) > 13*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		time.Sleep(2 * answerLimit)
	})
}

func TestTransport(t *testing.T) {
	if _, err := Transport([]byte("x")); err == nil {
		t.Error("a file without certificates is accepted")
	}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, given)
	}))
	defer s.Close()
	r := request(oauth.FlowClient)
	r.ClientSecret, r.TokenURL = "s3cret", s.URL
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	for _, row := range []struct {
		pem  []byte
		want string
	}{{ca, ""}, {nil, "certificate"}} {
		way, err := Transport(row.pem)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = Run(t.Context(), Deps{Transport: way}, r); (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%v; want %q", err, row.want)
		}
	}
}
