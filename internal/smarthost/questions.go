package smarthost

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/maincf/lines"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Live gives, per question about the relay and for relayhost, what is in force, so that confirming it changes nothing; ours tells
// whether something of it was set by Set. It runs no program. With an error that is about the password table only, the account is
// what is missing in it.
func Live(root *sysroot.Root, inst instance.Instance) (live map[answers.Question]string, ours bool, err error) {
	h, err := glance(Deps{Root: root}, inst)
	if err != nil {
		return nil, false, err
	}
	o, err := h.inForce()
	live = o.answers()
	if err != nil {
		delete(live, answers.RelayAccount)
	}
	relay := answers.Answers{answers.RelayHost: {Value: o.Relay}, answers.RelayAccount: {Value: o.User}}
	if _, said := h.live.Get("smtp_tls_security_level"); !said && !*o.Wrapper && Plain(relay) {
		live[answers.RelayTLS] = answers.ByPort // what Plain leaves of it
	}
	return live, h.state.relayed(), err
}

// inForce are the options that the configuration stands for, without the password: those of the last set, with what somebody
// changed since.
func (h *host) inForce() (Options, error) {
	get := func(name, unset string) string {
		if v, _ := h.live.Get(name); v != "" {
			return v
		}
		return unset
	}
	o := h.state.Options
	wrapper := get("smtp_tls_wrappermode", "no") == "yes"
	o.Relay, o.TLS, o.Wrapper, o.User = get("relayhost", ""), get("smtp_tls_security_level", "none"), &wrapper, ""
	var err error
	if get("smtp_sasl_auth_enable", "no") == "yes" {
		o.User, err = h.account(o.Relay)
	}
	if o.OAuth != nil && o.Relay == loopback(o.OAuth.Port) {
		wrapper, o.TLS = false, ""
	} else {
		o.OAuth = nil
	}
	return o, err
}

// answers are the options as answers.
func (o Options) answers() map[answers.Question]string {
	port := ""
	if !answers.HasPort(o.Relay) {
		port = answers.Default(answers.RelayPort, answers.Facts{}, nil)
	}
	live := map[answers.Question]string{
		answers.RelayProvider: answers.ProviderOf(o.Relay), answers.RelayHost: o.Relay, answers.RelayPort: port, answers.RelayTLS: o.way(), answers.RelayAccount: o.User, answers.Rewriting: answers.NoRewriting,
		answers.SenderAddress: "", answers.SenderMap: "",
	}
	switch o.Rewrite.Kind {
	case "generic":
		live[answers.Rewriting], live[answers.SenderAddress] = answers.GenericMap, o.Rewrite.Address
	case "canonical":
		live[answers.Rewriting] = answers.UserMap
		if o.Rewrite.Type != "" {
			live[answers.Rewriting] = o.Rewrite.Type
		}
		var rules []string
		for _, r := range o.Rewrite.Rules {
			rules = append(rules, r.Sender+" "+r.Address)
		}
		live[answers.SenderMap] = strings.Join(rules, ", ")
	}
	return live
}

// way is the answer about TLS that the options stand for; the level itself where no answer does.
func (o Options) way() string {
	checked := o.TLS == "verify" || o.TLS == "secure"
	r, err := parseRelay(o.Relay)
	usual := Options{User: o.User}.usual(r)
	switch {
	case o.Relay == "", o.OAuth != nil, err == nil && usual.TLS == o.TLS && *usual.Wrapper == *o.Wrapper:
		return answers.ByPort
	case checked && *o.Wrapper:
		return answers.Wrapper
	case checked:
		return answers.StartTLS
	case *o.Wrapper:
		return o.TLS
	case o.TLS == "encrypt":
		return answers.Unchecked
	case o.TLS == "may":
		return answers.Opportunistic
	}
	return o.TLS
}

// setWay gives the options the TLS settings of an answer.
func (o Options) setWay(way string) Options {
	wrapper := way == answers.Wrapper
	o.Wrapper = &wrapper
	switch way {
	case answers.StartTLS, answers.Wrapper:
		o.TLS = "verify"
	case answers.Unchecked:
		o.TLS = "encrypt"
	case answers.Opportunistic:
		o.TLS = "may"
	case answers.NoTLS:
		o.TLS = "none"
	default:
		o.TLS, o.Wrapper = "", nil
	}
	return o
}

// wished are the options that the answers ask for. What no question is about, or no answer changes, stays as it is in force.
func (h *host) wished(a answers.Answers) (Options, error) {
	was, err := h.inForce()
	if err != nil {
		return Options{}, err
	}
	live := was.answers()
	same := func(q answers.Question) bool { return answers.Equal(q, a[q].Value, live[q]) }
	o := was.To(a.Relay())
	if way := a[answers.RelayTLS].Value; o.Relay != was.Relay || !same(answers.RelayTLS) || answers.Equal(answers.RelayTLS, way, answers.ByPort) {
		o = o.setWay(way)
	}
	o.User = a[answers.RelayAccount].Value
	if o.User != "" && !same(answers.RelayAccount) && same(answers.RelayTLS) && (o.TLS == "none" || o.TLS == "may") {
		o = o.setWay(answers.ByPort) // the question about TLS may not have been shown, and a login in clear nobody asked for
	}
	o = o.byProvider(a[answers.RelayProvider].Value)
	if !same(answers.Rewriting) || !same(answers.SenderAddress) || !same(answers.SenderMap) {
		o.Rewrite, err = h.rewriting(a)
	}
	return o, err
}

