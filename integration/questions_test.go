//go:build integration

package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
	"postfix-maint/internal/answers"
)

// asked is a question as its template has it, in one language.
type asked struct {
	name    string // without postfix/
	short   string
	long    []string // paragraphs
	choices []string
}

// ours tells whether the text is this project's.
func (q asked) ours() bool { return strings.HasPrefix(q.name, "maint_") }

// templatesOf reads the questions of the installed package.
func templatesOf(h *hosts.Host, language string) (map[string]asked, error) {
	data, err := os.ReadFile(filepath.Join(h.Root(), "var/lib/dpkg/info/postfix.templates"))
	if err != nil {
		return nil, err
	}
	all := map[string]asked{}
	for stanza := range strings.SplitSeq(string(data), "\n\n") {
		fields, last := map[string]string{}, ""
		for line := range strings.Lines(stanza) {
			if name, value, ok := strings.Cut(line, ": "); ok && line[0] != ' ' && line[0] != '#' {
				last, fields[name] = name, value
			} else if line[0] == ' ' {
				fields[last] += line[1:]
			}
		}
		q := asked{name: strings.TrimPrefix(strings.TrimSpace(fields["Template"]), "postfix/")}
		text, choices := fields["Description"], fields["Choices"]
		if t := fields["Description-"+language+".UTF-8"]; t != "" {
			text = t
		}
		if c := fields["Choices-"+language+".UTF-8"]; c != "" {
			choices = c
		}
		short, long, _ := strings.Cut(text, "\n")
		q.short = short
		for paragraph := range strings.SplitSeq(long, "\n.\n") {
			q.long = append(q.long, strings.TrimSuffix(paragraph, "\n"))
		}
		if choices != "" && !strings.Contains(choices, "${") {
			for _, c := range strings.Split(strings.TrimSpace(strings.ReplaceAll(choices, `\,`, "\x00")), ", ") {
				q.choices = append(q.choices, strings.ReplaceAll(c, "\x00", ","))
			}
		}
		all[q.name] = q
	}
	return all, nil
}

// squeeze leaves what is text: no white space, and nothing of what a frame or a bar is drawn with.
func squeeze(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r >= 0x2500 && r <= 0x259f || r == 0 {
			return -1
		}
		return r
	}, text)
}

// walkThrough is a person who goes through the questions: what is typed at some of them; the others are taken as they are shown.
type walkThrough struct {
	name    string
	types   map[string]string // a value, or for a select the place of the choice, from 0
	wrong   map[string]string // typed first
	inForce string            // a shell condition
}

var (
	withLogin = walkThrough{
		name: "a login",
		types: map[string]string{
			"main_mailer_type": "2", "relayhost": "[relay.example.test]", "maint_relay_account": "joe", "maint_relay_password": "geheim", "maint_sender_rewriting": "1",
			"maint_sender_address": "me@example.test",
		},
		wrong:   map[string]string{"maint_relay_account": "jo:e"},
		inForce: `[ "$(postconf -h relayhost)" = "[relay.example.test]:587" ] && postmap -q "[relay.example.test]:587" "$(postconf -h smtp_sasl_password_maps)" | grep -qx joe:geheim`,
	}
	withUsers = walkThrough{
		name: "users",
		types: map[string]string{
			"main_mailer_type": "3", "relayhost": "[relay.example.test]", "maint_sender_rewriting": "2", "maint_sender_map": "anna me@example.test",
		},
		inForce: `[ "$(postconf -h relayhost)" = "[relay.example.test]" ] && postmap -q anna "$(postconf -h sender_canonical_maps)" | grep -qx me@example.test`,
	}
	withoutRelay = walkThrough{
		name: "a blank relay host", types: map[string]string{"main_mailer_type": "2", "relayhost": ""},
		inForce: `[ "$(postconf -h relayhost)" = "" ] && [ "$(postconf -h default_transport)" = smtp ]`,
	}
)

// walks are the ways, frontends, sizes and languages. With back the person goes back to the question before at each one, once.
var walks = []struct {
	walkThrough
	frontend      string
	columns, rows int
	language      string
	back          bool
}{
	{withLogin, "dialog", 60, 20, "", true}, {withUsers, "dialog", 60, 20, "", true}, {withoutRelay, "dialog", 60, 20, "", false},
	{withLogin, "readline", 60, 20, "", true}, {withUsers, "readline", 60, 20, "", false}, {withoutRelay, "readline", 60, 20, "", true},
	{withLogin, "dialog", 80, 24, "", false}, {withUsers, "readline", 80, 24, "", false},
	{withLogin, "dialog", 60, 20, "de", false}, {withUsers, "dialog", 60, 20, "de", false}, {withLogin, "dialog", 60, 20, "fr", false},
	{withUsers, "dialog", 60, 20, "fr", false}, {withLogin, "dialog", 60, 20, "es", false}, {withUsers, "dialog", 60, 20, "es", false},
	{withLogin, "dialog", 60, 20, "ja", false}, {withUsers, "dialog", 60, 20, "ja", false},
}

