package doctor

import (
	"strconv"
	"strings"

	"postfix-maint/internal/pattern"
)

var configChecks = []Check{
	{
		// No repair for this and the next two: what was meant only people know.
		ID: "main-unreadable", Area: "configuration", Bad: Broken, Gate: true, Title: "main.cf cannot be understood",
		Why: "every program of Postfix ends when it reads it (postconf(5))",
		Do:  "put right the line that is named",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.MainErr != "" {
				found(Seen{File: i.mainCF(), Line: lineIn(i.MainErr), What: i.MainErr})
			}
		},
	},
	{
		ID: "master-unreadable", Area: "configuration", Bad: Broken, Gate: true, Title: "master.cf cannot be understood",
		Why: "master(8) ends when it reads it (master(5))",
		Do:  "put right the line that is named",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.MasterErr != "" {
				found(Seen{File: i.masterCF(), Line: lineIn(i.MasterErr), What: i.MasterErr})
			}
		},
	},
	{
		ID: "postfix-refuses", Area: "configuration", Bad: Broken, Gate: true, Title: "Postfix refuses the configuration",
		Why: "its programs end with this message, so nothing starts",
		Do:  "put right the setting that is named",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			told := i.NoOrigin != "" && strings.Contains(i.Refused, i.NoOrigin)
			if i.Refused != "" && i.MainErr == "" && i.MasterErr == "" && !told {
				found(Seen{File: i.mainCF(), Line: i.lineOfMessage(i.Refused), What: i.Refused})
			}
		},
	},
	{
		// No repair: is it a slip, or meant for a program that is to come?
		ID: "parameter-unused", Area: "configuration", Bad: Advice, Title: "a setting that nothing uses",
		Why:  "a misspelt name does nothing, and the default stays in force (postconf(1))",
		Do:   "correct the name, or take the line out",
		Look: warned(pattern.New(`^(?:[a-z]+:)?(/.*?)(?:, line \d+)?: unused parameter: ([^=]+)=`), "unused parameter "),
	},
	{
		// What has no effect goes; what is in force stays byte for byte.
		ID: "parameter-twice", Area: "configuration", Bad: Advice, Repair: ByID, Title: "a setting that is made twice",
		Why:  "only the last one counts; the other one misleads whoever reads it (postconf(5))",
		Do:   "take out the one that is not meant",
		Look: warned(pattern.New(`^(.*?), line \d+: overriding earlier entry: ([^=]+)=`), "overrides an earlier "),
	},
	{
		// Somebody may be at work on it.
		ID: "not-reloaded", Area: "configuration", Bad: Risk, Repair: ByID, Title: "main.cf was saved and not loaded",
		Why: "some daemons have read the new file and some the old one, until \"postfix reload\" (postfix(1))",
		Do:  `"systemctl reload %s"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			if i.Edited {
				found(Seen{File: i.mainCF(), What: "it is newer than the running qmgr(8)", Do: i.Unit, Fix: unit(Reload, i.Unit)})
			}
		},
	},
	{
		// An owner or an access control list is somebody's wish; of the mode as well only its owner knows.
		ID: "writable-by-others", Area: "configuration", Bad: Risk, Repair: ByID, Title: "others than root may write what steers root's programs",
		Why: "whoever may write it can have any command executed as root (postfix-script checks owners as well)",
		Do:  "%s",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, o := range i.Others {
				s := Seen{File: o.File, What: o.At, Do: o.Why}
				if o.Bits != 0 {
					s.Fix = []Act{{Deed: Mode, Path: o.At, Bits: o.Bits}}
				}
				found(s)
			}
		},
	},
	{
		// It is an administrator's text.
		ID: "outdated-setting", Area: "configuration", Bad: Advice, Repair: ByID, Title: "an outdated setting",
		Why: "postfix-maint check-config says it",
		Do:  "%s",
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, o := range i.Outdated {
				s := Seen{File: o.File, Line: o.Line, What: o.Setting + ": " + o.Reason, Do: "decide what to write instead"}
				if o.Offer != "" {
					s.Do = `"postfix-maint check-config --fix ` + o.Name + `" writes ` + o.Offer
					s.Fix = []Act{{Deed: Offer, Name: o.Name}}
				}
				found(s)
			}
		},
	},
	{
		// No repair: which name the host has people decide.
		ID: "name-not-full", Area: "configuration", Bad: Risk, Title: "myhostname is no full name",
		Why: "other mail servers refuse a greeting with such a name (RFC 5321, 4.1.1.1; smtpd's reject_non_fqdn_helo_hostname)",
		Do:  `give the host a full name and take the line out, or write the full name there`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			name, line := i.param("myhostname")
			if relay, _ := i.param("relayhost"); line == 0 || relay != "" || strings.Contains(strings.TrimSuffix(name, ".localdomain"), ".") {
				return
			}
			if to, _ := i.param("default_transport"); strings.HasPrefix(to, "error") { // nothing goes out
				return
			}
			found(Seen{File: i.mainCF(), Line: line, What: "myhostname = " + name})
		},
	},
}

// warned is a check of what postconf(1) warns of. Its words are never translated.
func warned(words *pattern.Pattern, what string) func(*Facts, *Instance, func(Seen)) {
	return func(_ *Facts, i *Instance, found func(Seen)) {
		for _, w := range i.Warnings {
			m := words.Regexp().FindStringSubmatch(w)
			if m == nil {
				continue
			}
			s := Seen{File: m[1], Line: lineIn(w), What: what + m[2]}
			if s.Line == 0 && i.Main != nil && m[1] == i.mainCF() {
				s.Line = i.Main.Line(m[2])
			}
			if s.File == i.mainCF() && i.Main != nil {
				s.Fix = []Act{{Deed: Once, Name: m[2]}}
			}
			found(s)
		}
	}
}

var lineNumber = pattern.New(`\bline (\d+)\b`)

// lineIn is the line that a message names, 0 if it names none.
func lineIn(message string) int {
	m := lineNumber.Regexp().FindStringSubmatch(message)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

var names = pattern.New(`[A-Za-z0-9_]{4,}`)

// lineOfMessage is the line that a message of Postfix's names, or that of the first parameter in it that main.cf sets.
func (i *Instance) lineOfMessage(message string) int {
	if n := lineIn(message); n > 0 || i.Main == nil {
		return n
	}
	for _, w := range names.Regexp().FindAllString(message, -1) {
		if n := i.Main.Line(w); n > 0 {
			return n
		}
	}
	return 0
}
