package smarthost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/note"
	"postfix-maint/internal/sysroot/transaction"
)

// Change is one thing that a plan does.
type Change = transaction.Change

// Plan is what a run would do.
type Plan struct {
	Changes  []Change
	Warnings []string
	// Note hears what main.cf is about to say, before any file is changed; an error ends the change. nil: nobody needs to know.
	Note func(mainCF []byte) error

	planned func() (*Plan, error) // plans the same anew, with what somebody else has written meanwhile
	takes   bool                  // it only takes something back: what is wrong with the senders that stay is said and no more

	h      *host
	after  *maincf.File
	master *masterEdit // of master.cf; nil leaves it
	files  []file
	old    state // as it was found
	state  state // as it is to be

	account *accountPlan // a login by OAuth 2.0 that changes
	gone    []int        // the ports of those that go
	ports   []int        // what systemd has to be told about
}

// Set plans a smarthost. It reads, and refuses before anything is changed what could not work. The other edits of main.cf belong
// to the state that Unset comes back to, and get into force at the same moment.
func Set(ctx context.Context, d Deps, inst instance.Instance, o Options, others ...maincf.Edit) (*Plan, error) {
	wished := o
	o, account, err := d.withLogin(inst, o)
	if err != nil {
		return nil, err
	}
	level := o.TLS // one that nobody chose is chosen anew by the next set: a login may have come
	o, r, err := o.resolve()
	if err != nil {
		return nil, err
	}
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	p := &Plan{h: h, old: h.state, planned: func() (*Plan, error) { return Set(ctx, d, inst, wished, others...) }}
	base, err := p.base("is replaced", others)
	if err != nil {
		return nil, err
	}
	if err := h.foresee(ctx, base, others); err != nil {
		return nil, err
	}
	if err := h.checkLoop(r); err != nil {
		return nil, err
	}
	f, err := p.facts(ctx, o, r, base)
	if err != nil {
		return nil, err
	}
	if err := p.check(ctx, o, r, f); err != nil {
		return nil, err
	}
	if written, err := parseRelay(o.Relay); err == nil && written.dest != r.dest {
		p.warn("with a login %s is taken as %s: one host, whose name its certificate must have, and at the port for submission if none is named",
			written.dest, r.dest)
	}
	w := wish(o, r, f)
	after, s, err := w.put(base)
	if err != nil {
		return nil, err
	}
	p.state.Options, p.state.layer = o, s
	p.state.Options.Password, p.state.Options.TLS = "", level
	p.planAccount(account, p.old.accounts())
	return p, p.complete(ctx, base, after, w, o.Root)
}

// complete puts the senders' accounts on what is to be of the relay for all mail, and plans the files.
func (p *Plan) complete(ctx context.Context, base, after *maincf.File, w wishes, root string) error {
	after, more, err := p.putSenders(ctx, after, p.old.accounts())
	if err != nil {
		return err
	}
	w.tables = append(w.tables, more...)
	if after, err = p.keepLines(after); err != nil {
		return err
	}
	if after, err = p.keepAccounts(base, after); err != nil {
		return err
	}
	if p.after, err = toward(p.h.live, after); err != nil {
		return err
	}
	if err := p.addTables(w.tables, slices.Concat(tableNames, senderTables)); err != nil {
		return err
	}
	if err := p.addAliases(root); err != nil {
		return err
	}
	return p.addMain()
}

// Unset plans the way back to what was in force before the first set, with other edits of main.cf.
func Unset(ctx context.Context, d Deps, inst instance.Instance, others ...maincf.Edit) (*Plan, error) {
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	p := &Plan{h: h, old: h.state, planned: func() (*Plan, error) { return Unset(ctx, d, inst, others...) }, takes: true}
	if !h.state.relayed() && len(others) == 0 {
		p.warn("no smarthost was set by postfix-maint for instance %q: there is nothing to take back", inst.Name)
	}
	base, err := p.base("stays", others)
	if err != nil {
		return nil, err
	}
	p.planAccount(nil, p.old.accounts())
	return p, p.complete(ctx, base, base, wishes{}, "")
}

// base is main.cf without our settings, and with other edits.
func (p *Plan) base(fate string, others []maincf.Edit) (*maincf.File, error) {
	p.sayDamaged()
	base, kept, err := p.old.upper().strip(p.h.live)
	if err != nil {
		return nil, err
	}
	p.changedSince(kept, "smarthost add", "stays")
	if base, kept, err = p.old.strip(base); err != nil {
		return nil, err
	}
	p.changedSince(kept, "smarthost set", fate)
	return apply(base, others)
}

