package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"postfix-maint/internal/queue"
)

// Style is how a report is put on a screen.
type Style struct {
	Width  int
	Lines  int // of instances, where there are too many for a paragraph each
	Colour bool
}

// tone is what a line is about to say.
type tone string

// Colours of ECMA-48 (console_codes(4)).
const (
	usual tone = ""
	title tone = "1"
	fine  tone = "32"
	wary  tone = "33"
	bad   tone = "31"
)

// few are as many instances as get a paragraph each.
const few = 3

const day = 24 * time.Hour

// soon is how long before its end a certificate is worth a warning.
const soon = 14 * day

// page is a screen in the making.
type page struct {
	Style
	now  time.Time
	text strings.Builder
}

// Text is a report for people. Nothing is in it but printable characters and the colours, if there are any.
func (r Report) Text(s Style) string {
	p := &page{Style: s, now: r.Time}
	p.row("", headline(r), title)
	if r.Update != "" {
		p.row("update", "apt would install postfix "+r.Update, wary)
	}
	if !r.Changed.IsZero() {
		p.row("changed", "answers of the packages' questions last applied "+p.when(r.Changed), usual)
	}
	if len(r.Instances) > few {
		p.table(r.Instances)
	} else {
		for _, i := range r.Instances {
			p.instance(i)
		}
	}
	if len(r.Instances) == 0 {
		p.row("", "there is no instance of Postfix that can be read", bad)
	}
	if len(r.Problems)+len(r.Unseen) > 0 {
		p.text.WriteByte('\n')
	}
	for _, text := range r.Problems {
		p.row("problem", text, bad)
	}
	if len(r.Unseen) > 0 {
		p.row("unseen", strings.Join(r.Unseen, "; "), usual)
	}
	return p.text.String()
}

func headline(r Report) string {
	text := "Postfix is not installed as a package"
	if r.Postfix != "" {
		text = "Postfix " + r.Postfix
	}
	if r.Host != "" {
		text += " on " + r.Host
	}
	if r.Layer == "" && r.Postfix != "" {
		text += ", with Debian's own layer"
	}
	text += "; postfix-maint " + r.Program
	return text
}

// instance is one instance's paragraph.
func (p *page) instance(i Instance) {
	p.text.WriteByte('\n')
	name := "instance " + i.Name
	if i.Name == "-" {
		name = "primary instance"
	}
	p.row("", strings.TrimSuffix(name+", unit "+i.Unit, ", unit "), title)
	p.row("state", p.state(i), stateTone(i))
	text, t := p.listens(i)
	p.row("listens", text, t)
	text, t = p.tls(i.TLS)
	p.row("TLS", text, t)
	p.row("relay", relay(i), usual)
	text, t = chrootText(i.Chroot)
	p.row("chroot", text, t)
	text, t = p.mail(i.Queue)
	p.row("mail", text, t)
	if q := i.Queue; q.Reason != "" {
		p.row("why", fmt.Sprintf("most often: %s (%d of %d)", q.Reason, q.Reasons, q.Deferrals), usual)
	}
	for _, text := range i.Problems {
		p.row("problem", text, bad)
	}
}

// table has a line for each instance; those that have something to tell first if there are too many.
func (p *page) table(all []Instance) {
	p.text.WriteByte('\n')
	shown := all
	if p.Lines > 0 && len(all) > p.Lines {
		dull := func(i Instance) bool { return !p.worth(i) }
		shown = slices.Concat(slices.DeleteFunc(slices.Clone(all), dull), slices.DeleteFunc(slices.Clone(all), p.worth))[:p.Lines]
	}
	p.columns("INSTANCE", "STATE", "SINCE", "MAIL", "CHROOT", "LISTENS", title)
	for _, i := range shown {
		p.short(i)
	}
	if n := len(all) - len(shown); n > 0 {
		p.row("", fmt.Sprintf("and %d more; \"postfix-maint status INSTANCE\" and --json show each", n), usual)
	}
}

