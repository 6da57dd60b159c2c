package smarthost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/maincf/lines"
	"postfix-maint/internal/smarthost/table"
)

// Sender is a sender with a relay of its own, by whoever it was made. No secret is in it.
type Sender struct {
	Sender  string `json:"sender"` // an address, @domain, a pattern; "*" for all
	Relay   string `json:"relay"`
	TLS     string `json:"tls,omitempty"`
	Wrapper bool   `json:"wrapper"`
	CAFile  string `json:"ca_file,omitempty"`
	Account string `json:"account,omitempty"`
	Login   *Login `json:"login,omitempty"` // by OAuth 2.0, at Relay; nil: by a password, or none
	Origin  string `json:"origin"`          // "smarthost add", "smarthost login", or "by hand in FILE"
}

// byAdd is the origin of what Add made.
const byAdd = "smarthost add"

// byLogin is that of a login by OAuth 2.0.
const byLogin = "smarthost login"

// SenderList are the senders of an instance.
type SenderList struct {
	Instance string   `json:"instance"`
	Senders  []Sender `json:"senders"`
	Unread   []string `json:"unread"` // tables that do not say here what is in them; secrets replaced
}

// List reads which senders have a relay of their own.
func List(ctx context.Context, d Deps, inst instance.Instance) (*SenderList, error) {
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	return h.list(ctx)
}

func (h *host) list(ctx context.Context) (*SenderList, error) {
	l := &SenderList{Instance: h.inst.Name, Senders: []Sender{}, Unread: []string{}}
	if slices.ContainsFunc(maincf.SplitList(h.effective["sender_dependent_relayhost_maps"]), func(e string) bool { return refers(e, h.file(senderRelayTable)) }) {
		if err := h.listAdded(ctx, l); err != nil {
			return nil, err
		}
	}
	for _, element := range maincf.SplitList(h.effective["sender_dependent_relayhost_maps"]) {
		if err := h.listByHand(ctx, l, element); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// listAdded lists what "smarthost add" made.
func (h *host) listAdded(ctx context.Context, l *SenderList) error {
	for _, a := range h.state.accounts() {
		r, err := a.options().relay()
		if err != nil {
			continue
		}
		s := Sender{Sender: a.Sender, Relay: r.dest, TLS: a.TLS, Wrapper: a.Wrapper != nil && *a.Wrapper, CAFile: a.CAFile, Origin: byAdd}
		if a.OAuth != nil {
			s.Relay, s.TLS, s.Login, s.Origin = a.OAuth.Relay, "", a.login(h), byLogin
		}
		if s.Account, err = h.accountOf(ctx, a.Sender); err != nil {
			return err
		}
		l.Senders = append(l.Senders, s)
	}
	return nil
}

// listByHand lists what people wrote into one table.
func (h *host) listByHand(ctx context.Context, l *SenderList, element string) error {
	entries, origin := h.entries(element)
	if origin == "" {
		_, shown, _ := strings.Cut(maincf.Show("sender_dependent_relayhost_maps", element), " = ")
		l.Unread = append(l.Unread, shown)
	}
	for _, e := range entries {
		s := Sender{Sender: e.Key, Relay: e.Value, Origin: "by hand in " + origin}
		if CheckSender(e.Key) == nil && h.effective["smtp_sender_dependent_authentication"] == "yes" {
			var err error
			if s.Account, err = h.accountOf(ctx, strings.ToLower(e.Key)); err != nil {
				return err
			}
		}
		l.Senders = append(l.Senders, s)
	}
	return nil
}

// entries are those that people wrote of a table of senders' relays, and where; no place where the table does not say here.
func (h *host) entries(element string) (entries []table.Entry, origin string) {
	typ, name, _ := strings.Cut(strings.TrimPrefix(element, "proxy:"), ":")
	switch {
	case typ == "static":
		return []table.Entry{{Key: "*", Value: name}}, h.file("main.cf")
	case typ == "inline":
		return inline(name), h.file("main.cf")
	case suffixes[typ] == "" && typ != "texthash" && typ != "regexp" && typ != "pcre" || !strings.HasPrefix(name, "/"):
		return nil, ""
	}
	text, err := h.read(name)
	if text == nil || err != nil { // of an index alone, say
		return nil, ""
	}
	if text, err = table.Strip(text); err != nil {
		return nil, ""
	}
	all, err := lines.Split(text)
	if err != nil {
		return nil, ""
	}
	for _, rows := range lines.Logical(all) {
		line := strings.TrimRight(lines.Join(all, rows), lines.Blanks)
		n := strings.IndexAny(line, lines.Blanks)
		if typ == "regexp" || typ == "pcre" {
			n = patternEnd(line)
		}
		if n > 0 && n < len(line) {
			entries = append(entries, table.Entry{Key: line[:n], Value: strings.Trim(line[n:], lines.Blanks)})
		}
	}
	return entries, name
}

// inline takes "{{key = value}, key=value}" apart (inline_table in DATABASE_README).
func inline(text string) (entries []table.Entry) {
	text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "{"), "}")
	for _, e := range maincf.SplitList(text) {
		key, value, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(e, "{"), "}"), "=")
		if ok {
			entries = append(entries, table.Entry{Key: strings.TrimSpace(key), Value: strings.TrimSpace(value)})
		}
	}
	return entries
}

// accountOf is the account that Postfix finds for a sender, "" if it finds none or is not able to say.
func (h *host) accountOf(ctx context.Context, sender string) (string, error) {
	keys, err := h.senderKeys(sender)
	if err != nil {
		return "", err
	}
	for _, key := range keys {
		value, found, err := h.passwordEntry(ctx, key)
		if err != nil {
			return "", err
		}
		if found {
			user, _, _ := strings.Cut(value, h.delimiter())
			return user, nil
		}
	}
	return "", nil
}

// WithoutLogin are the senders whose relay was added with a login, of which nothing is left: somebody has changed the tables since.
func (s Status) WithoutLogin() (senders []string) {
	for _, sender := range s.Senders {
		if (sender.Origin == byAdd || sender.Origin == byLogin) && sender.Account == "" {
			senders = append(senders, sender.Sender)
		}
	}
	return senders
}

// way says how a sender's mail goes.
func (s Sender) way() string {
	how := s.Relay + map[bool]string{true: ", TLS from the first byte", false: ""}[s.Wrapper]
	if s.TLS != "" {
		how += ", level " + s.TLS
	}
	if s.Login != nil {
		how += fmt.Sprintf(", OAuth 2.0 (%s) by the port %d of this host", s.Login.Flow, s.Login.Port)
	}
	if s.Account != "" {
		how += ", account " + s.Account
	}
	return how + " (" + s.Origin + ")"
}

// Text is the list in plain words.
func (l *SenderList) Text() string {
	r := &report{}
	for _, s := range l.Senders {
		r.line(s.Sender, "%s", s.way())
		s.Login.trouble(r)
	}
	for _, table := range l.Unread {
		r.line("not read", "%s: ask it with \"postmap -q SENDER\"", table)
	}
	if len(l.Senders)+len(l.Unread) == 0 {
		r.line("senders", "none has a relay of its own")
	}
	return r.String()
}
