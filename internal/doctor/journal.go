package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/pattern"
	"postfix-maint/internal/procs"
)

// Fatal is what a daemon ended with, as often as it did.
type Fatal struct {
	Program, Text string
	Last          time.Time
	Times         int
}

// How much of the journal is read, and how many different ends are told.
const (
	journalLines = 200
	journalMost  = 3
)

// entry is a line of the journal (systemd.journal-fields(7)). What begins with _ the journal itself has found out about the sender.
type entry struct {
	Message    any    `json:"MESSAGE"`
	Identifier string `json:"SYSLOG_IDENTIFIER"`
	UID        string `json:"_UID"`
	Unit       string `json:"_SYSTEMD_UNIT"`
	Program    string `json:"_EXE"`
	Micros     string `json:"__REALTIME_TIMESTAMP"`
}

// journal reads what daemons of an instance ended with since its last start or reload. The journal is asked by what only it can write, the
// account and the unit of the sender, and a line counts only if Postfix's own programs sent it: users' programs run in this unit as well,
// and can call themselves what they like. What Postfix writes into a file of its own (maillog_file) is not read.
func (h Host) journal(ctx context.Context, f *Facts, i *Instance) {
	since := h.lastLoad(i)
	if i.Load == "" || since.IsZero() {
		return
	}
	args := []string{"--quiet", "--no-pager", "--output=json", "--reverse", "--lines=" + strconv.Itoa(journalLines), "--priority=crit",
		"--output-fields=MESSAGE,SYSLOG_IDENTIFIER,_UID,_SYSTEMD_UNIT,_EXE",
		"--since=@" + strconv.FormatInt(since.Unix(), 10), "_SYSTEMD_UNIT=" + i.Unit}
	accounts := []string{"0"}
	owner := "postfix"
	if i.Main != nil {
		owner = i.get("mail_owner", owner).value
	}
	if uid, known := h.account(owner); known {
		accounts = append(accounts, strconv.Itoa(uid))
	}
	for _, uid := range accounts {
		args = append(args, "_UID="+uid)
	}
	out, err := h.output(ctx, paths.Journalctl, args...)
	if err != nil { // no journal, or none that may be read
		if ctx.Err() != nil {
			f.Unseen = append(f.Unseen, "the journal: "+err.Error())
		}
		return
	}
	for line := range strings.Lines(string(out)) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil && e.Unit == i.Unit && slices.Contains(accounts, e.UID) {
			i.note(e, since)
		}
	}
}

// note takes a line of the journal in, newest first.
func (i *Instance) note(e entry, since time.Time) {
	text, plain := e.Message.(string) // what is no text is a list of bytes
	micros, err := strconv.ParseInt(e.Micros, 10, 64)
	at := time.UnixMicro(micros)
	ours := strings.HasPrefix(e.Program, paths.DaemonDir+"/") || e.Program == paths.Postlog
	if !plain || err != nil || !ours || at.Before(since) || !strings.HasPrefix(text, "fatal: ") && !strings.HasPrefix(text, "panic: ") {
		return
	}
	name := e.Identifier[strings.LastIndexByte(e.Identifier, '/')+1:]
	text = string(maincf.Mask([]byte(strings.ReplaceAll(text, "\n", " "))))
	if len(text) > 300 {
		text = text[:300] + "..."
	}
	same := func(o Fatal) bool { return o.Program == name && o.Text == text }
	switch n := slices.IndexFunc(i.Fatal, same); {
	case n >= 0:
		i.Fatal[n].Times++
	case len(i.Fatal) < journalMost:
		i.Fatal = append(i.Fatal, Fatal{name, text, at, 1})
	}
}

// lastLoad is when the instance took its configuration: a reload starts another qmgr(8).
func (h Host) lastLoad(i *Instance) time.Time {
	at := i.Started
	for _, child := range procs.Children(i.Master0) {
		if program, err := procs.Program(child); i.Master0 > 0 && err == nil && strings.HasSuffix(program, "/qmgr") {
			if begun := procs.Started(child); begun.After(at) {
				at = begun
			}
		}
	}
	return at
}

// endings tell what to do about what daemons end with.
var endings = []struct {
	words *pattern.Pattern
	do    string
}{
	{pattern.New(`(?i)address already in use`), "stop the program that has the address, or give Postfix another one (inet_interfaces, master.cf)"},
	{pattern.New(`no SASL authentication mechanisms`), `start what checks passwords (saslauthd, Dovecot), or install libsasl2-modules; "postfix-maint chroot check" says more`},
	{pattern.New(`unsupported dictionary type|is not available`), "install the package of that map type, postfix-TYPE, or name another type"},
	{pattern.New(`open (?:database|dictionary).*No such file|open lock file .*\.db`), "make the file, then its index with postmap(1) or newaliases(1)"},
	{pattern.New(`at least one working instance of`), "end smtpd_relay_restrictions with defer_unauth_destination"},
	{pattern.New(`mailbox_size_limit|virtual_mailbox_limit|smaller than message_size_limit`), "raise that limit above message_size_limit"},
	{pattern.New(`unable to set exclusive lock|already running`), `another Postfix uses the same queue: "postfix -c DIR stop" ends it`},
	{pattern.New(`bad (?:numerical|boolean|string|time)|parameter .*: |unknown (?:user|group)|invalid TLS`), "put right the setting that is named"},
	{pattern.New(`(?i)permission denied`), `"postfix check" names what has a wrong owner or mode`},
	{pattern.New(`(?i)no space left|insufficient`), "make room where the queue is"},
	{pattern.New(`(?i)cannot allocate|out of memory|too many open files|resource temporarily`), "the host lacks memory or files for so many processes: lower default_process_limit, or raise the limits"},
	{pattern.New(`watchdog timeout|timeout`), "the process hung: look for what it waited for (a disk, a name server, another daemon)"},
	{pattern.New(`^panic: `), "this is a fault of the program: install the updates that there are, and report it"},
}

// journalChecks have no repair: what is wrong has one, where another row finds it.
var journalChecks = []Check{
	{
		ID: "daemon-ended", Area: "service", Bad: Risk, Title: "a daemon ended with an error",
		Why: "master(8) starts it again after a while, and its mail waits so long; since the last start or reload",
		Do:  `%s`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, e := range i.Fatal {
				what := fmt.Sprintf("%s, %s: %s", e.Program, e.Last.Format("2006-01-02 15:04:05"), e.Text)
				if e.Times > 1 {
					what += fmt.Sprintf(" (%d times)", e.Times)
				}
				do := "look at what stands around it"
				for _, known := range endings {
					if known.words.Regexp().MatchString(e.Text) {
						do = known.do
						break
					}
				}
				found(Seen{What: what, Do: do + `; "journalctl -u ` + i.Unit + `" has more`})
			}
		},
	},
}
