package smarthost

import (
	"regexp"
	"strings"

	"postfix-maint/internal/providers"
)

// refusal is what a provider says, and what that means there. The words are the provider's own, which it says in English to everybody; none of
// Postfix's are looked at.
type refusal struct {
	provider string // of package providers
	code     string // the reply's, with the enhanced one (RFC 3463) if the provider gives it
	text     string // a part of the reply in lower case, "" for all with the code
	advice   string // {sender}, {login} and {set} in it are filled in
}

// What several of them come to.
const (
	anewAdvice   = "give it with {set}"
	senderAdvice = "the sender {sender} is not one that the account may use: rewrite it (--rewrite generic=ADDRESS), or make it known at the provider"
	verifyAdvice = "the sender {sender}, or its domain, is not verified at the provider: " +
		"verify it there, or rewrite it to one that is (--rewrite generic=ADDRESS)"
	allowAdvice = "account or password is wrong, or access by POP3 and IMAP is not allowed in the settings of the mailbox yet, " +
		"or its two-factor login wants a password made for programs: " + anewAdvice
	tokenAdvice = "that is no SMTP login of this provider: "
)

// refusals are rows for what the providers document, and what people meet; the first that fits counts.
var refusals = []refusal{
	{"amazon-ses", "554", "is not verified",
		"an address is not verified in this region of SES: the sender {sender}, or in the sandbox the recipient; verify it in " +
			"the SES console, or ask there to leave the sandbox"},
	{"amazon-ses", "535", "",
		tokenAdvice + "make SMTP credentials in the SES console for the region of this relay (no access key of AWS), and " + anewAdvice},
	{"amazon-ses", "454", "", "SES takes no more for the moment (sending rate or daily quota): mail waits; the SES console raises the limits"},
	{"brevo", "525", "", "Brevo does not know this host's address: allow it under Security, Authorised IPs"},
	{"brevo", "535", "", tokenAdvice + "take login and key from \"SMTP & API\", SMTP (no API key), and " + anewAdvice},
	{"fastmail", "535", "", "Fastmail takes app passwords alone: make one under Settings, Privacy & Security, and " + anewAdvice},
	{"fastmail", "551 5.7.1", "", senderAdvice},
	{"gmx", "535", "", allowAdvice},
	{"gmx", "550", "sender address is not allowed", senderAdvice},
	{"google", "534 5.7.9", "",
		"Google wants an app password (the account needs two-step verification for it): make one in the Google account and " + anewAdvice + ", or use {login}"},
	{"google", "535 5.7.8", "",
		"Google takes neither this account nor the account's own password: the account is the whole address, the password an " +
			"app password; " + anewAdvice + ", or use {login}"},
	{"google", "550 5.4.5", "",
		"the account has sent as much as Google takes in a day: try again tomorrow, or use the Workspace relay (--provider google-relay)"},
	{"google-relay", "550 5.7.1", "",
		"the Workspace does not let this host relay: allow its address, or logins, in the admin console (Apps, Gmail, Routing, SMTP relay service)"},
	{"google-relay", "550 5.4.5", "", "the account has sent as much as the relay takes in a day: try again tomorrow"},
	{"icloud", "535 5.7.0", "", "Apple takes app-specific passwords alone: make one in the Apple account, and " + anewAdvice},
	{"icloud", "550 5.7.0", "from address", senderAdvice},
	{"ionos", "550", "sender address is not allowed", senderAdvice},
	{"mailgun", "535", "", tokenAdvice + "take the SMTP credentials of the sending domain (no API key), of the region of this relay, and " + anewAdvice},
	{"mailjet", "535", "", tokenAdvice + "the account is the API key, the password the secret key; " + anewAdvice},
	{"microsoft", "432 4.3.2", "", "smtp_destination_concurrency_limit: Microsoft takes three connections of one mailbox"},
	{"microsoft", "535 5.7.139", "smtpclientauthentication is disabled",
		"SMTP AUTH is off: an administrator allows it for the mailbox (Exchange admin center, Manage email apps, Authenticated " +
			"SMTP); then use {login}"},
	{"microsoft", "535 5.7.139", "", "Microsoft takes no passwords here: use {login}"},
	{"microsoft", "535 5.7.3", "", "Microsoft takes no passwords here: use {login}"},
	{"microsoft", "550 5.7.60", "", senderAdvice},
	{"microsoft", "554 5.2.252", "", senderAdvice},
	{"outlook", "535 5.7.139", "", "Outlook.com takes no passwords here: use {login}"},
	{"postmark", "535", "", tokenAdvice + "account and password are both the server's API token; " + anewAdvice},
	{"postmark", "550", "sender signature", verifyAdvice},
	{"sendgrid", "535", "", tokenAdvice + "the account is the word apikey, the password an API key that may send mail; " + anewAdvice},
	{"sendgrid", "550", "verified sender identity", verifyAdvice},
	{"smtp2go", "535", "", tokenAdvice + "take an SMTP user from Sending, SMTP Users, and " + anewAdvice},
	{"smtp2go", "550", "verif", verifyAdvice},
	{"sparkpost", "535", "",
		tokenAdvice + "the account is the word SMTP_Injection, the password an API key that may \"Send via SMTP\", of the " +
			"region of this relay; " + anewAdvice},
	{"sparkpost", "550 5.7.1", "sending domain", verifyAdvice},
	{"web-de", "535", "", allowAdvice},
	{"web-de", "550", "sender address is not allowed", senderAdvice},
	{"yahoo", "535 5.7.0", "", "Yahoo takes app passwords alone: make one under Account Security, and " + anewAdvice},
	{"zoho", "535", "",
		"account or password is wrong, or the account is in another region (--region), or its two-factor login wants an " +
			"application-specific password: " + anewAdvice},
	{"zoho", "553", "relaying disallowed", senderAdvice},
}

// replyCode is a reply's code with an enhanced one, if there is one. The text may have several lines, each with both.
var replyCode = regexp.MustCompile(`^([245][0-9][0-9])[ -](([245]\.[0-9]{1,3}\.[0-9]{1,3})([ :;-]|$))?`)

// adviseRefusal says what a provider's reply means there, "" where no row knows it. A reply that Postfix passes on stands behind "said: ".
func adviseRefusal(p providers.Provider, said, sender string) string {
	if _, reply, ok := strings.Cut(said, " said: "); ok {
		said = reply
	}
	m := replyCode.FindStringSubmatch(said)
	if m == nil {
		return ""
	}
	code, text := strings.TrimSpace(m[1]+" "+m[3]), strings.ToLower(said)
	for _, r := range refusals {
		if r.provider == p.Name && (r.code == code || r.code == m[1]) && strings.Contains(text, r.text) {
			return strings.NewReplacer("{sender}", sender, "{login}", `"postfix-maint smarthost login --provider `+p.Name+`"`,
				"{set}", `"postfix-maint smarthost set --provider `+p.Name+` --user ACCOUNT --password-file FILE"`).Replace(r.advice)
		}
	}
	return ""
}

// adviseProvider does so for the relay in force.
func (h *host) adviseProvider(res *Result, said string) string {
	p, ok := h.provider(res.Relay)
	if !ok {
		return ""
	}
	return adviseRefusal(p, said, res.Sender)
}
