package smarthost

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/smarthost/probe"
	"postfix-maint/internal/smarthost/resolve"
)

// Bounds of what an address may become.
const (
	mostRoutes = 20
	mostSteps  = 50
)

// finder finds the ways of mail for an address.
type finder struct {
	h        *host
	ask      *resolve.Conn
	res      *Mail
	sender   string
	services []mastercf.Service
	seen     map[string]bool // what was replaced by others already
	tried    map[string]Way  // by transport and next hop
	targets  []probe.Target  // whose words may have a password in them
}

// find fills in all steps and ways.
func (w *finder) find(ctx context.Context) error {
	name := w.h.file("master.cf")
	data, err := w.h.read(name)
	if err != nil {
		return err
	}
	services, err := mastercf.Parse(data)
	if err != nil {
		return fmt.Errorf("cannot parse %q: %w", name, err)
	}
	w.services = services.Services()
	return w.address(ctx, w.res.Address)
}

// add takes a way; what is beyond the bound is one problem.
func (w *finder) add(way Way) {
	switch n := len(w.res.Routes); {
	case slices.ContainsFunc(w.res.Routes, func(r Way) bool { return r.Recipient == way.Recipient && r.Place == way.Place }):
	case n < mostRoutes:
		w.res.Routes = append(w.res.Routes, way)
	case n == mostRoutes:
		w.res.Routes = append(w.res.Routes, Way{
			Recipient: way.Recipient, Problem: fmt.Sprintf("%s leads to more than %d recipients", w.res.Address, mostRoutes), Advice: "test with one of them",
		})
	}
}

// address follows an address through the tables of cleanup(8), and then to where it goes.
func (w *finder) address(ctx context.Context, address string) error {
	if len(w.res.Routes) > mostRoutes {
		return nil // that is said already, and each further one costs lookups
	}
	full, err := w.ask.Complete(address)
	if err != nil {
		return err
	}
	way, err := w.ask.Way(w.sender, full)
	if err != nil {
		return err
	}
	local := way.Class == resolve.Local
	for _, param := range []string{"recipient_canonical_maps", "canonical_maps", "virtual_alias_maps"} {
		to, by, err := w.mapped(ctx, param, full, local)
		if err != nil {
			w.add(unasked(full, err))
			return nil
		}
		circle, before := w.seen[by+" "+full]
		if before && !circle {
			return nil // two ways lead there
		}
		if to == nil || len(to) == 1 && strings.EqualFold(to[0], full) || circle {
			continue
		}
		return w.through(ctx, Step{full, by, to})
	}
	return w.route(ctx, Way{Recipient: full, Class: string(way.Class), Transport: way.Transport, NextHop: way.NextHop})
}

// through follows all addresses that one leads to.
func (w *finder) through(ctx context.Context, s Step) error {
	key := s.By + " " + s.Address
	w.seen[key] = true
	defer func() { w.seen[key] = false }()
	if !w.step(s) {
		return nil
	}
	for _, next := range s.To {
		if err := w.address(ctx, next); err != nil {
			return err
		}
	}
	return nil
}

// unasked is the way of mail that waits for a table.
func unasked(recipient string, err error) Way {
	return Way{Recipient: recipient, Problem: probe.Clean(err.Error()), Advice: "mail waits until that table can be asked: is it made (newaliases, postmap), does its server run?"}
}

// step notes one, unless there are too many.
func (w *finder) step(s Step) bool {
	if len(w.res.Steps) == mostSteps {
		w.add(Way{Recipient: s.Address, Problem: fmt.Sprintf("%s leads through more than %d aliases", w.res.Address, mostSteps), Advice: "alias_maps, virtual_alias_maps: is there a loop?"})
		return false
	}
	w.res.Steps = append(w.res.Steps, s)
	return true
}

// split takes the extension off a user's name.
func (w *finder) split(user string) (base, extension string) {
	return splitUser(user, w.h.effective["recipient_delimiter"])
}

