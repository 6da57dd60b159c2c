package smarthost

import (
	"slices"
	"strings"
)

// senderKey is one that tables are asked by for a sender. A part of an address is not asked of tables of patterns.
type senderKey struct {
	text string
	part bool
}

// senderKeys are all, in the order that Postfix asks by for relays, transports and passwords (mail_addr_find(3) with MA_FIND_DEFAULT, called by
// trivial-rewrite's resolve.c and smtp's smtp_sasl_glue.c): the address, without its extension, of a local domain the user alone, the domain.
// There are none for a blank sender.
func (h *host) senderKeys(sender string) ([]senderKey, error) {
	if sender == "" {
		return nil, nil
	}
	user, domain := halves(sender)
	keys := []senderKey{{text: sender}}
	add := func(text string) {
		if !slices.ContainsFunc(keys, func(k senderKey) bool { return k.text == text }) {
			keys = append(keys, senderKey{text, true})
		}
	}
	bare, _ := splitUser(user, h.effective["recipient_delimiter"])
	add(bare + "@" + domain)
	origin, err := h.origin()
	if err != nil {
		return nil, err
	}
	if user != "" && slices.Contains(hostDomains(origin, "", h.effective["mydestination"]), strings.ToLower(domain)) {
		add(user)
		add(bare)
	}
	add("@" + domain)
	return keys, nil
}

// splitUser takes the extension off a user's name (split_addr(3)); owner_request_special is taken for what it is by itself, yes.
func splitUser(user, delimiters string) (base, extension string) {
	small := strings.ToLower(user)
	i := strings.IndexAny(user, delimiters)
	if i <= 0 || slices.Contains([]string{"mailer-daemon", "double-bounce"}, small) {
		return user, ""
	}
	if strings.Contains(delimiters, "-") && (strings.HasPrefix(small, "owner-") || strings.HasSuffix(small, "-request")) {
		return user, ""
	}
	return user[:i], user[i:]
}

// asks tells whether a table is asked by the key. Which of those in a pipeline or union it would be is not looked at.
func (k senderKey) asks(element string) bool {
	typ, _, _ := strings.Cut(strings.TrimPrefix(element, "proxy:"), ":")
	return !k.part || !slices.Contains([]string{"regexp", "pcre", "cidr", "tcp", "socketmap", "randmap"}, typ)
}

// forSender has an advice name the command for the sender whose mail was tried.
func (h *host) forSender(advice string) string {
	keys, _ := h.senderKeys(h.sender) // what is not known leaves the advice as it is
	for _, key := range keys {
		if i := find(h.state.accounts(), key.text); i >= 0 {
			return strings.ReplaceAll(advice, "smarthost set --user", "smarthost add --sender "+h.state.accounts()[i].Sender+" --user")
		}
	}
	return advice
}
