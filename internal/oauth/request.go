package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/providers"
	"postfix-maint/internal/secret"
)

// Ways to log in.
const (
	FlowDevice  = "device"             // RFC 8628: a person opens an address and types a code
	FlowBrowser = "browser"            // RFC 6749, section 4.1, with PKCE: a person pastes the address that comes back
	FlowClient  = "client-credentials" // nobody: the application has rights of its own
	FlowService = "service-account"    // nobody: a key signs
)

// Flows are all of them.
var Flows = []string{FlowDevice, FlowBrowser, FlowClient, FlowService}

// Request is a login to be made; who makes it needs nothing else.
type Request struct {
	Flow                         string
	Provider, Relay              string
	Wrapper                      bool
	CAFile, User                 string
	AuthURL, TokenURL, DeviceURL string
	ClientID                     string
	ClientSecret, Key            secret.Secret
	Scopes                       []string
}

// Wish is what a person says of a login: the options of "smarthost login". Resolve makes a request of it.
type Wish struct {
	Request
	Tenant string
}

// requested is a request on its way to the program that makes it, over a pipe. Like an account's file it prints secrets.
type requested struct {
	Request
	ClientSecret, Key string
}

// Marshal gives the text of a request. Whoever calls it is about to write a secret.
func (r Request) Marshal() ([]byte, error) {
	return json.Marshal(requested{Request: r, ClientSecret: string(r.ClientSecret), Key: string(r.Key)})
}

// ParseRequest reads it. Its errors repeat nothing of what is in it.
func ParseRequest(text []byte) (Request, error) {
	var r requested
	if err := json.Unmarshal(text, &r); err != nil {
		return Request{}, errors.New("cannot read what login is to be made: it is no JSON object of the form that \"smarthost login\" writes")
	}
	r.Request.ClientSecret, r.Request.Key = secret.Secret(r.ClientSecret), secret.Secret(r.Key)
	return r.Request, r.Request.check()
}

// Resolve fills in what the provider's row knows, and refuses what can't be. Its errors name the options.
func (w Wish) Resolve() (Request, error) {
	r := w.Request
	var o providers.OAuth
	if r.Provider != "" {
		p, ok := providers.Find(r.Provider)
		switch {
		case !ok:
			return r, fmt.Errorf("--provider: there is no %q; these log in by OAuth 2.0: %s", r.Provider, strings.Join(Providers(), ", "))
		case p.OAuth == nil:
			return r, fmt.Errorf("--provider: %s logs in by passwords only: use \"smarthost set --provider %s\"", p.Title, p.Name)
		}
		o = *p.OAuth
		if r.Relay == "" {
			r.Relay, r.Wrapper = p.Relay, p.Wrapper
		}
	}
	r.Wrapper = r.Wrapper || strings.HasSuffix(r.Relay, "]:465") // RFC 8314
	if r.Flow == "" {
		r.Flow = usualFlow(r, o)
	}
	own := r.AuthURL != "" || r.TokenURL != "" || r.DeviceURL != ""
	if r.Provider != "" && !own && !slices.Contains(o.Flows, r.Flow) && slices.Contains(Flows, r.Flow) {
		return r, fmt.Errorf("--flow: %s has no %s for mail: use %s", r.Provider, r.Flow, strings.Join(o.Flows, " or "))
	}
	if err := w.addresses(&r, o); err != nil {
		return r, err
	}
	if len(r.Scopes) == 0 {
		r.Scopes = o.Scopes
		if r.Flow == FlowClient && len(o.ClientScopes) > 0 {
			r.Scopes = o.ClientScopes
		}
	}
	return r, r.check()
}

// usualFlow is the flow that nobody chose: by what is given, else the provider's first.
func usualFlow(r Request, o providers.OAuth) string {
	switch {
	case r.Key != "":
		return FlowService
	case r.DeviceURL != "":
		return FlowDevice
	case r.AuthURL != "":
		return FlowBrowser
	case len(o.Flows) > 0:
		return o.Flows[0]
	}
	return FlowDevice
}

