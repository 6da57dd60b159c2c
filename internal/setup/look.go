package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/merge"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// host is what a plan is made from, read once.
type host struct {
	main     *maincf.File // nil: no main.cf
	broken   bool         // there is one, and it can't be read or understood
	live     map[answers.Question]string
	state    *State
	base     map[answers.Question]string // of the merge
	mailname string                      // first line of /etc/mailname
	nameLost bool                        // /etc/mailname is there, and can't be read
	alias    *aliases.File
	aliasOld []byte
	unread   bool   // the alias file is there, and can't be read or understood
	sync     string // "true" if the queue is updated synchronously

	after         *maincf.File // main.cf as it will be, nil if there will be none
	mailnameAfter string
	aliasesAfter  *aliases.File
	protos        map[string]string
	seen          map[string]*sysroot.Seen // what the plan was worked out from, by path
	release       release
}

// look reads the host and settles which answers are in force in this run.
func (p *Plan) look(ctx context.Context) error {
	root := p.d.Root
	var err error
	if p.h.main, err = readMainCF(root); errors.As(err, new(*brokenError)) {
		p.h.broken, p.Held = true, true
		p.warn("%v; the configuration is left alone", err)
	} else if err != nil {
		return err
	}
	p.saw(paths.MainCF, p.h.main == nil, mainBytes(p.h.main))
	p.remember()
	if name, err := root.See(paths.Mailname); err != nil {
		p.h.nameLost = true
		p.warn("cannot read %q: %v; it is left alone", paths.Mailname, err)
	} else {
		p.h.mailname = first(name.Data)
		p.saw(paths.Mailname, name.Missing, name.Data)
	}
	if p.h.alias, p.h.aliasOld, err = readAliases(root, aliasPath(p.h.main)); err != nil {
		p.h.unread = true
		p.warn("%v; the aliases are left alone", err)
	}
	p.saw(aliasPath(p.h.main), p.h.alias == nil, p.h.aliasOld)
	p.h.release = releaseOf(p.req.Package)
	p.h.protos = map[string]string{}
	p.h.sync = liveSync(root, placeOf(p.h.main, "queue_directory", paths.QueueDir))
	if p.h.main != nil {
		p.h.live = liveAnswers(p.h.main, p.h.mailname, p.h.alias, p.h.sync)
		if err := p.addRelayLive(); err != nil {
			return err
		}
		p.sayRenamed()
	}
	p.former = map[string]string{}
	switch {
	case p.resumed:
		maps.Copy(p.former, p.journal.Former)
	case p.h.state != nil:
		maps.Copy(p.former, p.h.state.Former)
	}
	p.h.after, p.h.mailnameAfter, p.h.aliasesAfter = p.h.main, p.h.mailname, p.h.alias
	given := p.intent()
	p.h.base = p.h.state.BaseOf(given)
	return p.settle(ctx, given)
}

// saw notes a file as the plan goes by it: what somebody writes into it from then on, while programs are asked, is an edit as well.
func (p *Plan) saw(path string, missing bool, data []byte) {
	if p.h.seen == nil {
		p.h.seen = map[string]*sysroot.Seen{}
	}
	p.h.seen[path] = &sysroot.Seen{Missing: missing, Data: data}
}

func mainBytes(f *maincf.File) []byte {
	if f == nil {
		return nil
	}
	return f.Bytes()
}

// remember reads what earlier runs noted.
func (p *Plan) remember() {
	state, damaged := LoadState(p.d.Root, p.req.Old)
	p.h.state = state
	p.setAside(damaged...)
	j, resumed, bad := loadJournal(p.d.Root)
	p.journal, p.resumed = j, resumed
	if bad != nil {
		p.setAside(bad)
	}
}

