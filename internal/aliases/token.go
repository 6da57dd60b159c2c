package aliases

import "strings"

// operators are the characters that stand for themselves (tok822_parse(3) of Postfix's sources).
const operators = `|%!()<>@,;:\".[]`

// Kinds of tokens that are no operator.
const (
	atom    = 'a'
	quoted  = 'q' // "text" or an atom with a quoted character
	comment = 'c' // (text)
	literal = 'd' // [text]
)

// token is an operator or a piece of text, without its quotes.
type token struct {
	kind byte
	text string
}

func (t token) isWord() bool {
	return t.kind == atom || t.kind == quoted || t.kind == comment || t.kind == literal
}

// spaces divide tokens.
const spaces = " \t\r\n"

// What ends a token's text: looked up for each byte.
var (
	endsAtom    = set(spaces + operators)
	endsQuoted  = set(`"`)
	endsLiteral = set("]")
	inAtom      = set(operators + "\x7f") // what only a backslash can have brought into one, beside white space
)

func set(chars string) *[256]bool {
	var s [256]bool
	for _, c := range []byte(chars) {
		s[c] = true
	}
	return &s
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// scan takes the token behind a place in the text of an entry, as for the addresses of a mail header. Behind the last one its kind is 0.
func scan(text string, i int) (t token, next int) {
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	if i == len(text) {
		return token{}, i
	}
	switch c := text[i]; {
	case c == '(':
		return scanComment(text, i)
	case c == '[':
		t.kind = literal
		t.text, i = collect(text, i+1, endsLiteral)
		return t, min(i+1, len(text))
	case c == '"':
		t.kind = quoted
		t.text, i = collect(text, i+1, endsQuoted)
		return t, min(i+1, len(text))
	case c != '\\' && endsAtom[c]:
		return token{kind: c}, i + 1
	}
	t.text, i = collect(text, i, endsAtom)
	t.kind = atomKind(t.text)
	return t, i
}

// collect takes text up to what ends it; a backslash takes the next character as it is, white space becomes a blank.
func collect(text string, start int, ends *[256]bool) (string, int) {
	i := start
	for i < len(text) && text[i] != '\\' && !ends[text[i]] && (text[i] == ' ' || !isSpace(text[i])) {
		i++
	}
	if i == len(text) || text[i] != '\\' && ends[text[i]] {
		return text[start:i], i // nothing to change
	}
	out := []byte(text[start:i])
	for ; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) {
				break
			}
		} else if ends[text[i]] {
			break
		}
		if isSpace(text[i]) {
			out = append(out, ' ')
		} else {
			out = append(out, text[i])
		}
	}
	return string(out), i
}

// scanComment takes a comment with its parentheses; comments nest.
func scanComment(text string, start int) (token, int) {
	level := 0
	i := start
	for i < len(text) {
		c := text[i]
		i++
		switch {
		case c == '(':
			level++
		case c == ')':
			level--
		case c == '\\' && i < len(text):
			i++
		}
		if level == 0 {
			break
		}
	}
	return token{comment, text[start:i]}, i
}

// atomKind finds out whether an atom holds a character that only a backslash can have brought in.
func atomKind(text string) byte {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || inAtom[c] {
			return quoted
		}
	}
	return atom
}

// inQuotes is made once: it costs more than most words.
var inQuotes = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// word is any kind of text, for a writer.
const word = 'w'

// writer writes tokens, with quotes where they need them or without any.
type writer struct {
	strings.Builder
	quotes bool
	last   byte // the kind of the last token, 0 before the first
}

// put adds a token. A blank comes where two words meet, and before "<".
func (w *writer) put(t token) {
	kind := t.kind
	if t.isWord() {
		kind = word
	}
	if w.last != 0 && kind == '<' || w.last == word && kind == word {
		w.WriteByte(' ')
	}
	w.last = kind
	switch {
	case t.kind == literal && w.quotes:
		t.text = strings.ReplaceAll(t.text, `\`, `\\`)
		fallthrough
	case t.kind == literal:
		w.WriteString("[" + t.text + "]")
	case t.kind == quoted && w.quotes:
		w.WriteString(`"` + inQuotes.Replace(t.text) + `"`)
	case kind == word:
		w.WriteString(t.text)
	default:
		w.WriteByte(kind)
	}
}
