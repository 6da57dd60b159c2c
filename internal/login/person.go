package login

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/oauth2"

	"postfix-maint/internal/secret"
)

// redirect is where the provider sends the browser to: nothing listens there, its address is pasted. "localhost" without a path is what
// registrations at Microsoft and Google take at any port.
const redirect = "http://localhost:47587"

// device lets a person log in wherever there is a browser (RFC 8628).
func (t *attempt) device(ctx context.Context) (secret.Secret, error) {
	c := t.config(oauth2.AuthStyleInParams)
	var more []oauth2.AuthCodeOption
	if c.ClientSecret != "" {
		more = append(more, oauth2.SetAuthURLParam("client_secret", c.ClientSecret))
	}
	code, err := c.DeviceAuth(ctx, more...)
	if err != nil {
		return "", err
	}
	if err := t.show(code); err != nil {
		return "", err
	}
	return refreshing(t.styled(func(c *oauth2.Config) (*oauth2.Token, error) { return wait(ctx, c, code) }))
}

// wait asks until the person is done. A question that does not get through is asked again, less often (RFC 8628, section 3.5).
func wait(ctx context.Context, c *oauth2.Config, code *oauth2.DeviceAuthResponse) (*oauth2.Token, error) {
	for {
		token, err := c.DeviceAccessToken(ctx, code)
		lost := (*url.Error)(nil)
		switch {
		case err == nil || !errors.As(err, &lost) || ctx.Err() != nil:
			return token, err
		case !code.Expiry.IsZero() && !time.Now().Before(code.Expiry):
			return nil, context.DeadlineExceeded
		}
		code.Interval = min(2*code.Interval, 60)
	}
}

// show tells the person where to go. What the provider says must be what it is to be: it gets onto a terminal.
func (t *attempt) show(code *oauth2.DeviceAuthResponse) error {
	code.Interval = min(max(code.Interval, 0), 60)
	if code.Interval == 0 {
		code.Interval = 5 // RFC 8628, section 3.2
	}
	whole := code.VerificationURIComplete
	if code.DeviceCode == "" || !printable(code.VerificationURI) || !printable(code.UserCode) || whole != "" && !printable(whole) {
		return errors.New("the provider's answer is none of the device flow: check --device-url")
	}
	fmt.Fprintf(t.Words, "To let this host send mail as %s, open this address in a browser, on any machine:\n\n    %s\n\nand enter the code\n\n    %s\n\n",
		t.User, code.VerificationURI, code.UserCode)
	if whole == "" {
		whole = code.VerificationURI
	}
	if t.Terminal {
		fmt.Fprint(t.Words, picture(whole), "\n")
	}
	fmt.Fprintln(t.Words, "Log in there as the mailbox that sends. Waiting ...")
	return nil
}

// printable tells whether a text is one for people: short, and nothing that commands a terminal.
func printable(text string) bool {
	return text != "" && len(text) <= 2000 && !strings.ContainsFunc(text, func(c rune) bool { return c > unicode.MaxASCII || !unicode.IsPrint(c) })
}

// browser lets a person log in with a browser, and paste the address that it ends at (RFC 6749, section 4.1; RFC 7636).
func (t *attempt) browser(ctx context.Context) (secret.Secret, error) {
	if t.Paste == nil {
		return "", errors.New("the flow browser needs a terminal to paste an address at: use the flow device, or run it at a terminal")
	}
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier), oauth2.AccessTypeOffline, oauth2.SetAuthURLParam("login_hint", t.User)}
	if !slices.Contains(t.Scopes, "offline_access") { // without such a scope Google gives a token for later only where consent is given anew
		options = append(options, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	fmt.Fprintf(t.Words, "To let this host send mail as %s, open this address in a browser, on any machine, and log in as that mailbox:\n\n%s\n\n"+
		"The browser then ends at an address that begins with %s, and says that it cannot open it. That is right.\n"+
		"Paste that whole address here: ", t.User, t.config(oauth2.AuthStyleInParams).AuthCodeURL(state, options...), redirect)
	line, err := t.Paste(ctx)
	fmt.Fprintln(t.Words)
	if err != nil {
		return "", err
	}
	code, err := codeIn(line, state)
	if err != nil {
		return "", err
	}
	return refreshing(t.styled(func(c *oauth2.Config) (*oauth2.Token, error) {
		return c.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	}))
}

// codeIn is the code in what was pasted: the whole address, what is behind its "?", or the code alone, which PKCE binds to this login.
func codeIn(line, state string) (string, error) {
	line = strings.TrimSpace(line)
	_, query, whole := strings.Cut(line, "?")
	if !whole && strings.Contains(line, "code=") {
		query, whole = line, true
	}
	if !whole {
		code, err := url.PathUnescape(line)
		if err != nil || !printable(code) || strings.ContainsAny(code, " <>\"") || strings.Contains(code, "://") {
			return "", errors.New("what was pasted is not the address that the browser ended at: it has \"code=\" in it")
		}
		return code, nil
	}
	query, _, _ = strings.Cut(query, "#")
	values, err := url.ParseQuery(query)
	switch {
	case err != nil:
		return "", errors.New("what was pasted is not the address that the browser ended at: copy all of it from the address bar")
	case values.Get("error") != "":
		return "", refusal{code: values.Get("error"), words: values.Get("error_description")}
	case values.Get("state") != state:
		return "", errors.New("the address that was pasted is that of another login (its state is not ours): begin again, and paste the address of this one")
	case values.Get("code") == "":
		return "", errors.New("the address that was pasted has no code in it: copy all of it from the address bar")
	}
	return values.Get("code"), nil
}