// short is an instance in one line.
func (p *page) short(i Instance) {
	since := ""
	if !i.Since.IsZero() {
		since = span(p.now.Sub(i.Since))
	}
	mail := fmt.Sprint(i.Queue.Total())
	if i.Queue.Partly {
		mail += "+"
	}
	listens := strings.Join(i.Listening, " ")
	if len(i.Missing) > 0 {
		listens = "not: " + strings.Join(i.Missing, " ")
	}
	t := usual
	if p.worth(i) {
		t = wary
	}
	if stateTone(i) == bad || len(i.Problems)+len(i.Missing) > 0 {
		t = bad
	}
	p.columns(i.Name, word(i.State), since, mail, i.Chroot.State, cmp.Or(listens, "-"), t)
}

// worth tells whether an instance has anything to tell but that it runs.
func (p *page) worth(i Instance) bool {
	t, _ := p.listens(i)
	return stateTone(i) != fine || len(i.Problems)+len(i.Missing)+len(i.Extra) > 0 || i.Chroot.State == "stale" || i.Queue.Total() > 0 || t == ""
}

func (p *page) columns(name, state, since, mail, chroot, listens string, t tone) {
	line := fmt.Sprintf("%s %s %s %s %s ", pad(name, 20), pad(state, 9), pad(since, 8), pad(mail, 8), pad(chroot, 7))
	p.line(line+clip(plainText(listens), p.Width-utf8.RuneCountInString(line)), t)
}

func pad(text string, width int) string {
	text = clip(plainText(text), width)
	return text + strings.Repeat(" ", width-utf8.RuneCountInString(text))
}

// clip cuts text to a width, and shows that.
func clip(text string, width int) string {
	runes := []rune(text)
	if len(runes) <= width {
		return text
	}
	return string(runes[:width-1]) + "+"
}

func word(state string) string {
	words := map[string]string{"active": "running", "reloading": "running", "inactive": "stopped", "activating": "starting", "deactivating": "stopping"}
	return cmp.Or(words[state], state)
}

func (p *page) state(i Instance) string {
	text := word(i.State)
	if !i.Since.IsZero() {
		text += " since " + p.when(i.Since)
	}
	if !i.Enabled {
		text += ", not enabled"
	}
	return text
}

func stateTone(i Instance) tone {
	switch word(i.State) {
	case "running":
		return fine
	case "stopped":
		if !i.Enabled {
			return usual
		}
	case "starting", "stopping":
		return wary
	case "unknown":
		return usual
	}
	return bad
}

// when is a moment, and how long ago that was.
func (p *page) when(t time.Time) string {
	return fmt.Sprintf("%s (%s ago)", t.Format("2006-01-02 15:04"), span(p.now.Sub(t)))
}

