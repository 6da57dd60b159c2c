package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/login"
	"postfix-maint/internal/oauth"
)

// A request comes in, an account goes out: over real TLS, with the address pasted.
func TestAccount(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.FormValue("code") != "c0de" {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprint(w, `{"access_token":"acc3ss","refresh_token":"r3fresh"}`)
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o644); err != nil {
		t.Fatal(err)
	}
	request := oauth.Request{
		Flow: oauth.FlowBrowser, Relay: "[relay.example]:587", User: "u@example.com", ClientID: "id", AuthURL: s.URL, TokenURL: s.URL, CAFile: ca,
	}
	for name, row := range map[string]struct {
		line, want string
		change     func(*oauth.Request)
	}{
		"pasted":   {"c0de\n", "", nil},
		"no line":  {"c0de", "", nil},
		"nothing":  {"", "cannot read the address", nil},
		"wrong":    {"another\n", "cannot log in: ", nil},
		"no CAs":   {"c0de\n", "cannot check certificates", func(r *oauth.Request) { r.CAFile = "/none" }},
		"no flow":  {"c0de\n", "--flow", func(r *oauth.Request) { r.Flow = "" }},
		"other CA": {"c0de\n", "certificate", func(r *oauth.Request) { r.CAFile = "" }},
	} {
		r := request
		if row.change != nil {
			row.change(&r)
		}
		text, err := r.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := out.WriteString(row.line); err != nil {
			t.Fatal(err)
		}
		out.Close()
		var words strings.Builder
		got, err := account(t.Context(), strings.NewReader(string(text)), login.Person{Words: &words, Paste: paste(in)})
		in.Close()
		a, parseErr := oauth.Parse(got)
		if row.want == "" && (err != nil || parseErr != nil || a.RefreshToken != "r3fresh") || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, %v; want %q", name, err, parseErr, row.want)
		}
		if said := words.String() + fmt.Sprint(err); strings.Contains(said, "r3fresh") || strings.Contains(said, "acc3ss") {
			t.Errorf("%s: a token is shown: %s", name, said)
		}
	}
}

func TestPasteEnds(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := paste(in)(ctx); err == nil {
		t.Error("it waits for a line that does not come")
	}
	if paste(nil) != nil {
		t.Error("somebody is taken to be there")
	}
}

// Without an account there is one line that says why, and 1.
func TestNoAccount(t *testing.T) {
	for _, row := range []struct{ request, want string }{
		{"", "cannot read"},
		{`{"client_secret": "s3cret", "flow"`, "cannot read"},
		{`{"flow": "none"}`, "nobody says where to log in"},
	} {
		var out, words strings.Builder
		code := answer(t.Context(), strings.NewReader(row.request), &out, login.Person{Words: &words})
		if said := out.String(); code != 1 || !strings.Contains(said, row.want) || strings.Count(said, "\n") != 1 || strings.Contains(said, "s3cret") {
			t.Errorf("%s: %d, %q", row.request, code, said)
		}
	}
}

// A login leaves no core dump, and no other process of the same user may look into it.
func TestHidden(t *testing.T) {
	defer func() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }()
	if err := hidden(); err != nil {
		t.Fatal(err)
	}
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	var core unix.Rlimit
	if limitErr := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || limitErr != nil || dumpable != 0 || core.Cur != 0 || core.Max != 0 {
		t.Errorf("dumpable is %d (%v), the limit of core dumps %v (%v)", dumpable, err, core, limitErr)
	}
}

// Only a terminal gets the picture of the address.
func TestTerminal(t *testing.T) {
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if isTerminal(f) || isTerminal(&strings.Builder{}) {
		t.Error("a file counts as a terminal")
	}
}
