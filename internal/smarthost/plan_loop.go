package smarthost

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/maincf"
)

// checkLoop refuses this host's own port 25 as relay: its mail would come back to it. Behind another port there may be a tunnel, and
// another instance may hand its mail to this host's first one.
func (h *host) checkLoop(r relay) error {
	own := []string{"localhost", "localhost.localdomain", strings.ToLower(h.effective["myhostname"])}
	if r.port != portSMTP || !h.inst.IsPrimary() || !slices.Contains(own, r.host) && !net.ParseIP(r.host).IsLoopback() {
		return nil
	}
	return fmt.Errorf("cannot use %q as relay: that is this host, and its mail would come back to it: name the host that takes it further", r.dest)
}

// checkAliasLoop refuses a recipient of root's mail whose alias leads to root again: nobody would get it. A name without a domain
// gets that of myorigin, and where that is none of this host's the mail leaves it.
func (h *host) checkAliasLoop(f *aliases.File, root string) error {
	origin, err := h.origin()
	if err != nil {
		return err
	}
	own := hostDomains("", "", h.effective["mydestination"])
	for _, to := range maincf.SplitList(root) {
		if leadsToRoot(f, to, func(domain string) bool { return slices.Contains(own, strings.ToLower(cmp.Or(domain, origin))) }) {
			return fmt.Errorf("cannot send root's mail to %q: that leads back to root", to)
		}
	}
	return nil
}

// leadsToRoot follows the aliases of an address as far as they are of domains of our own.
func leadsToRoot(f *aliases.File, to string, own func(domain string) bool) bool {
	seen := []string{to}
	for i := 0; i < len(seen); i++ {
		user, domain, at := strings.Cut(seen[i], "@")
		if !own(domain) || seen[i] == to && !at && strings.EqualFold(user, "root") { // "root: root" is the user's own mailbox
			continue
		}
		if strings.EqualFold(user, "root") {
			return true
		}
		next, _ := f.Lookup(user)
		for _, n := range next {
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
			}
		}
	}
	return false
}