// TestQuestionsFit walks through all questions at small terminals: every text is read in full, of ours without scrolling, no choice is cut
// off, in each language; from each question there is a way back; and a login is proposed at port 587.
func TestQuestionsFit(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	shown, walked := map[string]int{}, 0
	t.Cleanup(func() {
		for _, r := range answers.Rows() {
			name := strings.TrimPrefix(string(r.Question), "postfix/")
			if shown[""] == walked && shown[name] == 0 && r.Question != answers.Chattr && r.Question != answers.Procmail { // which are for some hosts alone
				t.Errorf("nobody was asked %s", name)
			}
		}
	})
	all := hosts.Releases()
	for _, release := range all {
		for i := range walks {
			w := &walks[i]
			if !*nightly && (release != all[len(all)-1] || w.language != "" && w.name == withUsers.name) {
				continue // the same questions in fewer words
			}
			walked++
			t.Run(fmt.Sprintf("%s/%s, %s %dx%d%s", release, w.name, w.frontend, w.columns, w.rows, w.language), func(t *testing.T) {
				ctx := scenario(t, 1)
				v := &visit{walkThrough: w.walkThrough, t: t, back: w.back, readline: w.frontend == "readline", foreign: w.language != ""}
				opt, err := product.With(ctx, session, installed(ctx, t, release, product.Ours), "i18n", "debconf-i18n")
				if err != nil {
					t.Fatal(err)
				}
				h := boot(ctx, t, "host", opt)
				sh(ctx, t, h, "useradd -m anna")
				if v.foreign {
					sh(ctx, t, h, "apt-get install -y -q debconf-i18n")
				}
				if v.texts, err = templatesOf(h, w.language); err != nil {
					t.Fatal(err)
				}
				v.term = openSized(ctx, t, h, w.columns, w.rows, "LANGUAGE="+w.language, "dpkg-reconfigure", "-f", w.frontend, "postfix")
				err = v.walk()
				said, ended := v.term.wait()
				if err = errors.Join(err, ended); err != nil {
					t.Fatalf("%v; it said:\n%s", err, said)
				}
				if out, err := h.Sh(ctx, w.inForce); err != nil {
					t.Errorf("not as answered: %v: %s\nit said:\n%s", err, out, said)
				}
				mu.Lock()
				defer mu.Unlock()
				for _, name := range append(v.shown, "") {
					shown[name]++
				}
			})
		}
	}
}

// visit is one walk at one terminal.
type visit struct {
	walkThrough
	t        *testing.T
	term     *terminal
	texts    map[string]asked
	shown    []string // the questions
	back     bool
	readline bool
	foreign  bool // another language: of Debian's own texts one page is enough
	screens  int
	seen     int    // of what readline wrote
	pages    string // read since the last question, squeezed
	scrolled bool
}

// walk goes on until there is no further question.
func (v *visit) walk() error {
	var path []string // of the questions on the way here
	complained := map[string]bool{}
	for {
		q, err := v.next()
		if err != nil || q == nil {
			return err
		}
		if len(path) == 0 || path[len(path)-1] != q.name {
			path = append(path, q.name)
			v.shown = append(v.shown, q.name)
			v.read(q)
			if _, typed := v.types[q.name]; v.back || !typed && len(q.choices) > 0 && len(path) > 1 { // who looked at all choices has moved to the last
				if err := v.goBack(path); err != nil {
					return err
				}
			}
		}
		keys := v.keys(*q, v.types)
		if _, wrong := v.wrong[q.name]; wrong && !complained[q.name] {
			complained[q.name] = true
			if err := v.complaint(v.keys(*q, v.wrong)); err != nil {
				return err
			}
			path = path[:len(path)-1]
			continue
		}
		if err := v.term.send(keys); err != nil {
			return err
		}
	}
}

// goBack goes back from the last question of the path, and comes again.
func (v *visit) goBack(path []string) error {
	back, here := escape, path[len(path)-1]
	if v.readline {
		back = "\x1b[5~"
	}
	if err := v.term.send(back); err != nil {
		return err
	}
	q, err := v.next()
	if err != nil {
		return err
	}
	if q != nil && len(path) == 1 && q.name == here {
		return nil // there is nothing before the first one
	}
	if q == nil || len(path) == 1 || q.name != path[len(path)-2] {
		return fmt.Errorf("back from %s leads to %v", here, q)
	}
	if err := v.term.send(v.keys(*q, v.types)); err != nil {
		return err
	}
	if q, err = v.next(); err == nil && (q == nil || q.name != here) {
		err = fmt.Errorf("on to %s leads to %v", here, q)
	}
	return err
}

// complaint gives a wrong answer, and reads what is said of it.
func (v *visit) complaint(keys string) error {
	seen := v.seen
	if err := v.term.send(keys); err != nil {
		return err
	}
	text, err := v.look(true)
	if err != nil {
		return err
	}
	long := v.texts["maint_invalid_answer"].long
	if want := long[len(long)-1]; !strings.Contains(squeeze(text), squeeze(want)) {
		return fmt.Errorf("a wrong answer brings:\n%s", text)
	}
	if v.readline { // which goes on by itself
		v.seen = seen
		return nil
	}
	return v.term.send(enter)
}

