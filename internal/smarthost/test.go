package smarthost

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/probe"
	"postfix-maint/internal/smarthost/table"
)

// Patience is how long a test waits for the outcome unless the caller's context ends earlier.
const Patience = 2 * time.Minute

// Result is how a test went. No secret is in it.
type Result struct {
	Instance  string        `json:"instance"`
	Address   string        `json:"address"` // of the recipient
	Relay     string        `json:"relay"`
	TLS       string        `json:"tls"` // level asked for
	Wrapper   bool          `json:"wrapper"`
	Account   string        `json:"account,omitempty"`
	Probe     *probe.Report `json:"probe"`
	Submitted bool          `json:"submitted"`
	QueueID   string        `json:"queue_id,omitempty"`
	Sender    string        `json:"sender,omitempty"` // after rewriting, as the relay sees it
	Via       string        `json:"via,omitempty"`    // host and address that Postfix delivered to
	Status    string        `json:"status,omitempty"` // sent, deferred, bounced
	Reply     string        `json:"reply,omitempty"`  // the relay's last one, or what kept Postfix from it
	Delivered bool          `json:"delivered"`
	Problem   string        `json:"problem,omitempty"`
	Advice    string        `json:"advice,omitempty"`
}

// Test sends a message to an address through the relay and waits for the outcome. The relay is tried step by step first; where
// Postfix could not deliver either, no message is sent. A message that is deferred is taken out of the queue again.
func Test(ctx context.Context, d Deps, inst instance.Instance, address string) (*Result, error) {
	if err := answers.CheckAddress(address); err != nil {
		return nil, err
	}
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	r, err := parseRelay(h.effective["relayhost"])
	if err != nil {
		return nil, fmt.Errorf("cannot test the smarthost: %w", err)
	}
	res := &Result{Instance: inst.Name, Address: address, Relay: r.dest, Wrapper: h.effective["smtp_tls_wrappermode"] == "yes"}
	target, err := h.target(ctx, r, res)
	if err != nil {
		return nil, err
	}
	res.Probe = probe.Run(ctx, target)
	if f := res.Probe.Failure; f != nil {
		res.Problem, res.Advice = f.Text, h.advise(f.Cause, r, res)
		return res, nil
	}
	if d.Runs != nil && !d.Runs(inst) {
		res.Problem, res.Advice = "the relay is all right, but Postfix does not run", `start it first, as with "systemctl start postfix"`
		return res, nil
	}
	return res, h.send(ctx, res)
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
	var err error
	if t.Level, err = h.level(ctx, r); err != nil {
		return t, err
	}
	res.TLS = t.Level
	param := map[string]string{"verify": "smtp_tls_verify_cert_match", "secure": "smtp_tls_secure_cert_match"}[t.Level]
	for _, name := range strings.FieldsFunc(h.effective[param], func(c rune) bool { return strings.ContainsRune(":, \t", c) }) {
		switch name {
		case "nexthop":
			name = r.host
		case "dot-nexthop":
			name = "." + r.host
		}
		t.Match = append(t.Match, name)
	}
	if t.Roots, err = h.roots(); err != nil {
		return t, err
	}
	t.User, t.Secret, err = h.credentials(ctx, r)
	res.Account = t.User
	return t, err
}

// level is the TLS level for the relay: main.cf's, or that of a policy table.
func (h *host) level(ctx context.Context, r relay) (string, error) {
	for _, element := range maincf.SplitList(h.effective["smtp_tls_policy_maps"]) {
		value, found, err := h.query(ctx, h.live, element, r.dest)
		if err != nil {
			return "", err
		}
		if words := strings.Fields(value); found && len(words) > 0 {
			return strings.ToLower(words[0]), nil
		}
	}
	return h.effective["smtp_tls_security_level"], nil
}

// roots are the CAs that Postfix's client trusts.
func (h *host) roots() (*x509.CertPool, error) {
	pool := x509.NewCertPool()
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

// credentials are those that Postfix's client would find: for the host first, then for the relay as main.cf names it.
func (h *host) credentials(ctx context.Context, r relay) (user, secret string, err error) {
	if h.effective["smtp_sasl_auth_enable"] != "yes" {
		return "", "", nil
	}
	text, err := h.read(h.file(passwordTable))
	if err != nil {
		return "", "", err
	}
	for _, key := range slices.Compact([]string{r.host, r.dest}) {
		for _, element := range maincf.SplitList(h.effective["smtp_sasl_password_maps"]) {
			var value string
			var found bool
			if refers(element, h.file(passwordTable)) { // no other program need tell us what is in our own table
				value, found = table.Lookup(text, key)
				value = unmarked(value, element)
			} else if value, found, err = h.query(ctx, h.live, strings.ReplaceAll(element, "$", "$$"), key); err != nil {
				return "", "", err
			}
			if found {
				user, secret, _ = strings.Cut(value, h.delimiter())
				return user, secret, nil
			}
		}
	}
	return "", "", nil
}

// send submits the message and follows it to the relay.
func (h *host) send(ctx context.Context, res *Result) error {
	id := strings.ToLower(rand.Text()) + "@" + h.effective["myhostname"]
	start := time.Now()
	message := fmt.Sprintf("To: <%s>\nSubject: Test of the smarthost %s\nDate: %s\nMessage-ID: <%s>\nAuto-Submitted: auto-generated\n"+
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n"+
		"This message was sent by \"postfix-maint smarthost test\" on %s,\nthrough the relay %s.\n",
		res.Address, res.Relay, start.Format(time.RFC1123Z), id, h.effective["myhostname"], res.Relay)
	logs := h.openLogs(start)
	// No bounce is wanted: what goes wrong is told here.
	if err := h.d.Submit(ctx, []byte(message), "-C", h.inst.ConfigDir, "-i", "-N", "never", "--", res.Address); err != nil {
		return err
	}
	res.Submitted = true
	w := watch{h: h, res: res, id: id, start: start}
	if err := w.follow(ctx, logs); err != nil {
		return err
	}
	return h.conclude(context.WithoutCancel(ctx), res)
}

// conclude says what the outcome means, and leaves no test message behind.
func (h *host) conclude(ctx context.Context, res *Result) error {
	if res.Sender != "" {
		var err error
		if res.Sender, err = h.generic(ctx, res.Sender); err != nil {
			return err
		}
	}
	local := strings.HasPrefix(res.Via, "local") || strings.HasPrefix(res.Via, "virtual")
	switch {
	case res.Status == "sent" && local:
		res.Problem = fmt.Sprintf("%s is a mailbox of this host: the message did not go to the relay", res.Address)
		res.Advice = "test with an address elsewhere; if mail for it belongs elsewhere, take its domain out of mydestination"
		return nil
	case res.Status == "sent":
		res.Delivered = true
		return nil
	case res.Status == "":
		res.Problem = "nothing is known of the message's fate"
		res.Advice = "see \"postqueue -p\" and the mail log; without a syslog daemon or journal set maillog_file"
	default:
		res.Problem = res.Reply
		res.Advice = h.adviseReply(res)
	}
	if res.Status != "bounced" && res.QueueID != "" {
		if err := h.d.Run.Run(ctx, paths.Postsuper, "-c", h.inst.ConfigDir, "-d", res.QueueID); err != nil {
			return fmt.Errorf("cannot take the test message out of the queue: %w", err)
		}
	}
	return nil
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
			to, found, err := h.query(ctx, h.live, element, key)
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
