package smarthost

import (
	"context"
	"crypto/x509"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost/probe"
	"postfix-maint/internal/smarthost/table"
)

// Patience is how long a test waits for the outcome unless the caller's context ends earlier.
const Patience = 2 * time.Minute

// Result is how a test went. No secret is in it.
type Result struct {
	Instance  string        `json:"instance"`
	Address   string        `json:"address"`        // of the recipient
	From      string        `json:"from,omitempty"` // of the sender, where one was named
	Relay     string        `json:"relay"`
	TLS       string        `json:"tls"` // level asked for
	Wrapper   bool          `json:"wrapper"`
	Account   string        `json:"account,omitempty"`
	Login     *Login        `json:"login,omitempty"`     // by OAuth 2.0
	Overrides []string      `json:"overrides,omitempty"` // in master.cf, that hold for the relay
	Probe     *probe.Report `json:"probe"`
	Fate
	Delivered bool   `json:"delivered"`
	Problem   string `json:"problem,omitempty"`
	Advice    string `json:"advice,omitempty"`
}

// tryRelay talks to the relay as far as no mail is sent.
func (h *host) tryRelay(ctx context.Context) (*Result, probe.Target, error) {
	overrides, err := h.override()
	if err != nil {
		return nil, probe.Target{}, err
	}
	r, err := parseRelay(h.effective["relayhost"])
	if err != nil {
		return nil, probe.Target{}, fmt.Errorf("cannot test the smarthost: %w", err)
	}
	res := &Result{Instance: h.inst.Name, Relay: r.dest, Wrapper: h.effective["smtp_tls_wrappermode"] == "yes", Overrides: overrides}
	target, err := h.target(ctx, r, res)
	if err != nil {
		return nil, target, err
	}
	res.Login = h.login(h.effective["relayhost"])
	target.Local = res.Login != nil
	h.d.tell("waiting for the answer of the relay %s", r.dest)
	res.Probe = probe.Run(ctx, target)
	if f := res.Probe.Failure; f != nil {
		if res.Problem, res.Advice = f.Text, h.adviseLogin(res.Login); res.Login == nil {
			res.Advice = h.advise(f.Cause, r, res)
		}
	} else if f, advice := h.unable(res.Probe, target); f != nil {
		res.Probe.Failure, res.Problem, res.Advice = f, f.Text, advice
	}
	return res, target, nil
}

// target is the relay as Postfix would use it.
func (h *host) target(ctx context.Context, r relay, res *Result) (probe.Target, error) {
	t := probe.Target{
		Host: r.host, Port: r.port, MX: !r.literal, Network: "tcp", Wrapper: res.Wrapper, HELO: h.effective["smtp_helo_name"],
	}
	switch h.effective["inet_protocols"] {
	case "ipv4":
		t.Network = "tcp4"
	case "ipv6":
		t.Network = "tcp6"
	}
	t.Level, t.Hold = strings.ToLower(h.effective["smtp_tls_security_level"]), h.perSite(ctx, r)
	var names []string
	anchors := ""
	if p, found, err := h.policyFor(ctx, r); err != nil {
		t.Hold = fmt.Sprintf("smtp_tls_policy_maps can't be asked what holds for the relay: %v", err)
	} else if found {
		t.Level, anchors = p.level, p.anchors()
		if names, err = p.checkable(); err != nil {
			t.Hold = err.Error()
		}
	}
	res.TLS = t.Level
	if names == nil {
		names = matchNames(h.effective[map[string]string{"verify": "smtp_tls_verify_cert_match", "secure": "smtp_tls_secure_cert_match"}[t.Level]])
	}
	for _, name := range names {
		switch name {
		case "nexthop":
			name = r.host
		case "dot-nexthop":
			name = "." + r.host
		}
		t.Match = append(t.Match, name)
	}
	var err error
	if t.Roots, err = h.roots(anchors); err != nil {
		return t, err
	}
	t.User, t.Secret, err = h.credentials(ctx, r)
	res.Account = t.User
	if may, why := h.mechanisms(t.Level); t.Hold == "" {
		t.May, t.Hold = may, why
	}
	return t, err
}

// policyFor is the entry of smtp_tls_policy_maps that holds for the relay.
func (h *host) policyFor(ctx context.Context, r relay) (p policy, found bool, err error) {
	for _, key := range r.policyKeys() {
		for _, element := range maincf.SplitList(h.effective["smtp_tls_policy_maps"]) {
			value, found, err := h.query(ctx, element, key)
			if err != nil {
				return policy{}, false, err
			}
			if found {
				return parsePolicy(value), true, nil
			}
		}
	}
	return policy{}, false, nil
}

// checkable gives the names that a policy wants in the certificate, nil if it leaves them to main.cf. An error says what the probe does
// not check as Postfix does.
func (p policy) checkable() (names []string, err error) {
	for _, a := range p.attributes {
		name, value := a[0], a[1]
		switch {
		case slices.Contains([]string{"protocols", "ciphers", "exclude", "servername", "connection_reuse"}, name):
		case name == "tafile" && value == p.anchors():
		case name == "match" && (p.level == "verify" || p.level == "secure") && value != "":
			names = append(names, strings.Split(value, ":")...)
		default:
			return nil, fmt.Errorf("smtp_tls_policy_maps has %s=%s for the relay, which is not checked here", name, value)
		}
	}
	return names, nil
}

// perSite tells why smtp_tls_per_site, of old, keeps the login from being tried, "" if it does not.
func (h *host) perSite(ctx context.Context, r relay) string {
	for _, element := range maincf.SplitList(h.effective["smtp_tls_per_site"]) {
		for _, key := range []string{r.dest, r.host} {
			if _, found, err := h.query(ctx, element, key); err != nil {
				return fmt.Sprintf("smtp_tls_per_site can't be asked what holds for %s: %v", key, err)
			} else if found {
				return fmt.Sprintf("smtp_tls_per_site has an entry for %s, which is not checked here", key)
			}
		}
	}
	return ""
}