// mapped is what a list of address tables makes of an address. What was not asked for of the extension goes along.
func (w *finder) mapped(ctx context.Context, param, address string, local bool) (to []string, by string, err error) {
	value, element, rest, err := w.entry(ctx, param, address, local)
	if element == "" || err != nil {
		return nil, "", err
	}
	user, _ := halves(address)
	for _, t := range elements(value) {
		name, at, whole := strings.Cut(t, "@")
		switch {
		case name == "" && whole:
			t = user + t
		case rest != "" && whole:
			t = name + rest + "@" + at
		}
		to = append(to, t)
	}
	return to, param + " " + element, nil
}

// halves are the user and the domain of an address.
func halves(address string) (user, domain string) {
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		return address[:i], address[i+1:]
	}
	return address, ""
}

// entry is what a list of address tables has for an address: asked for it with and without extension, for the user alone if the domain is
// local, for the domain (virtual(5), canonical(5)). rest is what was not asked for of the extension; no element: nothing has it.
func (w *finder) entry(ctx context.Context, param, address string, local bool) (value, element, rest string, err error) {
	user, domain := halves(address)
	base, extension := w.split(user)
	type key struct{ text, rest string }
	keys := []key{{address, ""}, {base + "@" + domain, extension}}
	if local {
		keys = append(keys, key{user, ""}, key{base, extension})
	}
	keys = append(keys, key{"@" + domain, ""})
	for i, k := range keys {
		if i > 0 && slices.ContainsFunc(keys[:i], func(other key) bool { return other.text == k.text }) {
			continue
		}
		value, element, found, err := w.lookup(ctx, param, k.text)
		if found || err != nil {
			return value, element, k.rest, err
		}
	}
	return "", "", "", nil
}

// lookup asks the tables of a parameter one after the other.
func (w *finder) lookup(ctx context.Context, param, key string) (value, element string, found bool, err error) {
	for _, element := range maincf.SplitList(w.h.effective[param]) {
		value, found, err := w.h.query(ctx, element, key)
		if err != nil {
			return "", "", false, fmt.Errorf("cannot ask %s for %q: %w", maincf.Show(param, element), key, err)
		}
		if found {
			return value, element, true, nil
		}
	}
	return "", "", false, nil
}

// elements are the members of an entry of an alias table.
func elements(value string) []string {
	f, err := aliases.Parse([]byte("x: " + strings.ReplaceAll(value, "\n", " ") + "\n"))
	if err != nil {
		return nil
	}
	all, _ := f.Lookup("x")
	return all
}

// service is one of master.cf.
func (w *finder) service(name string) (mastercf.Service, bool) {
	i := slices.IndexFunc(w.services, func(s mastercf.Service) bool { return s.Name == name && s.Type != "inet" })
	if i < 0 {
		return mastercf.Service{}, false
	}
	return w.services[i], true
}

// route follows an address that no table replaces to where its transport leads.
func (w *finder) route(ctx context.Context, way Way) error {
	s, there := w.service(way.Transport)
	switch {
	case !there:
		way.Problem = fmt.Sprintf("%q has no service %q", w.h.file("master.cf"), way.Transport)
		way.Advice = "transport_maps, default_transport, local_transport and the like: name one that is there"
	case s.Command == "local":
		return w.local(ctx, way)
	case s.Command == "virtual":
		return w.virtual(ctx, way)
	case s.Command == "smtp":
		return w.remote(ctx, way)
	case s.Command == "lmtp":
		way.Place = "an LMTP server at " + way.NextHop
	case s.Command == "pipe":
		way.Place = fmt.Sprintf("the program of the service %s in master.cf", s.Name)
	case s.Command == "error":
		way.Problem = w.h.refusal(way)
	case s.Command == "discard":
		way.Problem, way.Advice = "Postfix throws mail for it away: "+way.NextHop, "transport_maps: the transport discard is meant to do so"
	}
	w.add(way)
	return nil
}

// refusal is what error(8) does with an address, with the words that main.cf or Postfix itself has for that. The service retry is it as well.
func (h *host) refusal(way Way) string {
	if way.Transport == "retry" {
		return "Postfix keeps mail for it in the queue: " + way.NextHop
	}
	return "Postfix refuses mail for it: " + way.NextHop
}
