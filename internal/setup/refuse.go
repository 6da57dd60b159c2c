package setup

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
)

// fallback is what stands for a question that nobody answered so that it can be used: what is in force, else the guess.
func (p *Plan) fallback(q answers.Question) answers.Answer {
	if v, ok := p.h.live[q]; ok && !p.fresh {
		return answers.Answer{Value: v}
	}
	f := p.req.Facts
	f.HasMainCF = f.HasMainCF && !p.fresh
	return answers.Answer{Value: answers.Default(q, f, p.effected)}
}

// refuse gives up the answers that can't be used, each for itself: all others are carried out. It stays in the database as a wish.
func (p *Plan) refuse(problems ...answers.Problem) {
	for _, bad := range problems {
		q := bad.Question
		p.Refused[q] = true
		p.effected[q] = p.fallback(q)
		if q == answers.MailerType && p.fresh { // nobody knows what was meant: open to nobody
			p.effected[q] = answers.Answer{Value: string(answers.LocalOnly)}
		}
		p.warn("%s: %q is not usable: %s; until you mend it with \"dpkg-reconfigure postfix\", %q stands", q, bad.Value, bad.Text, p.effected[q].Value)
	}
	if len(problems) > 0 && p.fresh { // guesses that hang on what was refused
		for _, q := range answers.Questions() {
			if a := p.effected[q]; !a.Answered && !a.Changed && q != answers.MailerType {
				p.effected[q] = p.fallback(q)
			}
		}
	}
}

// refuseRelay gives up all that was answered about the relay: with half of it mail could go out in clear, or without a login.
func (p *Plan) refuseRelay(problems []answers.Problem) {
	if len(problems) == 0 {
		return
	}
	p.relay = leaveRelay
	p.refuse(problems...)
	for _, q := range append(answers.RelayQuestions(), answers.RelayHost) {
		if a := p.effected[q]; a.Answered || a.Changed {
			p.Refused[q] = true
			p.effected[q] = p.fallback(q)
		}
	}
	if !p.Refused[answers.RelayHost] { // it came from a provider, which is none any more
		p.effected[answers.RelayHost] = p.fallback(answers.RelayHost)
	}
	p.warn("so no relay is set up")
}

// RelayRefused tells whether an answer about the relay waits to be mended, and with it a password.
func (p *Plan) RelayRefused() bool {
	return slices.ContainsFunc(append(answers.RelayQuestions(), answers.RelayHost), func(q answers.Question) bool { return p.Refused[q] })
}

// missingTables finds files and tables in answers that Postfix's daemons would look for in vain: they end then, or answer all mail
// with a temporary error.
func (p *Plan) missingTables(ctx context.Context) (problems []answers.Problem) {
	for _, q := range []answers.Question{answers.Destinations, answers.MyNetworks} {
		v, write := p.wish(q)
		if !write || p.d.Table == nil {
			continue
		}
		for _, item := range maincf.SplitList(v) {
			item = strings.TrimPrefix(strings.TrimLeft(item, "!"), "proxy:") // proxymap(8) may not be running
			if strings.Contains(item, "$") || item[:1] == "[" || !strings.Contains(item, ":") && item[:1] != "/" {
				continue
			}
			if err := p.d.Table(ctx, item); err != nil {
				problems = append(problems, answers.Problem{Question: q, Value: v, Text: err.Error()})
				break
			}
		}
	}
	return problems
}

// askPostfix puts main.cf, as it would become, to Postfix's own reading. What it refuses is looked for answer by answer, so that only
// that one is given up. Where Postfix refuses what is there already nothing can be told.
func (p *Plan) askPostfix(ctx context.Context) error {
	if p.d.Probe == nil || p.Held {
		return nil
	}
	said, former := slices.Clone(p.Warnings), maps.Clone(p.former)
	judge := func() (error, error) {
		defer func() { p.Warnings, p.former = slices.Clone(said), maps.Clone(former) }()
		text, err := p.candidate()
		if err != nil || text == nil {
			return nil, err
		}
		return p.d.Probe(ctx, text), nil
	}
	if bad, err := judge(); bad == nil || err != nil {
		return err
	}
	all := maps.Clone(p.effected)
	var wished []answers.Question
	for _, q := range answers.Questions() {
		if _, write := p.wish(q); write && (all[q].Answered || all[q].Changed) {
			wished = append(wished, q)
			p.effected[q] = p.fallback(q)
		}
	}
	if bad, err := judge(); bad != nil || err != nil {
		p.effected = all
		return err
	}
	for _, q := range wished {
		p.effected[q] = all[q]
		bad, err := judge()
		if err != nil {
			return err
		}
		if bad != nil {
			p.refuse(answers.Problem{Question: q, Value: all[q].Value, Text: bad.Error()})
			said = slices.Clone(p.Warnings)
		}
	}
	return nil
}

// candidate is main.cf as this run would leave it, nil where nothing changes. What later steps make, accounts and the mail name's file,
// need not be there yet.
func (p *Plan) candidate() ([]byte, error) {
	var old []byte
	if p.h.main != nil {
		old = p.h.main.Bytes()
	} else {
		text, err := p.template()
		if err != nil {
			return nil, err
		}
		old = text
	}
	f, err := maincf.Parse(old)
	if err != nil {
		return nil, err
	}
	edits := p.edits()
	if p.h.main == nil {
		edits = append(edits, p.hostnameEdit()...)
	}
	if changed, err := f.Apply(edits...); !changed || err != nil {
		return nil, err
	}
	if strings.HasPrefix(value(f, "myorigin", paths.Mailname), "/") {
		edits = []maincf.Edit{maincf.Set("myorigin", "localhost")}
	}
	if p.h.main == nil { // the accounts of a new host may not be made yet; these two are always there (base-passwd)
		edits = append(edits, maincf.Set("mail_owner", "daemon"), maincf.Set("setgid_group", "mail"))
	}
	if _, err := f.Apply(edits...); err != nil {
		return nil, fmt.Errorf("cannot put %s to Postfix: %w", paths.MainCF, err)
	}
	return f.Bytes(), nil
}