// rewriting is what the answers say about senders.
func (h *host) rewriting(a answers.Answers) (Rewriting, error) {
	switch way := a[answers.Rewriting].Value; way {
	case answers.GenericMap:
		return Rewriting{Kind: "generic", Address: a[answers.SenderAddress].Value}, nil
	case answers.UserMap, answers.RegexpMap, answers.PCREMap:
		typ, text := strings.TrimPrefix(way, answers.UserMap), a[answers.SenderMap].Value
		data := splitRules(typ, text)
		if path.IsAbs(text) && !strings.ContainsAny(text, lines.Blanks) {
			var err error
			if data, err = h.d.Root.ReadFile(text); err != nil {
				return Rewriting{}, err
			}
		}
		return ParseRules(typ, data)
	}
	return Rewriting{}, nil
}

// splitRules gives rules that stand in one line, divided by commas, a line each. A comma within a pattern divides nothing.
func splitRules(typ, text string) []byte {
	var out strings.Builder
	for rest := text; rest != ""; {
		n := 0
		if typ != "" {
			n = patternEnd(rest)
		}
		address, more, _ := strings.Cut(rest[n:], ",")
		out.WriteString(rest[:n] + address + "\n")
		rest = strings.TrimLeft(more, lines.Blanks)
	}
	return []byte(out.String())
}

// Plain tells whether the answers ask for no more than relayhost itself: port 25, TLS where the relay offers it, no login, senders
// as they are. A relay host may have one of main.cf's names in it then, and several are taken as they stand, with their ports.
func Plain(a answers.Answers) bool {
	r, err := parseRelay(a.Relay())
	named := strings.Contains(a.Relay(), "$") && !answers.HasPort(a.Relay()) || answers.SeveralRelays(a.Relay())
	return (named || err == nil && r.port == portSMTP) && a[answers.RelayAccount].Value == "" &&
		answers.Equal(answers.RelayTLS, a[answers.RelayTLS].Value, answers.ByPort) &&
		answers.Equal(answers.Rewriting, a[answers.Rewriting].Value, answers.NoRewriting)
}

// SetAnswers is Set with the options that the answers ask for.
func SetAnswers(ctx context.Context, d Deps, inst instance.Instance, a answers.Answers, password Secret, others ...maincf.Edit) (*Plan, error) {
	h, err := glance(d, inst)
	if err != nil {
		return nil, err
	}
	o, err := h.wished(a)
	if err != nil {
		return nil, err
	}
	o.Password = password
	return Set(ctx, d, inst, o, others...)
}

// CheckAnswers tells which answers can't be brought into force, before anything is changed. On a host where packages may still be
// on their way, installed is false, and those that are missing are no problem yet.
func CheckAnswers(ctx context.Context, d Deps, inst instance.Instance, a answers.Answers, password Secret, installed bool) []answers.Problem {
	problem := func(q answers.Question, err error) []answers.Problem {
		if q == answers.RelayPassword {
			return []answers.Problem{{Question: q, Text: err.Error()}}
		}
		return []answers.Problem{{Question: q, Value: a[q].Value, Text: err.Error()}}
	}
	h, err := glance(d, inst)
	if err != nil {
		return problem(answers.RelayHost, err)
	}
	o, err := h.wished(a)
	if err != nil {
		return problem(answers.SenderMap, err)
	}
	r, err := o.relay()
	if err != nil {
		return problem(answers.RelayHost, err)
	}
	o = o.usual(r)
	p := &Plan{h: h}
	senders := answers.SenderMap
	if o.Rewrite.Kind == "generic" {
		senders = answers.SenderAddress
	}
	var all []answers.Problem
	for _, c := range []struct {
		q     answers.Question
		check func() error
		host  bool
	}{
		{answers.RelayTLS, o.checkWay, false},
		{answers.RelayAccount, func() error { return checkAccount(o.User, string(password)) }, false},
		{answers.RelayPassword, func() error { return h.checkPassword(r, o.User, password) }, false},
		{senders, func() error { _, err := o.Rewrite.resolve(); return err }, false},
		{answers.RelayTLS, func() error { return p.checkCA(o, facts{base: h.live}) }, true},
		{answers.RelayAccount, func() error { return p.checkSASL(o) }, true},
		{answers.Rewriting, func() error { return h.checkRewriting(ctx, o) }, true},
	} {
		if c.host && !installed {
			continue
		}
		if err := c.check(); err != nil {
			all = append(all, problem(c.q, err)...)
		}
	}
	return all
}

// checkWay is checkTLS in the words of the question.
func (o Options) checkWay() error {
	if o.User != "" && o.OAuth == nil && (o.TLS == "none" || o.TLS == "may") {
		return errors.New("the password could be sent in clear: use by-port, starttls, wrapper or unchecked")
	}
	return o.checkTLS()
}

// checkPassword refuses an account for which no password is at hand.
func (h *host) checkPassword(r relay, user string, password Secret) error {
	if user == "" || password != "" {
		return nil
	}
	stored, err := h.stored(r, user)
	if err == nil && stored == "" {
		err = fmt.Errorf("there is no password for account %q at %s", user, r.dest)
	}
	return err
}

// checkRewriting refuses a type of table whose package is missing. Before the first main.cf Postfix does not say which there are.
// The one type that comes in a package of its own can be used as soon as that is unpacked, together with postfix: the first registry
// of map types has each whose library is there.
func (h *host) checkRewriting(ctx context.Context, o Options) error {
	switch {
	case o.Rewrite.Type == "":
		return nil
	case h.disk == nil && o.Rewrite.Type == "pcre":
		there, err := h.d.Root.Exists(paths.LibDir + "/postfix-pcre.so")
		if err == nil && !there {
			err = errors.New("map type \"pcre\" is not there: install the package postfix-pcre, or use regexp")
		}
		return err
	case h.disk == nil:
		return nil
	}
	if err := h.askTypes(ctx); err != nil {
		return err
	}
	return h.checkType(o.Rewrite.Type)
}
