package adopt

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"postfix-maint/internal/version"
)

// offer is one version of postfix that apt knows.
type offer struct {
	version  string
	priority int  // of the version: apt_preferences(5)
	fetch    bool // an archive has it, not only dpkg's list of what is installed
}

// policy is what "apt-cache policy postfix" says: the versions from the highest down, and which is installed.
type policy struct {
	offers    []offer
	installed int // index in offers; their number if none is
}

// askPolicy asks apt.
func askPolicy(ctx context.Context, r Runner) (policy, error) {
	text, err := r.Output(ctx, "apt-cache", "policy", "postfix")
	if err != nil {
		return policy{}, fmt.Errorf("cannot ask apt for postfix: %w", err)
	}
	return parsePolicy(string(text)), nil
}

// Pending is the version that apt would bring to this host, "" where it would bring none. It only asks apt.
func Pending(ctx context.Context, r Runner) (string, error) {
	p, err := askPolicy(ctx, r)
	if err != nil {
		return "", err
	}
	return p.pending(), nil
}

// pending is the version that apt would go to: of those above the installed one that with the highest priority, which must be that of the
// installed one at least; of several the highest version (apt_preferences(5)).
func (p policy) pending() string {
	if p.installed == len(p.offers) {
		return ""
	}
	best, least := "", p.offers[p.installed].priority
	for _, o := range p.offers[:p.installed] {
		if o.priority > least || o.priority == least && best == "" {
			best, least = o.version, o.priority
		}
	}
	return best
}

// parsePolicy reads the version table: a line " *** VERSION PRIORITY" or "     VERSION PRIORITY" each, followed by lines
// "        PRIORITY SOURCE", further in.
func parsePolicy(text string) policy {
	var p policy
	_, table, _ := strings.Cut(text, "Version table:\n")
	here := -1
	for line := range strings.Lines(table) {
		words := strings.Fields(line)
		switch {
		case len(words) < 2:
		case strings.HasPrefix(line, "      "): // a source
			if len(p.offers) > 0 && !strings.HasPrefix(words[1], "/") {
				p.offers[len(p.offers)-1].fetch = true
			}
		default:
			if words[0] == "***" {
				here, words = len(p.offers), words[1:]
			}
			priority, err := strconv.Atoi(words[min(1, len(words)-1)])
			if err != nil {
				priority = 0
			}
			p.offers = append(p.offers, offer{version: words[0], priority: priority})
		}
	}
	if p.installed = here; here < 0 {
		p.installed = len(p.offers)
	}
	return p
}

// version is the installed one, "" for none.
func (p policy) version() string {
	if p.installed < len(p.offers) {
		return p.offers[p.installed].version
	}
	return ""
}

// find gives the offer of one of Debian's versions, nil if no archive has it.
func (p policy) find(version string) *offer {
	for i, o := range p.offers {
		if o.version == version && o.fetch {
			return &p.offers[i]
		}
	}
	return nil
}

// wanted chooses among Debian's own versions. base is the one that is installed, adopted or not; nil if none is or apt cannot fetch
// it any more. next is the one that apt would go to if there were no adopted ones: the highest priority wins, then the higher
// version, and never a lower one than is installed. nil means that there is nothing to go to.
func (p policy) wanted() (base, next *offer) {
	least := 1 // nothing below is ever installed
	if v := p.version(); v != "" {
		stock, _ := version.Stock(v)
		least = 100 // what is installed has this by itself
		if base = p.find(stock); base != nil {
			least = max(least, base.priority)
		}
	}
	for i := range p.offers[:p.installed] {
		o := &p.offers[i]
		if _, adopted := version.Stock(o.version); adopted || o.priority < least {
			continue
		}
		if next == nil || o.priority > next.priority {
			next = o
		}
	}
	return base, next
}

// priority is the one that adopted packages get: that of Debian's own version, so that between the two the version decides and
// nothing of Debian's is ever held back.
func (p policy) priority() int {
	base, next := p.wanted()
	switch {
	case next != nil:
		return next.priority
	case base != nil:
		return base.priority
	}
	return 500 // apt's own for an archive
}
