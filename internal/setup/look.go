package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
	mailname string // first line of /etc/mailname
	alias    *aliases.File
	aliasOld []byte
	unread   bool   // the alias file is there, and can't be read or understood
	sync     string // "true" if the queue is updated synchronously

	after         *maincf.File // main.cf as it will be, nil if there will be none
	mailnameAfter string
	aliasesAfter  *aliases.File
	protos        map[string]string
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
	if p.h.state, err = LoadState(root, p.req.Old); err != nil {
		return err
	}
	if p.resumed, err = load(root, paths.Pending, &p.journal); err != nil {
		return err
	}
	if p.h.mailname, err = firstLine(root, paths.Mailname); err != nil {
		return err
	}
	if p.h.alias, p.h.aliasOld, err = readAliases(root, aliasPath(p.h.main)); err != nil {
		p.h.unread = true
		p.warn("%v; the aliases are left alone", err)
	}
	p.h.release = releaseOf(p.req.Package)
	p.h.protos = map[string]string{}
	p.h.sync = liveSync(root)
	if p.h.main != nil {
		p.h.live = liveAnswers(p.h.main, p.h.mailname, p.h.alias, p.h.sync)
		p.addRelayLive()
	}
	p.h.after, p.h.mailnameAfter, p.h.aliasesAfter = p.h.main, p.h.mailname, p.h.alias
	return p.settle(ctx, p.intent())
}

// intent chooses the answers: those in the database, or when dpkg takes an interrupted run up again those that it noted. An
// intent must not overwrite what somebody wrote into main.cf since; then it is dropped, and so are the answers that it came from.
func (p *Plan) intent() answers.Answers {
	given, now := p.req.Answers, mainSum(p.h.main)
	switch {
	case !p.resumed:
		p.journal = journal{Fresh: p.h.main == nil && !p.h.broken, Before: now, After: now, Answers: given}
	case now != p.journal.Before && now != p.journal.After && !p.journal.Relaying:
		p.dropped = true
		p.warn("%s was edited after a configuration was interrupted: it is left as it is; to change it run \"dpkg-reconfigure postfix\"", paths.MainCF)
		kept := answers.Answers{}
		for q, a := range given {
			kept[q] = answers.Answer{Value: a.Value}
		}
		return kept
	case !p.req.Reconfigure: // a person at dpkg-reconfigure has said something newer
		given = p.journal.Answers
	}
	p.written = p.journal.Relaying && !p.req.Reconfigure
	p.fresh = p.journal.Fresh && (p.written || !p.journal.Relaying || now == p.journal.After)
	return given
}

// settle checks the answers. With an invalid one among them none is applied: half of a person's wishes may be worse than
// none (a relay without its networks, say). A first installation then falls back to guesses and local mail.
func (p *Plan) settle(ctx context.Context, given answers.Answers) error {
	p.effected = answers.Answers{}
	for _, q := range answers.Questions() {
		a := given[q]
		if !a.Answered && a.Value == "" {
			a.Value = answers.Default(q, p.req.Facts, given)
			if v, ok := p.h.live[q]; ok && !p.fresh {
				a.Value = v
			}
		}
		if t, ok := answers.ParseType(a.Value); ok && q == answers.MailerType {
			a.Value = string(t)
		}
		p.effected[q] = a
	}
	if p.h.broken {
		p.effected[answers.MailerType] = answers.Answer{Value: string(answers.NoConfiguration)}
	}
	if p.mailerType() == answers.NoConfiguration {
		return nil
	}
	p.relay = p.chooseRelay()
	problems := slices.Concat(answers.CheckAll(p.wishes()), p.tooSmall(), p.nameless(), p.relayProblems(ctx))
	for _, bad := range problems {
		p.warn("%s: %q is not usable: %s", bad.Question, bad.Value, bad.Text)
	}
	if len(problems) > 0 {
		p.relay = leaveRelay
	}
	switch {
	case len(problems) == 0:
	case !p.fresh:
		p.Held = true
		p.warn("no setting was changed; mend the answer with \"dpkg-reconfigure postfix\"")
	default:
		p.Refused = true
		for _, q := range answers.Questions() {
			p.effected[q] = answers.Answer{Value: answers.Default(q, p.req.Facts, nil)}
		}
		p.effected[answers.MailerType] = answers.Answer{Value: string(answers.LocalOnly)}
		p.warn("until then Postfix delivers local mail only; mend the answer with \"dpkg-reconfigure postfix\"")
	}
	return nil
}

// tooSmall finds a mailbox limit below the message size limit, with which local(8) delivers nothing at all.
func (p *Plan) tooSmall() []answers.Problem {
	v, write := p.wish(answers.MailboxLimit)
	most := defaultMessageSize
	if p.h.main != nil {
		most = value(p.h.main, "message_size_limit", most)
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	size, sizeErr := strconv.ParseInt(most, 10, 64)
	if !write || err != nil || sizeErr != nil || limit == 0 || limit >= size {
		return nil
	}
	return []answers.Problem{{Question: answers.MailboxLimit, Value: v, Text: fmt.Sprintf("it is smaller than message_size_limit (%d)", size)}}
}

// nameless refuses a type that talks to other mail systems on a host that has no name they would accept (M01, M02).
func (p *Plan) nameless() []answers.Problem {
	v, write := p.wish(answers.MailerType)
	named := answers.CheckHostname(p.req.Facts.FQDN) == nil || answers.CheckHostname(p.req.Facts.Computed) == nil
	if t, _ := answers.ParseType(v); !write || named || t == answers.LocalOnly || p.h.main != nil && value(p.h.main, "myhostname", "localhost") != "localhost" {
		return nil
	}
	return []answers.Problem{{Question: answers.MailerType, Value: v,
		Text: fmt.Sprintf("this host's name %q is none that other mail systems accept; give it one with hostnamectl", p.req.Facts.FQDN)}}
}

// defaultMessageSize is Postfix's message_size_limit, in bytes.
const defaultMessageSize = "10240000"

func (p *Plan) mailerType() answers.Type {
	t, _ := p.effected.Type()
	return t
}

// wishes are the answers that this run would write, the others replaced by what is in force: a value that an
// administrator set by hand is never judged.
func (p *Plan) wishes() answers.Answers {
	w := answers.Answers{}
	for q, a := range p.effected {
		if _, write := p.wish(q); write && (a.Answered || a.Changed) {
			w[q] = a
		} else if q == answers.MailerType || q == answers.RelayHost { // the two are judged together
			w[q] = answers.Answer{Value: a.Value}
			if v, ok := p.h.live[q]; ok && !p.fresh {
				w[q] = answers.Answer{Value: v}
			}
		}
	}
	return w
}

// wish gives the value to write for q, by the merge of base, live and answer.
func (p *Plan) wish(q answers.Question) (string, bool) {
	a := p.effected[q]
	c := merge.Case{Answer: a.Value, Answered: a.Answered, Changed: a.Changed,
		Same: func(x, y string) bool { return answers.Equal(q, x, y) }}
	if v, ok := p.h.live[q]; ok && !p.fresh {
		c.Live = &v
	} else if !p.fresh {
		return "", false
	}
	if v, ok := p.h.state.Base()[q]; ok {
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

// readAliases parses the alias file; nil where there is none, or path is "".
func readAliases(root *sysroot.Root, path string) (*aliases.File, []byte, error) {
	if path == "" {
		return nil, nil, nil
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
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line), nil
}
