package login

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/oauth2"

	"postfix-maint/internal/oauth"
)

// refusal is what a provider says no with: the code of RFC 6749 or RFC 8628, and words that are for people.
type refusal struct{ code, words string }

// Error is for errors that nobody made plain.
func (r refusal) Error() string { return "the provider says no" }

// codeOf is the code of a refusal. The library takes it out of some answers and leaves it in others.
func codeOf(e *oauth2.RetrieveError) string { return refusalOf(e).code }

func refusalOf(e *oauth2.RetrieveError) refusal {
	if e.ErrorCode != "" {
		return refusal{e.ErrorCode, e.ErrorDescription}
	}
	var said struct {
		Code  string `json:"error"`
		Words string `json:"error_description"`
	}
	_ = json.Unmarshal(e.Body, &said) // none is a refusal without a code
	return refusal{said.Code, said.Words}
}

// plain says an error in plain words, with what to do.
func (t *attempt) plain(ctx context.Context, err error) error {
	refused, said, lost := (*oauth2.RetrieveError)(nil), refusal{}, (*url.Error)(nil)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case t.late(ctx, err):
		return errors.New(cures["expired_token"])
	case errors.As(err, &said):
		return t.cure(said)
	case errors.As(err, &refused):
		if said = refusalOf(refused); said.code == "" && refused.Response != nil {
			return fmt.Errorf("%s answers %d, and not as OAuth 2.0 has it: check the address", host(t.TokenURL), refused.Response.StatusCode)
		}
		return t.cure(said)
	case errors.As(err, &lost):
		return fmt.Errorf("cannot reach %s: %w", host(lost.URL), lost.Err)
	case t.way.lost != nil:
		return fmt.Errorf("cannot reach %s: %w", host(t.TokenURL), t.way.lost)
	case strings.HasPrefix(err.Error(), "oauth2: ") || strings.HasPrefix(err.Error(), "unmarshal "): // the library's own: an answer that it can't read
		return fmt.Errorf("%s does not answer as OAuth 2.0 has it: check the address", host(t.TokenURL))
	}
	return err
}

// late tells whether a person took too long. A question that had no answer in its own time is another thing.
func (t *attempt) late(ctx context.Context, err error) bool {
	person := t.Flow == oauth.FlowDevice || t.Flow == oauth.FlowBrowser
	return person && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) && !errors.As(err, new(*url.Error)))
}

// cures are what to do, by code.
var cures = map[string]string{
	"access_denied":           "the login was declined in the browser, or an administrator has to allow the application first",
	"expired_token":           "nobody finished the login in time, and the code holds no longer: begin again",
	"code_expired":            "nobody finished the login in time, and the code holds no longer: begin again",
	"invalid_client":          "the provider does not know the application so: check --client-id, and the secret in --client-secret-file",
	"unauthorized_client":     "the application may not log in this way: allow this flow in its registration, or choose another with --flow",
	"invalid_scope":           "the application may not ask for these rights: give it the right to send mail by SMTP, or check --scope",
	"invalid_grant":           "the code, the login or the key holds no longer, or is for another application: begin again",
	"unsupported_grant_type":  "the provider does not have this flow: choose another with --flow",
	"redirect_uri_mismatch":   "the application's registration lacks the redirect address " + redirect,
	"interaction_required":    "the provider wants the person to do something in the browser: log in there first, then begin again",
	"consent_required":        "the person, or an administrator, has to allow the application first",
	"temporarily_unavailable": "the provider cannot now: try again in some minutes",
	"server_error":            "the provider cannot now: try again in some minutes",
	"invalid_request":         "the provider does not take the question: check --client-id, --scope and the addresses",
}

// entra are what Microsoft says in the words of a refusal, where a cure is known.
// https://learn.microsoft.com/entra/identity-platform/reference-error-codes
var entra = map[string]string{
	"AADSTS50011":   "the application's registration lacks the redirect address " + redirect + " (Authentication, Mobile and desktop applications)",
	"AADSTS50034":   "there is no such account in this tenant: check --user and --tenant",
	"AADSTS50059":   "the tenant is missing: name it with --tenant",
	"AADSTS50105":   "the account is not one that the application is for: assign it in Enterprise applications",
	"AADSTS53003":   "a rule of Conditional Access of the tenant forbids this login: its administrator can allow it",
	"AADSTS65001":   "nobody has allowed the application to send mail yet: an administrator can (API permissions, Grant admin consent)",
	"AADSTS65004":   "the login was declined in the browser",
	"AADSTS70011":   "the scope is not one of this application's: give it SMTP.Send, or check --scope",
	"AADSTS90002":   "there is no such tenant: check --tenant",
	"AADSTS700016":  "there is no such application in this tenant: check --client-id and --tenant",
	"AADSTS7000215": "the client secret is wrong: it is the secret's Value, not its Secret ID, that belongs into --client-secret-file",
	"AADSTS7000218": "the application is no public client: switch on \"Allow public client flows\" in its registration (Authentication), or pass --client-secret-file",
	"AADSTS7000222": "the client secret has expired: make a new one in the registration",
}

var (
	entraCode = regexp.MustCompile(`\bAADSTS[0-9]{4,8}\b`)
	plainCode = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,80}$`)
)

// cure says a refusal with what to do. Of the provider's own words only codes are repeated: the rest is whatever it likes to send.
func (t *attempt) cure(said refusal) error {
	code := entraCode.FindString(said.words)
	text, known := entra[code]
	if !known {
		text, known = cures[said.code]
	}
	if !known {
		text = "see the provider's page of error codes"
	}
	if said.code == "unauthorized_client" && t.Flow == oauth.FlowService {
		text = "the service account may not act for the mailbox: give its client id the scope " + strings.Join(t.Scopes, " ") +
			" in the Workspace's admin console (Security, API controls, Domain-wide delegation)"
	}
	codes := []string{}
	for _, c := range []string{said.code, code} {
		if plainCode.MatchString(c) && !t.holds(c) {
			codes = append(codes, c)
		}
	}
	if len(codes) == 0 {
		return errors.New("the provider refuses it: " + text)
	}
	return fmt.Errorf("%s (%s)", text, strings.Join(codes, ", "))
}

// holds tells whether a text is one of the secrets, which a provider might send back.
func (t *attempt) holds(text string) bool {
	return t.ClientSecret != "" && strings.Contains(text, string(t.ClientSecret))
}
