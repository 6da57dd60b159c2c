package debconftest

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Template is a question as a package declares it.
type Template struct {
	Type        string // string, boolean, select, error ...
	Default     string
	Choices     []string
	Description string
}

// User answers the questions that are shown: with a value, or by going back.
type User func(question, shown string) (answer string, back bool)

// Frontend is debconf in memory, after Debconf::ConfModule and its elements.
type Frontend struct {
	Priority       string // questions below it are not shown; low if empty
	Noninteractive bool
	Reshow         bool // as in dpkg-reconfigure: seen questions are shown again
	User           User // nil confirms everything as shown

	// Shown is what people saw: "question=value" in order. Error texts have their substitutions behind the name.
	Shown []string
	// Log is the conversation, without the replies.
	Log []string

	questions map[string]*question

	// of the running confmodule:
	escape   bool
	elements []element
	backedUp bool
	seen     []*question // to be marked at its end
}

type question struct {
	name  string
	tpl   Template
	value *string
	flags map[string]string
	subst map[string]string
}

type element struct {
	*question
	visible, markSeen bool
}

// New returns a frontend whose database has fresh questions from the templates.
func New(templates map[string]Template) *Frontend {
	f := &Frontend{questions: make(map[string]*question)}
	for name, tpl := range templates {
		f.questions[name] = &question{name: name, tpl: tpl, flags: map[string]string{}, subst: map[string]string{}}
	}
	return f
}

// Preseed does what debconf-set-selections does: the value is there and counts as seen.
func (f *Frontend) Preseed(name, value string) {
	q := f.questions[name]
	q.value = &value
	q.flags["seen"] = "true"
}

// Value is a question's value, or its template's default; a question that is not there has none.
func (f *Frontend) Value(name string) string {
	if q := f.questions[name]; q != nil {
		return q.get()
	}
	return ""
}

// Flag is one of a question's flags; a question that is not there has none.
func (f *Frontend) Flag(name, flag string) bool {
	q := f.questions[name]
	return q != nil && q.flags[flag] == "true"
}

// SetFlag sets it.
func (f *Frontend) SetFlag(name, flag string, on bool) {
	f.questions[name].flags[flag] = fmt.Sprint(on)
}

// Run lets confmodule talk to the frontend. When it ends, what was shown and answered is marked as seen, and not earlier.
func (f *Frontend) Run(confmodule func(replies io.Reader, commands io.Writer) error) error {
	f.escape, f.backedUp, f.elements, f.seen = false, false, nil, nil
	toFrontend, commands := io.Pipe()
	replies, fromFrontend := io.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer fromFrontend.Close()
		lines := bufio.NewScanner(toFrontend)
		for lines.Scan() {
			f.Log = append(f.Log, lines.Text())
			reply := f.reply(lines.Text())
			if reply == "" { // STOP
				break
			}
			if _, err := io.WriteString(fromFrontend, reply+"\n"); err != nil {
				break
			}
		}
		toFrontend.Close()
	}()
	err := confmodule(replies, commands)
	commands.Close()
	<-served
	for _, q := range f.seen {
		q.flags["seen"] = "true"
	}
	return err
}

func (f *Frontend) reply(line string) string {
	words := strings.Fields(line)
	if f.escape {
		words = split(line)
	}
	if len(words) == 0 {
		return "20 bad line"
	}
	args := words[1:]
	switch command := strings.ToUpper(words[0]); command {
	case "STOP":
		return ""
	case "VERSION":
		return "0 2.0"
	case "CAPB":
		f.escape = slices.Contains(args, "escape")
		return "0 multiselect escape backup"
	case "TITLE", "SETTITLE", "PROGRESS":
		return "0"
	case "CLEAR":
		f.elements = nil
		return "0"
	case "GO":
		return f.show()
	case "INPUT":
		return f.input(args)
	default:
		return f.database(command, args)
	}
}