// span is a length of time in its largest unit.
func span(d time.Duration) string {
	d = max(d, 0)
	for _, unit := range []struct {
		least, size time.Duration
		name        string
	}{{2 * day, day, "days"}, {2 * time.Hour, time.Hour, "h"}, {2 * time.Minute, time.Minute, "min"}} {
		if d >= unit.least {
			return fmt.Sprintf("%d %s", d/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%d s", d/time.Second)
}

func (p *page) listens(i Instance) (string, tone) {
	if len(i.Expected) == 0 && len(i.Extra) == 0 {
		return "nowhere, as configured", usual
	}
	parts, t := []string{}, usual
	if len(i.Listening) > 0 {
		parts = append(parts, strings.Join(i.Listening, " "))
	}
	if len(i.Missing) > 0 {
		parts, t = append(parts, "not on "+strings.Join(i.Missing, " ")), bad
	}
	if len(i.Taken) > 0 {
		parts = append(parts, "taken: "+strings.Join(i.Taken, ", "))
	}
	if len(i.Extra) > 0 {
		parts, t = append(parts, "also on "+strings.Join(i.Extra, " ")+", which the configuration does not say"), cmp.Or(t, wary)
	}
	if len(parts) == 0 {
		return "should on " + strings.Join(i.Expected, " "), usual
	}
	return strings.Join(parts, "; "), t
}

func (p *page) tls(t TLS) (string, tone) {
	switch {
	case t.Level == "":
		return "not offered to clients", usual
	case t.Ends.IsZero() && t.File != "":
		return t.Level + "; its certificate you may not read: " + t.File, usual
	case t.Ends.IsZero():
		return t.Level + ", no certificate", usual
	}
	left := t.Ends.Sub(p.now)
	on := t.Ends.Format("2006-01-02")
	switch {
	case left <= 0:
		return fmt.Sprintf("%s; certificate ended on %s: %s", t.Level, on, t.File), bad
	case left < soon:
		return fmt.Sprintf("%s; certificate ends on %s, in %s: %s", t.Level, on, span(left), t.File), wary
	}
	return fmt.Sprintf("%s; certificate ends on %s", t.Level, on), usual
}

func relay(i Instance) string {
	text := "none: mail goes to its destinations directly"
	if i.Relay.Host != "" {
		text = i.Relay.Host + ", TLS " + cmp.Or(i.Relay.TLS, "none")
	}
	switch {
	case i.Relay.Host == "":
	case i.Provider != "":
		text = i.Provider + ", logs in by OAuth 2.0 as " + i.Account
	case i.Relay.Login && i.Account != "":
		text += ", logs in as " + i.Account
	case i.Relay.Login:
		text += ", logs in"
	}
	if i.Relay.BySender {
		text += `; senders with relays of their own: "smarthost list"`
	}
	return text
}

func chrootText(c Chroot) (string, tone) {
	switch c.State {
	case "off":
		return "off", usual
	case "stale":
		return fmt.Sprintf("on for %d of %d services, stale: the next start updates %d files", c.Services, c.Of, c.Stale), wary
	case "current":
		return fmt.Sprintf("on for %d of %d services, current", c.Services, c.Of), usual
	}
	return fmt.Sprintf("on for %d of %d services, state unknown", c.Services, c.Of), usual
}

func (p *page) mail(q Queue) (string, tone) {
	if q.Unseen {
		return "cannot be seen", usual
	}
	var parts []string
	t := usual
	for _, name := range queue.Dirs {
		if n := *q.Of(name); n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", name, n))
		}
	}
	if q.Corrupt > 0 {
		t = wary
	}
	text := cmp.Or(strings.Join(parts, ", "), "none waits")
	if q.Partly {
		text = "at least: " + text
	}
	if !q.Oldest.IsZero() {
		sample := ""
		if q.Partly || q.Looked < q.Total()-q.Corrupt {
			sample = fmt.Sprintf(" of a sample of %d", q.Looked)
		}
		text += fmt.Sprintf("; the oldest%s: %s", sample, span(p.now.Sub(q.Oldest)))
	}
	return text, t
}

// indent is where the text of a row begins.
const indent = 11

// row writes a label and text, wrapped; text without a label begins at the margin.
func (p *page) row(label, text string, t tone) {
	lead, next := "", "  "
	if label != "" {
		lead, next = fmt.Sprintf("  %-*s", indent-2, label), strings.Repeat(" ", indent)
	}
	for n, line := range wrap(plainText(text), p.Width-len(next)) {
		if n == 1 {
			lead = next
		}
		p.text.WriteString(lead)
		p.line(line, t)
	}
}

// line ends a line in its colour.
func (p *page) line(text string, t tone) {
	text = strings.TrimRight(text, " ")
	if p.Colour && t != usual {
		text = "\x1b[" + string(t) + "m" + text + "\x1b[0m"
	}
	p.text.WriteString(text + "\n")
}

// wrap breaks text at blanks, and a word that is too long anywhere.
func wrap(text string, width int) (lines []string) {
	width = max(width, 10)
	var line []rune
	for _, w := range strings.Fields(text) {
		word := []rune(w)
		if len(line) > 0 && len(line)+1+len(word) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		for line = append(line, word...); len(line) > width; line = line[width:] {
			lines = append(lines, string(line[:width]))
		}
	}
	return append(lines, string(line))
}

// plainText is text with what is not printable replaced.
func plainText(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
