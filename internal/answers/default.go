package answers

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Facts is what the guesses are made from.
type Facts struct {
	FQDN     string // hostname --fqdn, or blank
	Domain   string // hostname --domain, or blank
	Computed string // what Postfix itself would make of the host's name (postconf(5), myhostname), or blank
	Mailname string // first line of /etc/mailname, or blank

	HasMainCF bool
	Procmail  bool // procmail is installed
	Chattr    bool // this release's package asks for synchronous queue updates

	Protocols string // the protocols that the kernel has; blank if nobody knows
	FirstUser string // the first human account, or blank
}

// The values that stand when nothing is known.
const (
	localdomain = "localdomain"
	// loopback is the host itself: what Debian writes for mynetworks on each new host.
	loopback = "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"
)

// Default is the guess for a host that has no configuration yet. Destinations depend on the answers given so far.
func Default(q Question, f Facts, a Answers) string {
	if guess := row(q).guess; guess != nil {
		return guess(f, a)
	}
	return ""
}

func guessType(f Facts, _ Answers) string {
	if f.HasMainCF { // somebody else's work: not ours to change
		return string(NoConfiguration)
	}
	return string(InternetSite)
}

func guessMailname(f Facts, _ Answers) string { return f.mailName() }

func guessSender(_ Facts, a Answers) string {
	if account := a[RelayAccount].Value; CheckAddress(account) == nil {
		return account
	}
	return ""
}

func guessDestinations(f Facts, a Answers) string { return strings.Join(destinations(f, a), ", ") }

func guessProcmail(f Facts, _ Answers) string { return strconv.FormatBool(f.Procmail) }

func guessProtocols(f Facts, _ Answers) string {
	if set, ok := protocols(f.Protocols); ok {
		return set
	}
	return "all" // an empty value would switch all networking off: an image built without /proc
}

// hostName is the host's full name if it is one that Postfix would take, else blank. A plain name stays plain, and is written
// nowhere, so that no image is born with its builder's name (M04).
func (f Facts) hostName() string {
	name := strings.TrimSuffix(f.FQDN, ".")
	domain := strings.Trim(f.Domain, ".")
	if !strings.Contains(name, ".") && name != "" && domain != "" {
		name += "." + domain
	}
	if checkDomain(name, false) != nil {
		return ""
	}
	return name
}

func (f Facts) mailName() string {
	if name := strings.TrimSuffix(f.Mailname, "."); name != "" && !reserved(name) && checkDomain(name, true) == nil {
		return name
	}
	if name := f.hostName(); name != "" && !reserved(name) {
		return name
	}
	return localdomain // Debian's own: it has no dot, so nothing is written
}

// destinations is the list of domains this host takes mail for. Debian's list, without its duplicates and empty members;
// and a host that hands all its mail to a relay never claims the organisation's domain, else mail to colleagues would
// bounce here as to unknown users. A name without a dot is never written: $myhostname stands for it, and follows the host.
func destinations(f Facts, a Answers) []string {
	host := full(f.hostName())
	domain := cmp.Or(strings.Trim(f.Domain, "."), localdomain)
	mailname := full(Resolve(Mailname, a[Mailname].Value, f))
	list := []string{"$myhostname", host, "localhost." + domain, "localhost"}
	switch t, _ := a.Type(); t {
	case InternetSite:
		list = append([]string{"$myhostname", mailname}, list[1:]...)
	case LocalOnly:
		if host != mailname && !strings.HasSuffix(host, "."+mailname) {
			list = append([]string{mailname}, list...)
		}
	}
	return unique(list)
}

// full is name if it has a domain, else blank.
func full(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return ""
}

// WithOwnNames is a list of destinations that nobody saw on a screen, with what it lacks of the host's own names: without
// them mail to root, from cron say, would bounce. Debian's layer ignores such a list.
func WithOwnNames(list string, f Facts) (whole string, added []string) {
	members := splitList(list)
	has := func(names ...string) bool {
		return slices.ContainsFunc(members, func(m string) bool {
			m = strings.TrimLeft(m, "!") // behind what excludes a name the name itself is never looked at
			return slices.ContainsFunc(names, func(n string) bool { return n != "" && strings.EqualFold(m, n) })
		})
	}
	if !has("$myhostname", "${myhostname}", "$(myhostname)", f.hostName(), f.Computed) {
		added = append(added, "$myhostname")
	}
	if !has("localhost") {
		added = append(added, "localhost")
	}
	if len(added) == 0 {
		return list, nil
	}
	return strings.Join(append(members, added...), ", "), added
}

// unique drops blanks, and the members that an earlier one already says, whatever their case.
func unique(list []string) []string {
	seen := map[string]bool{"": true}
	var kept []string
	for _, item := range list {
		if key := strings.ToLower(item); !seen[key] {
			seen[key] = true
			kept = append(kept, item)
		}
	}
	return kept
}