func (f *Frontend) database(command string, args []string) string {
	if len(args) == 0 {
		return "20 Incorrect number of arguments"
	}
	q := f.questions[args[0]]
	if q == nil {
		return fmt.Sprintf("10 %s doesn't exist", args[0])
	}
	rest := args[1:]
	switch {
	case command == "GET" && len(rest) == 0:
		if f.escape {
			return "1 " + strings.NewReplacer(`\`, `\\`, "\n", `\n`).Replace(q.get())
		}
		return "0 " + q.get()
	case command == "SET":
		value := strings.Join(rest, " ")
		q.value = &value
		return "0 value set"
	case command == "RESET":
		q.value = nil
		q.flags["seen"] = "false"
		return "0"
	case command == "SUBST" && len(rest) > 0:
		q.subst[rest[0]] = strings.Join(rest[1:], " ")
		return "0"
	case command == "METAGET" && len(rest) == 1 && strings.EqualFold(rest[0], "description"):
		return "0 " + q.tpl.Description
	case command == "FGET" && len(rest) == 1:
		if q.flags[rest[0]] == "" {
			return "0 false"
		}
		return "0 " + q.flags[rest[0]]
	case command == "FSET" && len(rest) == 2:
		if rest[0] == "seen" { // what was said explicitly is not marked behind the program's back
			f.seen = slices.DeleteFunc(f.seen, func(other *question) bool { return other == q })
		}
		q.flags[rest[0]] = rest[1]
		return "0 " + rest[1]
	}
	return "20 Unsupported command " + command
}

var priorities = []string{"low", "medium", "high", "critical"}

func (f *Frontend) input(args []string) string {
	if len(args) != 2 || !slices.Contains(priorities, args[0]) {
		return "20 bad INPUT"
	}
	q := f.questions[args[1]]
	if q == nil {
		return fmt.Sprintf("10 %q doesn't exist", args[1])
	}
	visible := true
	if q.tpl.Type != "error" {
		visible = slices.Index(priorities, args[0]) >= slices.Index(priorities, f.Priority) &&
			(f.Reshow || q.flags["seen"] != "true")
	}
	markSeen := visible && !f.Noninteractive
	visible = visible && !f.Noninteractive
	if !slices.ContainsFunc(f.elements, func(e element) bool { return e.question == q }) {
		f.elements = append(f.elements, element{question: q, visible: visible, markSeen: markSeen})
	}
	if !visible {
		return "30 question skipped"
	}
	return "0 question will be asked"
}

// show is GO. As in debconf, what is not visible gets a value too.
func (f *Frontend) show() string {
	elements := f.elements
	f.elements = nil
	values := make([]string, len(elements))
	visible := false
	for i, e := range elements {
		values[i] = e.initial()
		if !e.visible {
			continue
		}
		visible = true
		f.Shown = append(f.Shown, e.screen(values[i]))
		if f.User == nil {
			continue
		}
		answer, back := f.User(e.name, values[i])
		if back {
			f.backedUp = true
			return "30 backup"
		}
		values[i] = answer
	}
	if f.backedUp && !visible {
		return "30 backup"
	}
	f.backedUp = false
	for i, e := range elements {
		e.value = &values[i]
		if e.markSeen {
			f.seen = append(f.seen, e.question)
		}
	}
	return "0 ok"
}

func (q *question) get() string {
	if q.value != nil {
		return *q.value
	}
	return q.tpl.Default
}

// initial is what an element starts with: a select cannot hold anything but its choices, an error has no value.
func (q *question) initial() string {
	switch {
	case q.tpl.Type == "error":
		return ""
	case q.tpl.Type == "select" && !slices.Contains(q.tpl.Choices, q.get()):
		return q.tpl.Choices[0]
	}
	return q.get()
}

func (q *question) screen(value string) string {
	text := q.name
	if q.tpl.Type != "error" {
		return text + "=" + value
	}
	var keys []string
	for key := range q.subst {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		text += " " + key + "=" + q.subst[key]
	}
	return text
}

// split takes a command apart as Debconf::ConfModule does for a client with the capability "escape".
func split(line string) []string {
	const blanks = " \t\r\v\f"
	var words []string
	var word []byte
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '\\' && i+1 < len(line) && line[i+1] == 'n':
			i++
			word = append(word, '\n')
		case ch == '\\' && i+1 < len(line):
			i++
			word = append(word, line[i])
		case strings.IndexByte(blanks, ch) >= 0:
			rest := strings.TrimLeft(line[i:], blanks)
			i = len(line) - len(rest) - 1
			words = append(words, string(word))
			word = nil
		default:
			word = append(word, ch)
		}
	}
	if len(word) > 0 {
		words = append(words, string(word))
	}
	return words
}
