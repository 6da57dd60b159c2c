package smarthost

import (
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/smarthost/table"
)

// keepLines leaves main.cf, as it is to be, naming the tables of senders that have lines of an administrator's: they are in force, and would go
// out of it with the last sender of ours. What their logins need stays with them. Both are the administrator's from then on.
func (p *Plan) keepLines(after *maincf.File) (*maincf.File, error) {
	var edits []maincf.Edit
	was := p.old.upper()
	for _, name := range senderTables {
		if !mains(p.h.live, p.h.file(name)) || mains(after, p.h.file(name)) {
			continue
		}
		if !p.hasLines(name) {
			continue
		}
		if p.old.Senders != nil && slices.Contains(p.old.Senders.Idle, name) {
			p.warn("%s has lines that postfix-maint did not make, and main.cf names it no longer, as before", p.h.file(name))
			continue
		}
		for param := range was.Added {
			live := listOf(p.h.live, param)
			if i := slices.IndexFunc(live, func(e string) bool { return refers(e, p.h.file(name)) }); i >= 0 {
				edits = append(edits, maincf.Set(param, strings.Join(slices.Concat(live[i:i+1], listOf(after, param)), ", ")))
			}
		}
		p.warn("%s has lines that postfix-maint did not make: main.cf goes on naming it, as it is yours from now on", p.h.file(name))
	}
	if len(edits) == 0 {
		return after, nil
	}
	for name, o := range was.Params {
		if value, there := p.h.live.Get(name); p.state.Senders == nil && o.ours(value, there) { // else those that stay have them
			edits = append(edits, maincf.Set(name, value))
		}
	}
	return apply(after, edits)
}

// hasLines tells whether a table has lines of an administrator's. One that cannot be understood is said where it is changed.
func (p *Plan) hasLines(name string) bool {
	text, err := p.h.read(p.h.current(name))
	if err == nil {
		text, err = table.Strip(text)
	}
	return err == nil && !table.Empty(text)
}

// idle are the tables of senders whose lines of an administrator's were not in force before ours: they go out of it again with them.
func (p *Plan) idle() (names []string) {
	for _, name := range senderTables {
		was := p.old.Senders != nil && slices.Contains(p.old.Senders.Idle, name)
		if was || !mains(p.h.live, p.h.file(name)) && p.hasLines(name) {
			names = append(names, name)
		}
	}
	return names
}
