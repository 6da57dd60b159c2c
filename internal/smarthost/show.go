package smarthost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost/table"
)

// Status is the smarthost that is in force, by whoever it was set. No secret is in it.
type Status struct {
	Instance string   `json:"instance"`
	Relay    string   `json:"relay"`                    // "": mail is delivered directly
	Provider string   `json:"provider,omitempty"`       // of package providers, by the relay's host
	Advice   []string `json:"provider_notes,omitempty"` // what is to be known of it
	TLS      string   `json:"tls"`
	Wrapper  bool     `json:"wrapper"`
	CAFile   string   `json:"ca_file,omitempty"`
	CAPath   string   `json:"ca_path,omitempty"`
	Account  string   `json:"account,omitempty"` // from the table sasl_passwd
	Password string   `json:"password,omitempty"`
	Tables   []string `json:"tables,omitempty"` // for the passwords, secrets replaced
	Rewrite  []string `json:"rewrite,omitempty"`
	Root     string   `json:"root,omitempty"`  // who gets root's mail
	Ours     bool     `json:"ours"`            // something was set by "smarthost set"
	Login    *Login   `json:"login,omitempty"` // by OAuth 2.0
	Notes    []string `json:"notes,omitempty"`
	Senders  []Sender `json:"senders,omitempty"` // with a relay of their own
	Unread   []string `json:"unread,omitempty"`  // tables of senders' relays that do not say here what is in them
}

// Show reads what is in force.
func Show(ctx context.Context, d Deps, inst instance.Instance) (Status, error) {
	h, err := look(ctx, d, inst)
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Instance: inst.Name, Relay: h.effective["relayhost"], TLS: h.effective["smtp_tls_security_level"],
		Wrapper: h.effective["smtp_tls_wrappermode"] == "yes", CAFile: h.effective["smtp_tls_CAfile"],
		CAPath: h.effective["smtp_tls_CApath"], Ours: h.state.relayed(),
	}
	if p, ok := h.provider(s.Relay); ok {
		s.Provider, s.Advice = p.Name, p.Notes
	}
	for _, param := range []string{"smtp_generic_maps", "sender_canonical_maps", "smtp_header_checks"} {
		if v := h.effective[param]; v != "" {
			s.Rewrite = append(s.Rewrite, maincf.Show(param, v))
		}
	}
	if h.effective["smtp_sasl_auth_enable"] == "yes" {
		_, masked, _ := strings.Cut(maincf.Show("smtp_sasl_password_maps", h.effective["smtp_sasl_password_maps"]), " = ")
		s.Tables = maincf.SplitList(masked)
		if s.Account, err = h.account(s.Relay); err != nil {
			return s, err
		}
		if s.Account != "" {
			s.Password = table.Stars
		}
		s.Notes = h.spoofable(s)
		s.Login = h.login(s.Relay)
	}
	list, err := h.list(ctx)
	if err != nil {
		return s, err
	}
	s.Senders, s.Unread = list.Senders, list.Unread
	s.Root, err = h.rootAlias()
	return s, err
}

// spoofable tells of a login at a relay whose name is looked up as that of a mail domain: whoever answers for the DNS names the host that
// gets the password, and at all levels but secure the name that its certificate must have. A set by us never leaves that.
func (h *host) spoofable(s Status) []string {
	r, err := parseRelay(s.Relay)
	level := strings.ToLower(s.TLS)
	if err != nil || r.literal || len(s.Tables) == 0 || level == "secure" && !slices.Contains(matchNames(h.effective["smtp_tls_secure_cert_match"]), "hostname") {
		return nil
	}
	named := "[" + r.host + "]"
	if r.named {
		named += fmt.Sprint(":", r.port)
	}
	return []string{fmt.Sprintf("relayhost has no brackets, so the DNS (MX) chooses the host that gets the password: write it as %s, "+
		"or use the TLS level secure", named)}
}

// account is the one that the password table has for a relay.
func (h *host) account(relayhost string) (string, error) {
	r, err := parseRelay(relayhost)
	if err != nil {
		return "", nil // none, or one that only Postfix understands
	}
	text, err := h.read(h.current(passwordTable))
	if err != nil {
		return "", err
	}
	for _, key := range []string{r.host, r.dest} {
		if value, ok := table.Lookup(text, key); ok {
			user, _, _ := strings.Cut(value, h.delimiter())
			return user, nil
		}
	}
	return "", nil
}

// rootAlias is who gets root's mail, "" if the alias table does not say.
func (h *host) rootAlias() (string, error) {
	_, name := h.aliasTable()
	if name == "" || h.ownAliases(name) != nil {
		return "", nil
	}
	text, err := h.read(h.currentAliases(name))
	if err != nil {
		return "", err
	}
	f, err := aliases.Parse(text)
	if err != nil {
		return "", nil // Postfix's own message is better, and comes when the table is made
	}
	values, _ := f.Lookup("root")
	return strings.Join(values, ", "), nil
}
