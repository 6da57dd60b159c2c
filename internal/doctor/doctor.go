// Package doctor (ring: flow) finds what is wrong with the mail system of a host: a table of checks, each of which looks at facts that were
// gathered before, and nothing else. It only reads; what a row says of how it is mended, Mender and the caller carry out.
//
// A new check is a row in one of the tables, and a case in the test; with a repair, a case in TestRepairs and a line of the scenario as well.
// No check may say anything of a fresh, healthy host: an alarm that is none is a fault. Of failures.md there is no row for what a running
// host does not show, or shows only when mail is sent.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/sysroot/transaction"
)

// Severity is how bad a finding is.
type Severity string

// The severities: mail does not flow, or will not after the next start; something may be lost or misused; something could be better.
const (
	Broken Severity = "broken"
	Risk   Severity = "risk"
	Advice Severity = "advice"
)

// Check is one row.
type Check struct {
	ID     string // stays what it is
	Area   string
	Bad    Severity
	Gate   bool   // it keeps the configuration on disk from starting, or from taking or sending mail
	Title  string // what is wrong, in a few words
	Why    string // why that matters, with the source
	Do     string // what to do; "%s" in it is Seen.Do
	Look   func(f *Facts, i *Instance, found func(Seen))
	Online bool // it needs the network
	// Repair is the consent that Seen.Fix needs; where there is none, the row says why.
	Repair Consent
}

// Seen is one place where a check found something.
type Seen struct {
	File string
	Line int // 0 where there is none
	What string
	Do   string // for "%s" in Check.Do
	Fix  []Act  // what mends it; none where nothing does, or nothing here
}

// Finding is what a check found, with all that is to be said of it.
type Finding struct {
	ID       string   `json:"id"`
	Area     string   `json:"area"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Instance string   `json:"instance"` // "" for the host
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Seen     string   `json:"seen"`
	Why      string   `json:"why"`
	Do       string   `json:"do"`
	Fixable  bool     `json:"fixable"`
	Consent  Consent  `json:"fixable_by,omitempty"` // what the repair needs
	Fixed    bool     `json:"fixed"`
	fix      []Act
}

// Place is the file and line.
func (f Finding) Place() string {
	switch {
	case f.File == "":
		return ""
	case f.Line == 0:
		return f.File
	}
	return fmt.Sprintf("%s:%d", f.File, f.Line)
}

// Report is what came of all checks.
type Report struct {
	Findings  []Finding `json:"findings"`
	Checks    int       `json:"checks"`
	Instances int       `json:"instances"`
	Unseen    []string  `json:"not_seen"` // what could not be looked at
	// Repairs are the steps that were taken, or would be.
	Repairs []transaction.Change `json:"repairs,omitempty"`
}

// Checks are all rows.
func Checks() []Check {
	return slices.Concat(serviceChecks, journalChecks, clockChecks, configChecks, settingChecks, transportChecks, tableChecks, typeChecks, ignoredChecks, aliasChecks,
		chrootChecks, relayChecks, trustChecks, tlsChecks, queueChecks, waitingChecks, layerChecks, dropinChecks, onlineChecks)
}

// Run goes through the table; with gate only through the rows for that.
func Run(f *Facts, gate bool) Report {
	r := Report{Findings: []Finding{}, Instances: len(f.Instances), Unseen: append([]string{}, f.Unseen...)}
	for _, c := range Checks() {
		if gate && !c.Gate || c.Online && !f.Online {
			continue
		}
		r.Checks++
		for n := range f.Instances {
			c.Look(f, &f.Instances[n], func(s Seen) { r.add(c, &f.Instances[n], s) })
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return r
}

// add notes a finding; what several instances share, such as a file of the host, is told once.
func (r *Report) add(c Check, i *Instance, s Seen) {
	f := Finding{
		ID: c.ID, Area: c.Area, Severity: c.Bad, Title: c.Title, Instance: i.Name, File: s.File, Line: s.Line, Seen: s.What, Why: c.Why,
		Do: strings.ReplaceAll(c.Do, "%s", s.Do),
	}
	if c.Repair != NoRepair && len(s.Fix) > 0 {
		f.Fixable, f.Consent, f.fix = true, c.Repair, slices.Clone(s.Fix)
		for n := range f.fix {
			f.fix[n].Dir = i.ConfigDir
		}
	}
	same := func(o Finding) bool {
		return o.ID == f.ID && o.Place() == f.Place() && o.Seen == f.Seen && o.Do == f.Do
	}
	if !slices.ContainsFunc(r.Findings, same) {
		r.Findings = append(r.Findings, f)
	}
}

func rank(s Severity) int { return slices.Index([]Severity{Broken, Risk, Advice}, s) }