// intent chooses the answers: those in the database, or when dpkg takes an interrupted run up again those that it noted. An
// intent must not overwrite what somebody wrote into main.cf since; then it is dropped, and so are the answers that it came from.
func (p *Plan) intent() answers.Answers {
	given, now := p.req.Answers, mainSum(p.h.main)
	switch {
	case !p.resumed:
		p.journal = journal{Fresh: p.h.main == nil && !p.h.broken, Before: now, After: now, Answers: given}
	case !p.journal.wrote(now):
		p.dropped = true
		p.warn("%s was edited after a configuration was interrupted: it is left as it is; to change it run \"dpkg-reconfigure postfix\"", paths.MainCF)
		kept := answers.Answers{}
		for q, a := range given {
			kept[q] = answers.Answer{Value: a.Value}
		}
		return kept
	case p.journal.Upgrade: // it was to change no setting
	case !p.req.Reconfigure: // a person at dpkg-reconfigure has said something newer
		given = p.journal.Answers
	}
	p.written = p.journal.Relaying && !p.req.Reconfigure
	p.fresh = p.journal.Fresh && (p.written || !p.journal.Relaying || now == p.journal.After)
	p.upgrade = Upgrading(p.d.Root, p.req.Old, p.req.Reconfigure) && (!p.resumed || p.journal.Upgrade)
	p.journal.Upgrade = p.upgrade
	return given
}

// settle chooses the answers that this run goes by, and sees to it that none is among them that Postfix would refuse.
func (p *Plan) settle(ctx context.Context, given answers.Answers) error {
	p.effected, p.Refused = answers.Answers{}, map[answers.Question]bool{}
	for _, q := range answers.Questions() {
		a := given[q]
		if t, ok := answers.ParseType(a.Value); ok && q == answers.MailerType {
			a.Value = string(t)
		}
		p.effected[q] = a
		if !a.Answered && (a.Value == "" || p.fresh && !a.Changed) { // a guess that config filled in may be old
			p.effected[q] = p.fallback(q)
		}
	}
	p.byProvider()
	if p.upgrade && p.h.main == nil && !p.h.broken && p.mailerType() != answers.NoConfiguration {
		p.Waiting = append(p.Waiting, answers.MailerType)
		p.warn("there is no %s, and an upgrade makes none; \"dpkg-reconfigure postfix\" does", paths.MainCF)
	}
	if p.h.broken || p.upgrade && p.h.main == nil {
		p.effected[answers.MailerType] = answers.Answer{Value: string(answers.NoConfiguration)}
	}
	if p.mailerType() == answers.NoConfiguration {
		return nil
	}
	p.refuse(slices.Concat(answers.CheckAll(p.wishes()), p.tooSmall())...)
	p.refuse(p.missingTables(ctx)...)
	p.refuse(p.rootLoop()...)
	p.relay = p.chooseRelay()
	p.sayWaiting()
	if p.unwritten != nil {
		p.relay, p.Held = leaveRelay, true
		p.warn("no setting was changed: %v; the answers wait until it can be, or are taken back with \"dpkg-reconfigure postfix\"", p.unwritten)
		return nil
	}
	p.refuseRelay(p.relayProblems(ctx))
	return p.askPostfix(ctx)
}

