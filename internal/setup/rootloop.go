package setup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// rootLoop refuses recipients of root's mail that lead back to root: local(8) ends such a loop by bouncing all of it.
func (p *Plan) rootLoop() []answers.Problem {
	a := p.effected[answers.RootAddress]
	to, write := p.wish(answers.RootAddress)
	if !write || !a.Answered && !a.Changed || p.h.unread || strings.EqualFold(strings.TrimSpace(to), "none") {
		return nil
	}
	f := p.h.alias
	if f == nil {
		f, _ = aliases.Parse([]byte(firstAliases))
	}
	if _, have := f.Lookup("root"); have && p.journal.Fresh {
		return nil // it is not written
	}
	back := p.leadsBack(f, to)
	if back == "" {
		return nil
	}
	return []answers.Problem{{Question: answers.RootAddress, Value: to,
		Text: fmt.Sprintf("by %s the mail for %s comes back to root, and all of it would bounce", aliasPath(p.h.main), back)}}
}

// leadsBack gives the first of root's recipients that leads back to root through the alias file. An alias that names itself, as "root:
// root" does, is no loop: local(8) delivers to the account then.
func (p *Plan) leadsBack(f *aliases.File, to string) string {
	here := p.hereOf(f)
	seen := map[string]bool{}
	var back func(account string) bool
	back = func(account string) bool {
		seen[account] = true
		next, _ := f.Lookup(account)
		return slices.ContainsFunc(next, func(address string) bool {
			n := here(address)
			return n == "root" || n != "" && !seen[n] && back(n)
		})
	}
	for _, address := range maincf.SplitList(to) {
		if account := here(address); account != "" && account != "root" && back(account) {
			return address
		}
	}
	return ""
}

// hereOf gives a function that tells under which name local(8) looks for an address in the alias file, "" for what is not delivered here.
func (p *Plan) hereOf(f *aliases.File) func(address string) string {
	names, origin := p.ownNames()
	delimiters, write := p.wish(answers.RecipientDelim)
	if !write {
		delimiters = p.h.live[answers.RecipientDelim]
	}
	return func(address string) string {
		account, domain := strings.ToLower(address), origin
		if at := strings.LastIndex(account, "@"); at >= 0 {
			account, domain = account[:at], account[at+1:]
		}
		if !slices.Contains(names, domain) {
			return ""
		}
		if _, known := f.Lookup(account); known {
			return account
		}
		if i := strings.IndexAny(account, delimiters); i > 0 {
			return account[:i]
		}
		return account
	}
}

// ownNames are the domains that this host will take mail for, tables left out, and the one that stands behind a name without a domain.
func (p *Plan) ownNames() (names []string, origin string) {
	param := func(name string) (string, bool) {
		if p.h.main == nil || p.fresh {
			return "", false
		}
		return p.h.main.Get(name)
	}
	host, stated := param("myhostname")
	switch {
	case stated:
	case p.fresh:
		host = cmp.Or(p.req.Facts.FQDN, p.req.Facts.Computed)
	default:
		host = cmp.Or(p.req.Facts.Computed, p.req.Facts.FQDN)
	}
	expand := func(text string) string {
		text, _ = maincf.Expand(text, func(name string) (string, bool) {
			if v, ok := param(name); ok {
				return v, true
			}
			_, domain, _ := strings.Cut(host, ".")
			v, ok := map[string]string{"myhostname": host, "mydomain": domain}[name]
			return v, ok
		})
		return strings.ToLower(strings.TrimSpace(text))
	}
	list, write := p.wish(answers.Destinations)
	if !write {
		list = p.h.live[answers.Destinations]
	}
	names = append(maincf.SplitList(expand(list)), expand("$myhostname"), "localhost")

	mailname, write := p.wish(answers.Mailname)
	stands, _ := param("myorigin")
	switch {
	case write && answers.CheckOrigin(answers.Resolve(answers.Mailname, mailname, p.req.Facts)) == nil:
		origin = answers.Resolve(answers.Mailname, mailname, p.req.Facts)
	case stands == paths.Mailname:
		origin = p.h.mailname
	default:
		origin = cmp.Or(stands, "$myhostname")
	}
	return names, expand(origin)
}
