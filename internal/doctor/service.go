package doctor

import (
	"slices"
	"strings"
)

var serviceChecks = []Check{
	{
		// What ended it may still be there; the look afterwards tells.
		ID: "unit-failed", Area: "service", Bad: Broken, Repair: ByID, Title: "the unit has failed",
		Why: "mail of this instance is neither taken nor sent until it is started (systemd.service(5))",
		Do:  `"systemctl status %s" and "journalctl -u %s" say why; then "systemctl restart %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Active == "failed" {
				found(Seen{What: "unit " + i.Unit + " is failed", Do: i.Unit, Fix: unit(Restart, i.Unit)})
			}
		},
	},
	{
		// No repair: somebody masked it.
		ID: "unit-masked", Area: "service", Bad: Broken, Title: "the unit is masked",
		Why: "nothing can start it, not at boot either (systemctl(1), mask), though multi_instance_enable allows the instance",
		Do:  `"systemctl unmask %s", or disable the instance`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Load == "masked" && i.Enabled {
				found(Seen{What: "unit " + i.Unit + " is masked", Do: i.Unit})
			}
		},
	},
	{
		// Somebody may have stopped it.
		ID: "not-running", Area: "service", Bad: Broken, Repair: ByID, Title: "the instance does not run",
		Why: "mail that programs of this host send waits, and mail from elsewhere is refused",
		Do:  `"systemctl start %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Active == "inactive" && i.Load != "masked" && i.Enabled && i.Master0 == 0 {
				found(Seen{What: "unit " + i.Unit + " is stopped", Do: i.Unit, Fix: unit(Start, i.Unit)})
			}
		},
	},
	{
		// No repair: it would take two steps, and between them no mail is taken.
		ID: "outside-unit", Area: "service", Bad: Risk, Title: "Postfix runs outside its unit",
		Why: "systemd neither restarts it when it dies nor stops it at shutdown, and its limits and sandbox do not hold (systemd.exec(5))",
		Do:  `"postfix -c DIR stop" with its directory, then "systemctl start %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Load != "" && i.Master0 > 0 && !i.OwnUnit {
				found(Seen{What: "its master(8) is no process of " + i.Unit, Do: i.Unit})
			}
		},
	},
	{
		// No repair: which of the two is meant people know.
		ID: "port-taken", Area: "service", Bad: Broken, Title: "another program has the address",
		Why: "master(8) ends, or does without the service, if it cannot listen; mail goes to the other program",
		Do:  "stop and disable that program, or give one of the two another address (inet_interfaces, master.cf)",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, t := range i.Taken {
				found(Seen{File: i.masterCF(), Line: i.serviceLine(t), What: t})
			}
		},
	},
	{
		ID: "not-listening", Area: "service", Bad: Broken, Repair: ByID, Title: "nobody listens where the configuration says",
		Why: "inet_interfaces and the services of master.cf are read by a restart only (postconf(5), inet_interfaces)",
		Do:  `"systemctl restart %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, m := range i.Missing {
				taken := slices.ContainsFunc(i.Taken, func(t string) bool { return strings.HasPrefix(t, m+" by ") })
				if !taken && i.Master0 > 0 {
					found(Seen{File: i.masterCF(), Line: i.serviceLine(m), What: "not on " + m, Do: i.Unit, Fix: unit(Restart, i.Unit)})
				}
			}
		},
	},
	{
		// systemd reads those of all services then.
		ID: "units-changed", Area: "service", Bad: Advice, Repair: ByID, Title: "systemd has not read the changed unit",
		Why: "what was changed in the unit, or in its drop-ins, is not in force (systemctl(1), daemon-reload)",
		Do:  `"systemctl daemon-reload"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.NeedReload && i.Load != "masked" { // a mask is another file, too
				found(Seen{What: "unit " + i.Unit + " changed on disk", Fix: unit(Reread, "")})
			}
		},
	},
	{
		// No repair for this and the next: nothing here says what was meant.
		ID: "instance-unusable", Area: "service", Bad: Broken, Gate: true, Title: "an instance that cannot be used",
		Why: "nothing starts it, and no mail goes through it (multi_instance_directories in postconf(5))",
		Do:  "put right what is named, or take it out of multi_instance_directories",
		Look: func(f *Facts, i *Instance, found func(Seen)) {
			for _, text := range f.Unusable {
				found(Seen{File: f.Instances[0].mainCF(), Line: f.Instances[0].lineOf("multi_instance_directories"), What: text})
			}
		},
	},
	{
		ID: "instance-conflict", Area: "service", Bad: Broken, Gate: true, Title: "two instances are in each other's way",
		Why: "only one of them can listen on an address and port, or own a directory (MULTI_INSTANCE_README)",
		Do:  "give one of them another address or directory",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, c := range i.Conflicts {
				found(Seen{File: i.mainCF(), What: c})
			}
		},
	},
}

// serviceLine is the line in master.cf of the service that listens on a port; 0 where that is not clear.
func (i *Instance) serviceLine(address string) int {
	if i.Master == nil {
		return 0
	}
	address, _, _ = strings.Cut(address, " ")
	port := address[strings.LastIndexByte(address, ':')+1:]
	names := map[string][]string{"25": {"smtp"}, "465": {"smtps", "submissions"}, "587": {"submission"}}[port]
	line := 0
	for _, s := range i.Master.Services() {
		name := s.Name[strings.LastIndexByte(s.Name, ':')+1:]
		if s.Type != "inet" || name != port && !slices.Contains(names, name) {
			continue
		}
		if line > 0 {
			return 0
		}
		line = s.Line
	}
	return line
}