// addresses fills in the endpoints, with the tenant in them.
func (w Wish) addresses(r *Request, o providers.OAuth) error {
	named := false
	for _, a := range []struct {
		to  *string
		row string
	}{{&r.AuthURL, o.AuthURL}, {&r.TokenURL, o.TokenURL}, {&r.DeviceURL, o.DeviceURL}} {
		if *a.to == "" {
			*a.to = a.row
		}
		named = named || strings.Contains(*a.to, "{tenant}")
	}
	tenant := w.Tenant
	switch {
	case tenant != "" && !named:
		return errors.New("--tenant: no address of this provider has a tenant in it")
	case tenant != "" && strings.Trim(strings.ToLower(tenant), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "":
		return fmt.Errorf("--tenant: %q is neither the id of a tenant nor its domain", tenant)
	case tenant == "" && named && r.Flow == FlowClient:
		return errors.New("--tenant is missing: an application logs in at its own tenant, such as example.onmicrosoft.com")
	case tenant == "":
		tenant = o.Tenant
	}
	for _, to := range []*string{&r.AuthURL, &r.TokenURL, &r.DeviceURL} {
		*to = strings.ReplaceAll(*to, "{tenant}", tenant)
	}
	return nil
}

// Providers are the names of the rows that log in by OAuth 2.0.
func Providers() (names []string) {
	for _, p := range providers.All {
		if p.OAuth != nil {
			names = append(names, p.Name)
		}
	}
	return names
}

// check refuses a request that can't be made.
func (r Request) check() error {
	if err := r.checkRelay(); err != nil {
		return err
	}
	if r.User == "" {
		return errors.New("--user is missing: the address of the mailbox that sends")
	}
	if err := answers.CheckAddress(r.User); err != nil {
		return fmt.Errorf("--user: %w", err)
	}
	if err := answers.CheckAccount(r.User); err != nil {
		return fmt.Errorf("--user: %w", err)
	}
	if !slices.Contains(Flows, r.Flow) {
		return fmt.Errorf("--flow: there is no %q: use one of %s", r.Flow, strings.Join(Flows, ", "))
	}
	if err := r.checkAddresses(); err != nil {
		return err
	}
	return r.checkSecrets()
}

func (r Request) checkRelay() error {
	if r.Relay == "" {
		return errors.New("nobody says where to log in: use --provider, or --relay '[HOST]:PORT' with --token-url")
	}
	host, port, err := net.SplitHostPort(r.Relay)
	if n, portErr := strconv.Atoi(port); err != nil || !strings.HasPrefix(r.Relay, "["+host+"]") || host == "" || portErr != nil || n < 1 || n > 65535 ||
		strings.ContainsAny(host, "{}[]/ ") {
		return fmt.Errorf("--relay: %q is not [HOST]:PORT, such as [smtp.example.com]:587", r.Relay)
	}
	return nil
}

func (r Request) checkAddresses() error {
	for _, a := range []struct {
		option, text string
		needed       bool
	}{
		{"--token-url", r.TokenURL, true}, {"--auth-url", r.AuthURL, r.Flow == FlowBrowser}, {"--device-url", r.DeviceURL, r.Flow == FlowDevice},
	} {
		if a.text == "" && !a.needed {
			continue
		}
		if a.text == "" {
			return fmt.Errorf("%s is missing: the flow %s needs that address of the provider's", a.option, r.Flow)
		}
		u, err := url.Parse(a.text)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			return fmt.Errorf("%s: %q is not an address like https://login.example.com/token", a.option, a.text)
		}
	}
	return nil
}

func (r Request) checkSecrets() error {
	switch {
	case r.Flow == FlowService && r.Key == "":
		return errors.New("--key-file is missing: the service account's key, as the provider gives it (JSON)")
	case r.Flow != FlowService && r.Key != "":
		return fmt.Errorf("--key-file: the flow %s takes no key", r.Flow)
	case r.Flow != FlowService && r.ClientID == "":
		return errors.New("--client-id is missing: register an application at the provider (see \"Log in by OAuth 2.0\" in postfix-maint-smarthost(8)) and name it; " +
			"none is built in")
	case r.Flow == FlowClient && r.ClientSecret == "":
		return errors.New("--client-secret-file is missing: the flow client-credentials logs in with it")
	}
	return nil
}
