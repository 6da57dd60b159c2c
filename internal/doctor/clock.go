package doctor

import "golang.org/x/sys/unix"

// clockSynchronised asks the kernel, as timedatectl(1) does: what keeps the clock right lets it know. It is not asked of whom: a container
// has the clock of its host.
func clockSynchronised() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err != nil || state != timeError && t.Status&staUnsync == 0
}

// Of adjtimex(2).
const (
	timeError = 5
	staUnsync = 0x40
)

// clockChecks: who sets a clock can break more than mail, so there is no repair.
var clockChecks = []Check{
	{
		ID: "clock-unsynchronised", Area: "service", Bad: Advice, Title: "the clock is not kept right",
		Why: "mail with a date that is off looks like spam, and certificates and signatures seem to have ended (RFC 5322, 3.6.1)",
		Do:  `"systemctl status %s" and "timedatectl" say why`,
		Look: func(f *Facts, _ *Instance, found func(Seen)) {
			if f.TimeService != "" && !f.Synchronised {
				found(Seen{What: "unit " + f.TimeService + " runs, and the kernel says that the clock is not synchronised", Do: f.TimeService})
			}
		},
	},
}

// TimeServices are the units that keep a clock right, of Debian's packages.
var TimeServices = []string{"systemd-timesyncd.service", "chrony.service", "ntpsec.service", "ntp.service", "openntpd.service"}
