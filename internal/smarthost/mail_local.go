package smarthost

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/paths"
)

// accounts is the table by which Postfix knows the host's accounts (local(8), postconf(5), local_recipient_maps).
const accounts = "unix:passwd.byname"

// local follows a recipient as local(8) does: aliases first, then the account.
func (w *finder) local(ctx context.Context, way Way) error {
	user, _, _ := strings.Cut(way.Recipient, "@")
	user = strings.ToLower(user)
	base, _ := w.split(user)
	for _, key := range slices.Compact([]string{user, base}) {
		value, element, found, err := w.lookup(ctx, "alias_maps", key)
		if err != nil {
			w.add(unasked(way.Recipient, err))
			return nil
		}
		circle, before := w.seen["alias "+key]
		if found && before && !circle {
			return nil // two ways lead there
		}
		if !found || circle {
			way.circle = way.circle || circle
			continue
		}
		w.seen["alias "+key] = true
		defer func() { w.seen["alias "+key] = false }()
		to := elements(value)
		if !w.step(Step{way.Recipient, "alias_maps " + element, to}) {
			return nil
		}
		for _, next := range to {
			if err := w.element(ctx, way, next); err != nil {
				return err
			}
		}
		return nil
	}
	return w.account(ctx, way, base)
}

// element follows one member of an alias (aliases(5)).
func (w *finder) element(ctx context.Context, from Way, text string) error {
	if len(text) > 1 && text[0] == '"' && text[len(text)-1] == '"' { // a program with its arguments
		text = text[1 : len(text)-1]
	}
	way := Way{Recipient: text, Class: from.Class, Transport: from.Transport}
	switch {
	case strings.HasPrefix(text, "|"):
		way.Place = fmt.Sprintf("the program %q", strings.TrimSpace(text[1:]))
	case strings.HasPrefix(text, "/") && strings.HasSuffix(text, "/"):
		way.Place = "the maildir " + text
	case strings.HasPrefix(text, "/"):
		way.Place = "the file " + text
	case strings.HasPrefix(text, ":include:"):
		way.Place = "whom the file " + strings.TrimPrefix(text, ":include:") + " names"
	default:
		return w.address(ctx, text)
	}
	w.add(way)
	return nil
}

// account is where local(8) puts the mail of a user, in its own order: another transport, the account, who gets what nobody else does
// (deliver_mailbox() and deliver_unknown() in Postfix's local/).
func (w *finder) account(ctx context.Context, way Way, user string) error {
	handed, err := w.handed(ctx, "mailbox_transport", user)
	if handed != "" || err != nil {
		return w.end(way, handed, err)
	}
	entry, found, err := w.h.query(ctx, accounts, user)
	if err != nil {
		return w.end(way, "", fmt.Errorf("cannot ask for the account %q: %w", user, err))
	}
	if !found {
		return w.nobody(ctx, way, user)
	}
	home := ""
	if f := strings.Split(entry, ":"); len(f) > 5 {
		home = f[5]
	}
	if w.forwards(home) {
		way.Notes = append(way.Notes, fmt.Sprintf("there is %s, which may lead it elsewhere; it is the user's, and not read here", path.Join(home, forwardFile)))
	}
	place, err := w.mailbox(ctx, user, home)
	return w.end(way, place, err)
}

// end adds a way with the place where it ends, or why that is not known.
func (w *finder) end(way Way, place string, err error) error {
	if way.Place = place; err != nil {
		way = unasked(way.Recipient, err)
	}
	w.add(way)
	return nil
}

// nobody is for a user without an account.
func (w *finder) nobody(ctx context.Context, way Way, user string) error {
	handed, err := w.handed(ctx, "fallback_transport", user)
	if handed != "" || err != nil {
		return w.end(way, handed, err)
	}
	if to := w.h.effective["luser_relay"]; to != "" {
		return w.end(way, "luser_relay: "+to, nil)
	}
	if way.circle {
		way.Problem = fmt.Sprintf("the aliases lead in a circle, at %q", user)
		way.Advice = paths.Aliases + ": lead one of them to somebody, then newaliases"
		w.add(way)
		return nil
	}
	way.Problem = fmt.Sprintf("%s is unknown: neither alias nor account has the name %q", way.Recipient, user)
	way.Advice = "is the name right? an alias leads it to somebody (" + paths.Aliases + ", then newaliases); if mail for its domain belongs elsewhere, take that out of mydestination"
	w.add(way)
	return nil
}

// handed tells which transport gets a user's mail by one of two parameters, "" if none does.
func (w *finder) handed(ctx context.Context, param, user string) (string, error) {
	to, _, _, err := w.lookup(ctx, param+"_maps", user)
	if to == "" {
		to = w.h.effective[param]
	}
	if to == "" || err != nil {
		return "", err
	}
	return fmt.Sprintf("the transport %s (%s)", to, param), nil
}

// mailbox is where local(8) delivers to an account.
func (w *finder) mailbox(ctx context.Context, user, home string) (string, error) {
	command, _, _, err := w.lookup(ctx, "mailbox_command_maps", user)
	if command == "" {
		command = w.h.effective["mailbox_command"]
	}
	switch spool := w.h.effective["mail_spool_directory"]; {
	case err != nil:
		return "", err
	case command != "":
		return fmt.Sprintf("the program %q (mailbox_command)", command), nil
	case w.h.effective["home_mailbox"] != "":
		return box(home + "/" + w.h.effective["home_mailbox"]), nil
	case strings.HasSuffix(spool, "/"):
		return box(spool + user + "/"), nil
	default:
		return box(spool + "/" + user), nil
	}
}

func box(name string) string {
	return map[bool]string{true: "the maildir ", false: "the mailbox "}[strings.HasSuffix(name, "/")] + name
}

// virtual is where virtual(8) puts the mail of a recipient: the entry is a path as it is, no list of addresses.
func (w *finder) virtual(ctx context.Context, way Way) error {
	name, element, _, err := w.entry(ctx, "virtual_mailbox_maps", way.Recipient, false)
	if err == nil && element == "" {
		way.Problem = fmt.Sprintf("%s is unknown: virtual_mailbox_maps has no mailbox for it", way.Recipient)
		way.Advice = "is the name right? else add it to the table, and run postmap on that"
		w.add(way)
		return nil
	}
	return w.end(way, box(w.h.effective["virtual_mailbox_base"]+"/"+name), err)
}

const forwardFile = ".forward"

// homeLimit bounds the look at a home directory, which may be another host's that does not answer.
const homeLimit = 2 * time.Second

// forwards tells whether a user has a file that leads mail elsewhere. It is the user's: only whether something is there is looked at, and no link
// in its place is followed.
func (w *finder) forwards(home string) bool {
	if !path.IsAbs(home) {
		return false
	}
	found := make(chan bool, 1)
	go func() {
		defer func() {
			if recover() != nil {
				found <- false
			}
		}()
		_, err := w.h.d.Root.Lstat(path.Join(home, forwardFile))
		found <- err == nil
	}()
	select {
	case is := <-found:
		return is
	case <-time.After(homeLimit):
		return false
	}
}