// tooSmall finds a mailbox limit below the message size limit, or beside none, with which local(8) delivers nothing at all.
func (p *Plan) tooSmall() []answers.Problem {
	v, write := p.wish(answers.MailboxLimit)
	most := defaultMessageSize
	if p.h.main != nil {
		most = value(p.h.main, "message_size_limit", most)
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	size, sizeErr := strconv.ParseInt(most, 10, 64)
	if !write || err != nil || sizeErr != nil || limit == 0 || size > 0 && limit >= size {
		return nil
	}
	why := fmt.Sprintf("it is smaller than message_size_limit (%d)", size)
	if size == 0 {
		why = "message_size_limit is 0, and with messages of any size there can be no limit for a mailbox"
	}
	return []answers.Problem{{Question: answers.MailboxLimit, Value: v, Text: why}}
}

// defaultMessageSize is Postfix's message_size_limit, in bytes.
const defaultMessageSize = "10240000"

func (p *Plan) mailerType() answers.Type {
	t, _ := p.effected.Type()
	return t
}

// wishes are the answers that this run would write: a value that an administrator set by hand is never judged.
func (p *Plan) wishes() answers.Answers {
	w := answers.Answers{}
	for q, a := range p.effected {
		if _, write := p.wish(q); write && (a.Answered || a.Changed) {
			w[q] = a
		}
	}
	return w
}

// Upgrading tells whether dpkg configures a package that was configured before in another version, old. An upgrade changes no setting
// (Debian policy 10.7.3) and asks nothing. One that comes back after a removal is installed, not upgraded.
func Upgrading(root *sysroot.Root, old string, reconfigure bool) bool {
	if old == "" || reconfigure {
		return false
	}
	installing, _ := root.Exists(paths.Installing)
	return !installing
}

// Upgrade tells whether the run leaves all settings as they are because it is one of an upgrade.
func (p *Plan) Upgrade() bool { return p.upgrade }

// sayWaiting lists what an upgrade leaves undone.
func (p *Plan) sayWaiting() {
	if !p.upgrade {
		return
	}
	var names []string
	for _, q := range answers.Questions() {
		if _, write := p.merged(q); write {
			p.Waiting = append(p.Waiting, q)
			names = append(names, string(q))
		}
	}
	if p.d.Relay != nil && p.d.Relay.Given() {
		names = append(names, string(answers.RelayPassword))
	}
	if len(names) > 0 {
		p.warn("an upgrade changes no setting, so these answers wait: %s; \"dpkg-reconfigure postfix\" or \"postfix-maint apply\" "+
			"brings them into force", strings.Join(names, ", "))
	}
}

// wish gives the value to write for q.
func (p *Plan) wish(q answers.Question) (string, bool) {
	v, write := p.merged(q)
	return v, write && !p.upgrade
}

// merged is the merge of base, live and answer.
func (p *Plan) merged(q answers.Question) (string, bool) {
	a := p.effected[q]
	c := merge.Case{Answer: a.Value, Answered: a.Answered, Changed: a.Changed,
		Same: func(x, y string) bool { return answers.Equal(q, x, y) }}
	if v, ok := p.h.live[q]; ok && !p.fresh {
		c.Live = &v
	} else if !p.fresh {
		return "", false
	}
	if v, ok := p.h.base[q]; ok {
		c.Base = &v
	}
	return c.Write()
}

// brokenError says that a file is there and can't be understood.
type brokenError struct{ error }

// readMainCF parses the primary instance's main.cf; nil where there is none. A link to nothing is an administrator's file whose
// place is not mounted, say: no new one is made there.
func readMainCF(root *sysroot.Root) (*maincf.File, error) {
	data, err := root.ReadFile(paths.MainCF)
	if dangles(root, paths.MainCF) {
		return nil, &brokenError{fmt.Errorf("cannot read %q: it is a link to nothing", paths.MainCF)}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", paths.MainCF, err)
	}
	f, err := maincf.Parse(data)
	if err != nil {
		return nil, &brokenError{fmt.Errorf("cannot understand %q: %w", paths.MainCF, err)}
	}
	return f, nil
}

// readAliases parses the alias file; nil where there is none, or path is "". One whose name another account can make mean something else, as
// that of a mailing list manager in its own directory, is not ours to read or to write: it may be a link to a file of root's.
func readAliases(root *sysroot.Root, path string) (*aliases.File, []byte, error) {
	if path == "" {
		return nil, nil, nil
	}
	if err := root.TrustedPlace(path); errors.As(err, new(*sysroot.UntrustedError)) {
		return nil, nil, fmt.Errorf("cannot use the aliases: %w", err)
	}
	data, err := root.ReadFile(path)
	if dangles(root, path) {
		return nil, nil, fmt.Errorf("cannot read %q: it is a link to nothing", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read %q: %w", path, err)
	}
	f, err := aliases.Parse(data)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot understand %q: %w", path, err)
	}
	return f, data, nil
}

// dangles tells whether path is a symbolic link to what is not there.
func dangles(root *sysroot.Root, path string) bool {
	_, link := root.Readlink(path)
	_, err := root.Stat(path)
	return link == nil && errors.Is(err, fs.ErrNotExist)
}

// firstLine gives the first line of path without blanks around it, "" if there is none (#484246: only it counts).
func firstLine(root *sysroot.Root, path string) (string, error) {
	data, err := root.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read %q: %w", path, err)
	}
	return first(data), nil
}

func first(data []byte) string {
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}