// anchors is the file of CAs that a policy has instead of those in main.cf, "" if it has none.
func (p policy) anchors() string {
	for _, a := range p.attributes {
		if a[0] == "tafile" {
			return a[1]
		}
	}
	return ""
}

// roots are the CAs that Postfix's client trusts: those of a policy alone (smtp_tls_trust_anchor_file in postconf(5)), or those of main.cf.
func (h *host) roots(anchors string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if anchors != "" {
		pem, err := h.read(anchors)
		pool.AppendCertsFromPEM(pem)
		return pool, err
	}
	if h.effective["tls_append_default_CA"] == "yes" {
		if system, err := x509.SystemCertPool(); err == nil {
			pool = system
		}
	}
	var names []string
	if file := h.effective["smtp_tls_CAfile"]; file != "" {
		names = append(names, file)
	}
	if dir := h.effective["smtp_tls_CApath"]; dir != "" {
		entries, err := h.d.Root.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("cannot read smtp_tls_CApath: %w", err)
		}
		for _, e := range entries {
			if suffix := path.Ext(e.Name()); len(suffix) == 2 && suffix[1] >= '0' && suffix[1] <= '9' { // as openssl-rehash(1) names them
				names = append(names, path.Join(dir, e.Name()))
			}
		}
	}
	for _, name := range names {
		if pem, err := h.read(name); err != nil {
			return nil, err
		} else {
			pool.AppendCertsFromPEM(pem)
		}
	}
	return pool, nil
}

// credentials are those that Postfix's client would find: for the sender where that counts, for the host, then for the relay as main.cf names it.
func (h *host) credentials(ctx context.Context, r relay) (user, secret string, err error) {
	if h.effective["smtp_sasl_auth_enable"] != "yes" {
		return "", "", nil
	}
	keys := slices.Compact([]senderKey{{text: r.host}, {text: r.dest}})
	if h.effective["smtp_sender_dependent_authentication"] == "yes" {
		senders, err := h.senderKeys(h.sender)
		if err != nil {
			return "", "", err
		}
		keys = append(senders, keys...)
	}
	for _, key := range keys {
		value, found, err := h.passwordEntry(ctx, key)
		if err != nil {
			return "", "", err
		}
		if found {
			user, secret, _ = strings.Cut(value, h.delimiter())
			return user, secret, nil
		}
	}
	return "", "", nil
}

// passwordEntry is what the password tables have for a key. No other program need tell us what is in our own.
func (h *host) passwordEntry(ctx context.Context, key senderKey) (value string, found bool, err error) {
	for _, element := range maincf.SplitList(h.effective["smtp_sasl_password_maps"]) {
		own := slices.IndexFunc([]string{passwordTable, senderPasswordTable}, func(name string) bool { return refers(element, h.file(name)) })
		switch {
		case !key.asks(element):
		case own < 0:
			value, found, err = h.queryIfAble(ctx, element, key.text)
		default:
			var text []byte
			text, err = h.read(h.file([]string{passwordTable, senderPasswordTable}[own]))
			value, found = table.Lookup(text, key.text)
			value = unmarked(value, element)
		}
		if found || err != nil {
			return value, found, err
		}
	}
	return "", false, nil
}

// send submits the message and follows it to the relay.
func (h *host) send(ctx context.Context, target probe.Target, res *Result) error {
	w := newWatch(h, &res.Fate)
	text := fmt.Sprintf("This message was sent by \"postfix-maint smarthost test\" on %s,\nthrough the relay %s.\n", h.effective["myhostname"], res.Relay)
	if err := w.submit(ctx, "Test of the smarthost "+res.Relay, text, res.From, res.Address); err != nil {
		return err
	}
	return h.conclude(context.WithoutCancel(ctx), w, target, res)
}

// conclude says what the outcome means, and leaves no test message behind.
func (h *host) conclude(ctx context.Context, w *watch, target probe.Target, res *Result) error {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	if err := w.sum(ctx); err != nil {
		return err
	}
	advice := h.adviseReply(res)
	res.Reply = target.Conceal(res.Reply)
	local := res.Via == "local" || res.Via == "virtual"
	switch {
	case res.Status == "sent" && local:
		res.Problem = fmt.Sprintf("%s is a mailbox of this host: the message did not go to the relay", res.Address)
		res.Advice = "test with an address elsewhere; if mail for it belongs elsewhere, take its domain out of mydestination"
		return nil
	case res.Status == "sent":
		res.Delivered = true
		return nil
	case res.Status == "":
		res.Problem, res.Advice = w.unknown()
	default:
		res.Problem, res.Advice = res.Reply, advice
	}
	return w.clear(ctx)
}

// generic is what smtp_generic_maps make of a sender (generic(5)): the address, the bare user of a local domain, the domain.
func (h *host) generic(ctx context.Context, sender string) (string, error) {
	user, domain, _ := strings.Cut(sender, "@")
	keys := []string{sender}
	origin, err := h.origin()
	if err != nil {
		return "", err
	}
	if slices.Contains(hostDomains(origin, "", h.effective["mydestination"]), strings.ToLower(domain)) {
		keys = append(keys, user)
	}
	for _, key := range append(keys, "@"+domain) {
		for _, element := range maincf.SplitList(h.effective["smtp_generic_maps"]) {
			to, found, err := h.queryIfAble(ctx, element, key)
			if err != nil {
				return "", err
			}
			if found && strings.HasPrefix(to, "@") {
				return user + to, nil
			} else if found {
				return to, nil
			}
		}
	}
	return sender, nil
}