// sayDamaged tells what becomes of a state that cannot be understood.
func (p *Plan) sayDamaged() {
	if name := statePath(p.h.inst); p.old.damaged {
		p.warn("cannot understand %q: it is set aside as %q, and what is in force now counts as what was before the first \"smarthost set\"",
			name, note.Aside(p.h.d.Root, name))
	}
}

// changedSince tells of settings that somebody has changed, and what becomes of them.
func (p *Plan) changedSince(kept []string, command, fate string) {
	for _, name := range kept {
		p.warn("%s in %s was changed since the last %q: that value %s", name, p.h.file("main.cf"), command, fate)
	}
}

func (p *Plan) warn(format string, args ...any) {
	p.Warnings = append(p.Warnings, fmt.Sprintf(format, args...))
}

// facts gathers what the wishes depend on.
func (p *Plan) facts(ctx context.Context, o Options, r relay, base *maincf.File) (facts, error) {
	h := p.h
	f := facts{dir: h.inst.ConfigDir, base: base, types: map[string]string{}, delimiter: h.delimiter(), password: o.Password}
	for param, name := range map[string]string{
		"smtp_sasl_password_maps": passwordTable, "smtp_generic_maps": genericTable, "sender_canonical_maps": canonicalTable,
	} {
		typ, err := h.typeOf(base, param, h.file(name))
		if err != nil {
			return f, err
		}
		f.types[name] = typ
	}
	origin, err := h.origin()
	if err != nil {
		return f, err
	}
	f.domains = hostDomains(origin, h.effective["myhostname"], h.effective["mydestination"])
	if o.User == "" {
		return f, nil
	}
	if err := h.checkPassword(r, o.User, o.Password); err != nil {
		return f, fmt.Errorf("%w: give one with --password-file or --password-stdin", err)
	}
	if f.password == "" {
		if f.password, err = h.stored(r, o.User); err != nil {
			return f, err
		}
	}
	f.hostKey, err = h.hostEntry(ctx, r, base)
	return f, err
}

// foresee asks again where the other edits change this host's names in addresses.
func (h *host) foresee(ctx context.Context, base *maincf.File, others []maincf.Edit) error {
	var other []string
	for _, e := range others {
		if v, ok := base.Get(e.Name()); ok && slices.Contains([]string{"myorigin", "myhostname", "mydestination"}, e.Name()) {
			other = append(other, e.Name()+"="+v)
		}
	}
	if len(other) == 0 {
		return nil
	}
	return h.ask(ctx, other...)
}

// origin is the domain of local mail. Debian's Postfix reads a file where the value is a path (see /etc/mailname).
func (h *host) origin() (string, error) {
	origin := h.effective["myorigin"]
	if !strings.HasPrefix(origin, "/") {
		return origin, nil
	}
	data, err := h.read(origin)
	first, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(first), err
}

// delimiter divides account and password in the password table.
func (h *host) delimiter() string {
	const param = "smtp_sasl_password_result_delimiter"
	v := h.effective[param]
	if h.effective == nil {
		v, _ = h.live.Get(param)
	}
	return cmp.Or(v, ":")
}

// stored is the password that the table holds for this account at this host, "" if it holds none.
func (h *host) stored(r relay, user string) (Secret, error) {
	text, err := h.read(h.current(passwordTable))
	if err != nil {
		return "", err
	}
	value, ok := table.Lookup(text, r.dest)
	relayhost, _ := h.live.Get("relayhost")
	for _, o := range []Options{h.state.Options, {Relay: relayhost}} {
		if last, err := o.relay(); !ok && err == nil && last.host == r.host {
			value, ok = table.Lookup(text, last.dest) // the same host at another port, or written without brackets
		}
	}
	if !ok {
		return "", nil
	}
	element := ""
	for _, e := range listOf(h.live, "smtp_sasl_password_maps") {
		if strings.Contains(e, h.file(passwordTable)) {
			element = e
			break
		}
	}
	account, password, _ := strings.Cut(unmarked(value, element), h.delimiter())
	if account != user {
		return "", nil
	}
	return Secret(password), nil
}

