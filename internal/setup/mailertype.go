package setup

import (
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// What a type writes into inet_interfaces, and "Local only" into the transports (Debian's own words for it).
const (
	loopbackOnly = "loopback-only"
	allAddresses = "all"
	refuseMail   = "error"
)

// typeEdits writes what the general type stands for, when the type itself is new or changed. A relay type that waits for its relay
// host is followed later too.
func (p *Plan) typeEdits() []maincf.Edit {
	v, write := p.wish(answers.MailerType)
	if !write {
		if p.upgrade { // it changes no setting
			return nil
		}
		return p.transportEdits(p.waiting(), waits)
	}
	t := answers.Type(v)
	edits := p.listenEdit(t)
	want := p.waiting()
	if t == answers.LocalOnly {
		want = map[string]string{"default_transport": refuseMail, "relay_transport": refuseMail}
	}
	if t.Relays() && !p.relayed() {
		p.noRelay(t)
	}
	edits = append(edits, p.transportEdits(want, ours)...)
	// The relay goes with its type if it is still the one that an answer wrote: another one is somebody's edit.
	base, wrote := p.h.state.Base(), p.relayBefore()
	if p.relayOurs { // with TLS or a login
		wrote = base[answers.RelayHost]
	}
	if answers.Type(base[answers.MailerType]).Relays() && !t.Relays() && wrote != "" && answers.Equal(answers.RelayHost, p.h.live[answers.RelayHost], wrote) {
		edits = append(edits, maincf.Set("relayhost", ""))
	}
	if t == answers.InternetSite {
		p.sayRelayStays(edits)
	}
	return edits
}

// listenEdit opens or closes the host to the network. Where it is as the type wants it an administrator's choice of addresses stays.
func (p *Plan) listenEdit(t answers.Type) []maincf.Edit {
	const name = "inet_interfaces"
	listen := t != answers.LocalOnly && t != answers.Satellite
	if p.fresh && listen && !p.effected[answers.MailerType].Answered {
		listen = false
		p.warn("nobody chose the type of this mail system: it listens on the loopback interface only; " +
			"choose with \"dpkg-reconfigure postfix\", or preseed postfix/main_mailer_type")
	}
	live := ""
	if p.h.main != nil && !p.fresh {
		live = value(p.h.main, name, allAddresses)
	}
	switch {
	case live != "" && onlyLoopback(live) != listen:
		return nil
	case !listen:
		if live != "" {
			p.former[name] = live
		}
		return []maincf.Edit{maincf.Set(name, loopbackOnly)}
	case live == loopbackOnly && p.former[name] != "":
		return []maincf.Edit{maincf.Set(name, p.former[name])}
	}
	return []maincf.Edit{maincf.Set(name, allAddresses)}
}

// sayRelayStays tells who chose a type without a relay that mail goes through one all the same: one set by hand is somebody's edit.
func (p *Plan) sayRelayStays(edits []maincf.Edit) {
	gone := slices.ContainsFunc(edits, func(e maincf.Edit) bool { return e.Name() == "relayhost" })
	if _, write := p.wish(answers.RelayHost); write || gone || p.fresh || p.relay != leaveRelay || !p.relayed() {
		return
	}
	note := fmt.Sprintf("relayhost stays %q, which somebody set in %s: mail for elsewhere goes there; \"postconf -e relayhost=\" takes it out",
		p.h.live[answers.RelayHost], paths.MainCF)
	if !slices.Contains(p.Notes, note) { // main.cf is planned again where Postfix refuses part of it
		p.Notes = append(p.Notes, note)
	}
}

// relayed tells whether this run leaves a relay host.
func (p *Plan) relayed() bool {
	v, write := p.wish(answers.RelayHost)
	if !write {
		v = p.h.live[answers.RelayHost]
	}
	return strings.TrimSpace(v) != ""
}

// waiting are the transports of a relay type for which nobody named a relay host; none where one is named, or where somebody answered
// that there is none.
func (p *Plan) waiting() map[string]string {
	t, write := p.wish(answers.MailerType)
	if !write && p.h.main != nil && value(p.h.main, "default_transport", "") == answers.Waiting()["default_transport"] {
		t = string(answers.Smarthost) // any that relays
	}
	if !answers.Type(t).Relays() || p.relayed() || p.effected[answers.RelayHost].Answered {
		return nil
	}
	return answers.Waiting()
}

func (p *Plan) noRelay(t answers.Type) {
	if p.effected[answers.RelayHost].Answered {
		p.warn("%s is blank for the type %q: mail goes directly to its destinations", answers.RelayHost, t)
		return
	}
	p.warn("no relay host is named for the type %q: mail for elsewhere waits in the queue; preseed %s, or "+
		"\"postconf -e relayhost=...\" and \"systemctl reload postfix\"", t, answers.RelayHost)
}

// ours tells whether a value of a transport parameter is what a type wrote; waits, whether it waits for a relay host.
func ours(name, value string) bool  { return value == refuseMail || waits(name, value) }
func waits(name, value string) bool { return value == answers.Waiting()[name] }

// transportEdits writes the transports that a type needs, and takes what a type wrote back to what was there before it. What an
// administrator chose, before or since, is not the type's (#988538).
func (p *Plan) transportEdits(want map[string]string, typical func(name, value string) bool) (edits []maincf.Edit) {
	for _, name := range transportParams {
		live := ""
		if p.h.main != nil {
			live = value(p.h.main, name, "")
		}
		switch before, known := p.former[name]; {
		case want[name] == live:
		case want[name] != "":
			if !ours(name, live) && live != "" {
				p.former[name] = live
			}
			edits = append(edits, maincf.Set(name, want[name]))
		case typical(name, live) && known:
			edits = append(edits, maincf.Set(name, before))
		case typical(name, live):
			edits = append(edits, maincf.Unset(name))
		}
	}
	return edits
}

// relayBefore is State.Relay before this run.
func (p *Plan) relayBefore() string {
	switch {
	case p.resumed:
		return p.journal.Relay
	case p.h.state != nil:
		return p.h.state.Relay
	}
	return ""
}

// relayNow is State.Relay after this run.
func (p *Plan) relayNow() string {
	if v, write := p.wish(answers.RelayHost); write {
		return v
	}
	return p.relayBefore()
}

// formerNow is what is remembered of p.former: what a type's value stands in place of.
func (p *Plan) formerNow() map[string]string {
	kept := map[string]string{}
	for name, before := range p.former {
		switch now := value(p.h.after, name, ""); {
		case name == "inet_interfaces" && now == loopbackOnly, name != "inet_interfaces" && ours(name, now):
			kept[name] = before
		}
	}
	return kept
}
