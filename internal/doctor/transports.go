package doctor

import (
	"maps"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
)

// basic are services that every instance needs (master.cf.dist), whatever it is for; of each kind one is listed.
var basic = strings.Fields("pickup cleanup qmgr rewrite bounce defer error retry")

// transportParameters name services that deliver, the name before the colon.
var transportParameters = []string{
	"default_transport", "relay_transport", "local_transport", "virtual_transport", "mailbox_transport", "fallback_transport", "content_filter",
}

// transportChecks are about services that master.cf lacks. Which ones there should be is the administrator's choice: no repair.
var transportChecks = []Check{
	{
		ID: "service-missing", Area: "configuration", Bad: Broken, Gate: true, Title: "master.cf lacks a service that is needed",
		Why: "what asks for it waits, and mail is deferred or stays where it is (master(5))",
		Do:  `put its line back; "postconf -M" shows those that there are, /usr/share/postfix/master.cf.dist has Debian's`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			all := i.services()
			has := func(name string) bool {
				return slices.ContainsFunc(all, func(s server) bool { return s.Name == name && s.Type != "inet" })
			}
			if len(all) == 0 {
				return
			}
			for _, name := range basic {
				if !has(name) {
					found(Seen{File: i.masterCF(), What: "there is no service " + name})
				}
			}
			used := i.usedServices()
			for _, name := range slices.Sorted(maps.Keys(used)) {
				told := slices.ContainsFunc(i.Outdated, func(o Outdated) bool { return o.Setting == "no service "+name }) // with the line to add
				if by := used[name]; !has(name) && !told {
					found(Seen{File: by.file, Line: by.line, What: by.value + ": there is no service " + name})
				}
			}
		},
	},
	{
		ID: "service-twice", Area: "configuration", Bad: Advice, Title: "a service that master.cf lists twice",
		Why: "only the last line counts; the other one misleads whoever reads it (master(5))",
		Do:  "take out the one that is not meant",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			lines := map[[2]string]bool{}
			for _, s := range i.services() {
				if key := [2]string{s.Name, s.Type}; lines[key] {
					found(Seen{File: i.masterCF(), Line: s.Line, What: s.Name + " " + s.Type + " stands above as well"})
				} else {
					lines[key] = true
				}
			}
		},
	},
	{
		ID: "service-verbose", Area: "configuration", Bad: Advice, Title: "a service logs everything",
		Why: "-v is for looking for a fault; it fills the journal, and shows there what clients say (DEBUG_README)",
		Do:  "take -v out of the line when that is over",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, s := range i.services() {
				for n, arg := range s.Args {
					if !strings.HasPrefix(arg, "-") {
						if n > 0 && s.Args[n-1] == "-o" {
							continue
						}
						break
					}
					if strings.Trim(arg, "v") == "-" && arg != "-" {
						found(Seen{File: i.masterCF(), Line: s.Line, What: s.Name + " " + s.Type + " has " + arg})
						break
					}
				}
			}
		},
	},
}

// usedServices are those that settings name or need, each with one that does so.
func (i *Instance) usedServices() map[string]setting {
	used := map[string]setting{}
	for _, name := range transportParameters {
		if p := i.get(name, ""); p.known && p.line > 0 && p.value != "" {
			transport, _, _ := strings.Cut(p.value, ":")
			used[transport] = setting{name, p.file, p.line, true}
		}
	}
	if p := i.get("maillog_file", ""); p.value != "" {
		used["postlog"] = setting{"maillog_file", p.file, p.line, true}
	}
	for _, name := range []string{"smtpd_tls_security_level", "smtp_tls_security_level"} {
		if p := i.get(name, ""); p.value != "" && p.value != "none" {
			used["tlsmgr"] = setting{name, p.file, p.line, true}
		}
	}
	i.settings(func(parameter, value, file string, line int) {
		if strings.HasPrefix(parameter, "proxy_") || parameter == "local_recipient_maps" {
			return
		}
		for _, word := range maincf.SplitList(value) {
			if strings.HasPrefix(word, "proxy:") {
				used["proxymap"] = setting{parameter, file, line, true}
			}
		}
	})
	return used
}