// addTables plans the tables with these names: what is not among those that are wished is to have nothing of ours.
func (p *Plan) addTables(tables []content, names []string) error {
	for _, name := range names {
		i := slices.IndexFunc(tables, func(t content) bool { return t.name == name })
		t := content{name: name}
		if i >= 0 {
			t = tables[i]
		}
		if err := p.addTable(t); err != nil {
			return err
		}
	}
	return nil
}

// addMain plans master.cf, main.cf and the reload, and so ends the list of changes.
func (p *Plan) addMain() error {
	if p.master != nil {
		p.Changes = append(p.Changes, p.master.change())
	}
	if string(p.h.disk) != string(p.after.Bytes()) {
		name := p.h.file("main.cf")
		master, _ := p.h.d.Root.ReadFile(p.h.file("master.cf")) // it may say that a parameter is a secret
		diff := maincf.Diff(name, p.h.disk, p.after.Bytes(), master)
		p.Changes = append(p.Changes, Change{What: "change " + name, Path: name, Diff: diff})
	}
	due, err := reloads(p.h.d).Is(p.h.inst.Unit())
	if p.h.d.Reload != nil && (len(p.Changes) > 0 || due) {
		p.Changes = append(p.Changes, Change{What: "reload Postfix"})
	}
	return err
}

// addAliases plans root's alias in the first indexed file of alias_database.
func (p *Plan) addAliases(root string) error {
	typ, name := p.h.aliasTable()
	if name == "" {
		if root != "" {
			return fmt.Errorf("cannot redirect root's mail: alias_database names no table of aliases")
		}
		return nil
	}
	if root == "" && p.old.Root == nil {
		return nil
	}
	if err := p.h.ownAliases(name); err != nil {
		return fmt.Errorf("cannot redirect root's mail: %w", err)
	}
	old, err := p.h.read(p.h.currentAliases(name))
	if err != nil {
		return err
	}
	f, err := aliases.Parse(old)
	if err != nil {
		return fmt.Errorf("cannot parse %q: %w", name, err)
	}
	if root != "" {
		if err := p.h.checkAliasLoop(f, root); err != nil {
			return err
		}
	}
	have, there := lookup(f)
	was := override{}
	if there {
		was.Was = &have
	}
	if o := p.old.Root; o != nil && o.ours(have, there) {
		was.Was = o.Was
	}
	want := was.Was
	if root != "" {
		text := strings.Join(maincf.SplitList(root), "\n")
		want = &text
		if was.Was == nil || *was.Was != text {
			was.Is = []string{text}
			p.state.Root = &was
		}
	}
	text, err := setRoot(f, have, want)
	if err != nil {
		return fmt.Errorf("cannot redirect root's mail: %w", err)
	}
	return p.addFile(file{
		path: name, stage: p.h.stage("aliases"), typ: typ, program: paths.Postalias, old: old, new: text, mode: 0o644,
		referenced: refers(p.h.effective["alias_maps"], name), used: true,
	})
}

// aliasTable is the alias file that newaliases(1) indexes first; "" if there is none.
func (h *host) aliasTable() (typ, name string) {
	for _, e := range maincf.SplitList(h.effective["alias_database"]) {
		if t, n, _ := strings.Cut(e, ":"); suffixes[t] != "" && strings.HasPrefix(n, "/") {
			return t, n
		}
	}
	return "", ""
}

// ownAliases refuses an alias file whose name another account, such as a mailing list manager, can make mean a file of root's.
func (h *host) ownAliases(name string) error {
	if err := h.d.Root.TrustedPlace(name); errors.As(err, new(*sysroot.UntrustedError)) {
		return err
	}
	return nil
}

// lookup gives root's alias, its values one a line.
func lookup(f *aliases.File) (string, bool) {
	values, ok := f.Lookup("root")
	return strings.Join(values, "\n"), ok
}

// setRoot gives root's alias these values. Without any it takes out the line that an earlier set added, as it was written.
func setRoot(f *aliases.File, have string, want *string) ([]byte, error) {
	if want != nil {
		_, err := f.Set("root", strings.Split(*want, "\n")...)
		return f.Bytes(), err
	}
	line := "root: " + strings.ReplaceAll(have, "\n", ", ")
	var out strings.Builder
	for l := range strings.Lines(string(f.Bytes())) {
		if strings.TrimRight(l, "\r\n") != line {
			out.WriteString(l)
		}
	}
	return []byte(out.String()), nil
}