// keys are what is typed at a question.
func (v *visit) keys(q asked, types map[string]string) string {
	value, typed := types[q.name]
	switch {
	case !typed:
		return enter
	case len(q.choices) > 0 && v.readline:
		return "\x01\x0b" + string(value[0]+1) + enter
	case len(q.choices) > 0:
		return home + strings.Repeat(down, int(value[0]-'0')) + enter
	case v.readline:
		return "\x01\x0b" + value + enter
	}
	return wipe + value + enter
}

// next waits for a question, and turns the pages before it. nil: there is none any more.
func (v *visit) next() (*asked, error) {
	v.pages, v.scrolled = "", false
	for range 20 {
		text, err := v.look(true)
		if err != nil || text == "" {
			return nil, err
		}
		v.pages += strings.ReplaceAll(squeeze(text), "[More]", "")
		if q := v.question(text); q != nil {
			return q, nil
		}
		key := enter
		if v.foreign {
			key = tab + enter
		} else if !v.readline {
			key = tab + enter // a text that can be scrolled has the keys first
			for before := ""; before != text; v.pages += squeeze(text) {
				before = text
				if err := v.term.send("\x1b[6~"); err != nil {
					return nil, err
				}
				if text, err = v.look(false); err != nil {
					return nil, err
				}
				v.scrolled = v.scrolled || text != before
			}
		}
		if err := v.term.send(key); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no question on so many pages; the last:\n%s", v.term.screen.String())
}

// question is the one that waits for an answer on the screen.
func (v *visit) question(text string) (found *asked) {
	squeezed := squeeze(text)
	for _, r := range answers.Rows() {
		q, ok := v.texts[strings.TrimPrefix(string(r.Question), "postfix/")]
		if short := squeeze(q.short); ok && strings.Contains(squeezed, short) && (found == nil || len(short) > len(squeeze(found.short))) {
			found = &q
		}
	}
	return found
}

// look waits until the screen stands still, after it has changed if that is certain, and gives it; of readline what was written since the
// last look. "" is for the end.
func (v *visit) look(changes bool) (string, error) {
	began := time.Now()
	for ; time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		v.term.mu.Lock()
		quiet, news := time.Since(v.term.last), len(v.term.said) > v.seen
		v.term.mu.Unlock()
		select {
		case err := <-v.term.done:
			v.term.done <- err
			return "", nil
		default:
		}
		if quiet < 250*time.Millisecond || !news && (changes || time.Since(began) < 600*time.Millisecond) {
			continue
		}
		v.term.mu.Lock()
		text := v.term.screen.String()
		if v.readline {
			text = escapes.ReplaceAllString(strings.ReplaceAll(string(v.term.said[v.seen:]), "\r", ""), "")
		}
		v.seen = len(v.term.said)
		v.term.mu.Unlock()
		if v.readline && strings.TrimSpace(text) == "" || !v.readline && !strings.Contains(text, "<") {
			continue // nothing waits for an answer
		}
		v.keep(text)
		return text, nil
	}
	return "", fmt.Errorf("nothing is shown; the last:\n%s", v.term.screen.String())
}

// keep writes a screen down for somebody who wants to look at all.
func (v *visit) keep(text string) {
	dir := os.Getenv("POSTFIX_MAINT_SCREENS")
	if dir == "" {
		return
	}
	v.screens++
	name := fmt.Sprintf("%s-%02d", strings.NewReplacer(" ", "-", "/", "-").Replace(v.t.Name()), v.screens)
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o644); err != nil {
		v.t.Error(err)
	}
}

// read tells whether all of a question can be read.
func (v *visit) read(q *asked) {
	v.t.Helper()
	pages := v.pages
	if q.ours() && v.scrolled {
		v.t.Errorf("%s has to be scrolled", q.name)
	}
	for _, paragraph := range q.long {
		if v.foreign && !q.ours() {
			break
		}
		if !q.ours() && v.scrolled { // line by line: nothing is lost
			for _, word := range strings.Fields(paragraph) {
				if !strings.Contains(pages, squeeze(word)) {
					v.t.Errorf("%s: nothing of %q", q.name, word)
				}
			}
		} else if !strings.Contains(pages, squeeze(paragraph)) {
			v.t.Errorf("%s cannot be read in full: %q\nshown:\n%s", q.name, paragraph, v.term.screen.String())
		}
	}
	v.list(q, pages)
}

// list goes through the choices, which may be more than the screen has place for.
func (v *visit) list(q *asked, pages string) {
	v.t.Helper()
	for range q.choices {
		if v.readline || v.foreign && !q.ours() {
			break
		}
		if err := v.term.send(down); err != nil {
			v.t.Error(err)
		}
		text, err := v.look(false)
		if err != nil {
			v.t.Error(err)
		}
		pages += squeeze(text)
	}
	if i := slices.IndexFunc(q.choices, func(c string) bool { return (q.ours() || !v.foreign) && !strings.Contains(pages, squeeze(c)) }); i >= 0 {
		v.t.Errorf("%s: a choice is cut off: %q\nshown:\n%s", q.name, q.choices[i], v.term.screen.String())
	}
}
