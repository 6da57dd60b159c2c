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

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// scan cuts the text of an entry into tokens, as for the addresses of a mail header.
func scan(text string) []token {
	var tokens []token
	for i := 0; i < len(text); {
		c := text[i]
		var t token
		switch {
		case isSpace(c):
			i++
			continue
		case c == '(':
			t, i = scanComment(text, i)
		case c == '[':
			t.kind = literal
			t.text, i = collect(text, i+1, func(c byte) bool { return c == ']' })
			i++
		case c == '"':
			t.kind = quoted
			t.text, i = collect(text, i+1, func(c byte) bool { return c == '"' })
			i++
		case c != '\\' && strings.IndexByte(operators, c) >= 0:
			t.kind = c
			i++
		default:
			t.text, i = collect(text, i, func(c byte) bool { return isSpace(c) || strings.IndexByte(operators, c) >= 0 })
			t.kind = atomKind(t.text)
		}
		tokens = append(tokens, t)
	}
	return tokens
}

// collect takes text until end says so; a backslash takes the next character as it is, white space becomes a blank.
func collect(text string, i int, end func(c byte) bool) (string, int) {
	var out strings.Builder
	for ; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) {
				break
			}
		} else if end(text[i]) {
			break
		}
		if isSpace(text[i]) {
			out.WriteByte(' ')
		} else {
			out.WriteByte(text[i])
		}
	}
	return out.String(), i
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
		if c := text[i]; c <= ' ' || c == 0x7f || strings.IndexByte(operators, c) >= 0 {
			return quoted
		}
	}
	return atom
}

// internal writes tokens without quotes.
func internal(tokens []token) string {
	return write(tokens, func(out *strings.Builder, t token) {
		switch t.kind {
		case literal:
			out.WriteString("[" + t.text + "]")
		default:
			out.WriteString(t.text)
		}
	})
}

// external writes tokens with quotes where they need them.
func external(tokens []token) string {
	return write(tokens, func(out *strings.Builder, t token) {
		switch t.kind {
		case quoted:
			out.WriteString(`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t.text) + `"`)
		case literal:
			out.WriteString("[" + strings.ReplaceAll(t.text, `\`, `\\`) + "]")
		default:
			out.WriteString(t.text)
		}
	})
}

// write puts a blank where two words meet, and before "<".
func write(tokens []token, word func(*strings.Builder, token)) string {
	var out strings.Builder
	for i, t := range tokens {
		if i > 0 && (t.kind == '<' || t.isWord() && tokens[i-1].isWord()) {
			out.WriteByte(' ')
		}
		if t.isWord() {
			word(&out, t)
		} else {
			out.WriteByte(t.kind)
		}
	}
	return out.String()
}
