package smarthost

import (
	"fmt"
	"postfix-maint/internal/providers"
	"strings"

	"postfix-maint/internal/smarthost/probe"
)

// report builds lines of "what: how". What others said is in some of them: none of it may command a terminal.
type report struct{ strings.Builder }

func (r *report) line(what, format string, args ...any) {
	fmt.Fprintf(r, "%-13s %s\n", what+":", probe.Clean(fmt.Sprintf(format, args...)))
}

// Text is the status in plain words.
func (s Status) Text() string {
	r := &report{}
	if s.Relay == "" {
		r.line("relay", "none: mail is delivered directly")
	} else {
		r.line("relay", "%s", s.Relay)
	}
	if p, ok := providers.Find(s.Provider); ok {
		r.line("provider", "%s (--provider %s)", p.Title, p.Name)
	}
	if s.Login.lines(r); s.Login != nil {
		r.line("TLS", "the relay that logs in checks the provider's certificate; %s for other hosts", orNone(s.TLS))
	} else {
		r.line("TLS", "%s%s", orNone(s.TLS), map[bool]string{true: ", from the first byte", false: ""}[s.Wrapper])
	}
	if ca := strings.Join(nonEmpty(s.CAFile, s.CAPath), ", "); ca != "" {
		r.line("CAs", "%s", ca)
	}
	if s.Account != "" {
		r.line("account", "%s, password %s", s.Account, s.Password)
	}
	if len(s.Tables) > 0 {
		r.line("passwords in", "%s", strings.Join(s.Tables, ", "))
	}
	for _, table := range s.Rewrite {
		r.line("rewriting", "%s", table)
	}
	r.line("root's mail", "%s", map[bool]string{true: s.Root, false: "stays here"}[s.Root != ""])
	for _, sender := range s.Senders {
		r.line("mail from", "%s: %s", sender.Sender, sender.way())
		sender.Login.trouble(r)
	}
	for _, table := range s.Unread {
		r.line("mail from", "whom %s says", table)
	}
	for _, note := range s.Notes {
		r.line("note", "%s", note)
	}
	for _, note := range s.Advice {
		r.line("to know", "%s", note)
	}
	if s.Ours {
		r.line("set by", "postfix-maint; \"postfix-maint smarthost unset\" goes back")
	}
	return r.String()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func nonEmpty(all ...string) (list []string) {
	for _, s := range all {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}
