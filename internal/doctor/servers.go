package doctor

import (
	"net/netip"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// setting is a parameter's value as one program has it, and what says so.
type setting struct {
	value, file string
	line        int  // 0 for Postfix's default
	known       bool // it could be worked out
}

// yes tells whether a boolean is on.
func (s setting) yes() bool { return s.known && strings.EqualFold(s.value, "yes") }

// get is a parameter as main.cf has it; unset is Postfix's default.
func (i *Instance) get(name, unset string) setting {
	if _, set := i.Main.Get(name); !set {
		return setting{value: unset, file: i.mainCF(), known: true}
	}
	v, err := instance.Value(i.Main, i.ConfigDir, name)
	return setting{strings.TrimSpace(v), i.mainCF(), i.Main.Line(name), err == nil}
}

// server is a service of master.cf.
type server struct {
	mastercf.Service
	i *Instance
}

// get is a parameter as the service has it.
func (s server) get(name, unset string) setting {
	raw, set := s.Option(name)
	if !set {
		return s.i.get(name, unset)
	}
	v, err := instance.Expand(s.i.Main, s.i.ConfigDir, raw)
	return setting{strings.TrimSpace(v), s.i.masterCF(), s.Line, err == nil}
}

// services are those of master.cf that are not disabled, none where one of the files could not be read.
func (i *Instance) services() (list []server) {
	if i.Main == nil || i.Master == nil {
		return nil
	}
	disabled := maincf.SplitList(i.get("master_service_disable", "").value)
	for _, s := range i.Master.Services() {
		if !slices.ContainsFunc(disabled, func(d string) bool { return d == s.Type || d == s.Name+"."+s.Type || d == s.Name+"/"+s.Type }) {
			list = append(list, server{s, i})
		}
	}
	return list
}

// smtpServers are the services by which smtpd(8) takes mail from other hosts, itself or behind postscreen(8).
func (i *Instance) smtpServers() (list []server) {
	all := i.services()
	behind := slices.ContainsFunc(all, func(s server) bool { return s.Type == "inet" && s.Command == "postscreen" })
	for _, s := range all {
		if s.Command == "smtpd" && (s.Type == "inet" || s.Type == "pass" && behind) {
			list = append(list, s)
		}
	}
	return list
}

// port is the number of the port that a service listens on, "" where that is not clear.
func (s server) port() string {
	name := s.Name[strings.LastIndexByte(s.Name, ':')+1:]
	if s.Type == "pass" {
		return "25"
	}
	if n, known := map[string]string{"smtp": "25", "submission": "587", "smtps": "465", "submissions": "465", "urd": "465"}[name]; known {
		return n
	}
	return name
}

// private tells whether a service is reached from this host alone.
func (s server) private() bool {
	list := []string{}
	if at := strings.LastIndexByte(s.Name, ':'); at > 0 && s.Type == "inet" {
		list = append(list, strings.Trim(s.Name[:at], "[]"))
	} else {
		list = maincf.SplitList(s.get("inet_interfaces", "all").value)
	}
	for _, name := range list {
		addr, err := netip.ParseAddr(strings.Trim(name, "[]"))
		if name != "loopback-only" && name != "localhost" && (err != nil || !addr.IsLoopback()) {
			return false
		}
	}
	return true
}
