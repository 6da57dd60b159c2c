package maincf

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of Expand. Postfix has the first (mac_expand(3)); the others stop what would run for ages there.
const (
	maxDepth = 100
	maxSteps = 10_000
	maxBytes = 1 << 20
	maxWork  = 64 << 20 // bytes looked at: nested expressions are looked through once for each level
)

// nameBlanks is the white space that mac_expand(3) allows around the parts of an expression (CHARS_SPACE).
const nameBlanks = " \t\r\n"

// Expand replaces the macros in a value as "postconf -x" does: $name, $(name), ${name}, ${name?text}, ${name:text},
// ${name?{text}:{text}}, ${{text} == {text}?{text}:{text}} with the operators == != < <= >= > (numbers if both sides are digits,
// else bytes; with "level" behind them compatibility levels), and $$ for a dollar. A name without a value expands to nothing.
// A macro that leads to itself is refused, as is what Postfix refuses: an empty name, an unclosed brace, nesting beyond 100. The error
// shows nothing of the value: a password with a dollar in it is such a value.
func Expand(value string, lookup func(name string) (string, bool)) (string, error) {
	e := &expander{lookup: lookup, active: map[string]bool{}}
	if err := e.parse(value, 0); err != nil {
		return "", fmt.Errorf("cannot expand: %w", err)
	}
	return e.out.String(), nil
}

type expander struct {
	lookup func(name string) (string, bool)
	active map[string]bool // names being expanded: meeting one again is a loop
	steps  int
	work   int
	out    strings.Builder
}

// parse splits text in literals and macros (mac_parse(3)) and appends their expansion to the output.
func (e *expander) parse(text string, depth int) error {
	if e.work += len(text); e.work > maxWork {
		return errors.New("macros expand to too much")
	}
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			return e.literal(text, depth)
		}
		if strings.HasPrefix(text[i:], "$$") {
			if err := e.literal(text[:i+1], depth); err != nil {
				return err
			}
			text = text[i+2:]
			continue
		}
		if err := e.literal(text[:i], depth); err != nil {
			return err
		}
		expr, rest, err := cutMacro(text[i+1:])
		if err != nil {
			return err
		}
		if err := e.macro(expr, depth); err != nil {
			return err
		}
		text = rest
	}
	return nil
}

func (e *expander) literal(text string, depth int) error {
	if e.steps++; depth > maxDepth || e.steps > maxSteps || e.out.Len() > maxBytes {
		return errors.New("macros are nested too deep")
	}
	e.out.WriteString(text)
	return nil
}

// cutMacro takes the macro at the start of text, whose dollar is already gone.
func cutMacro(text string) (expr, rest string, err error) {
	switch {
	case strings.HasPrefix(text, "("):
		expr, rest, err = cutParens(text, '(', ')')
	case strings.HasPrefix(text, "{"):
		expr, rest, err = cutParens(text, '{', '}')
	default:
		n := 0
		for n < len(text) && isNameByte(text[n]) {
			n++
		}
		expr, rest = text[:n], text[n:]
	}
	if err == nil && expr == "" {
		err = errors.New("a macro has no name")
	}
	return expr, rest, err
}

// cutParens takes the balanced group that text starts with.
func cutParens(text string, open, closing byte) (inside, rest string, err error) {
	level := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case open:
			level++
		case closing:
			if level--; level == 0 {
				return text[1:i], text[i+1:], nil
			}
		}
	}
	return "", "", fmt.Errorf("no %q closes a %q", closing, open)
}

func isNameByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// macro expands one expression, without its dollar and outer parentheses.
func (e *expander) macro(expr string, depth int) error {
	if e.steps++; depth > maxDepth || e.steps > maxSteps {
		return errors.New("macros are nested too deep")
	}
	var name, value, rest string
	var err error
	if isGroup(expr) {
		if value, rest, err = e.relation(expr); err == nil && rest != "" && rest[0] != '?' && rest[0] != ':' {
			err = errors.New("no \"?\" or \":\" behind a comparison")
		}
	} else if name, rest, err = cutName(expr); err == nil {
		value, _ = e.lookup(name)
	}
	if err != nil {
		return err
	}
	if rest != "" {
		return e.choose(value != "", rest, depth)
	}
	if e.active[name] {
		return fmt.Errorf("$%s leads to itself", name)
	}
	if name != "" {
		e.active[name] = true
		defer delete(e.active, name)
	}
	return e.parse(value, depth+1)
}

func isGroup(s string) bool { return strings.HasPrefix(strings.TrimLeft(s, nameBlanks), "{") }

// cutGroup takes the { } group that s starts with, and the white space around it.
func cutGroup(s string) (inside, rest string, err error) {
	inside, rest, err = cutParens(strings.TrimLeft(s, nameBlanks), '{', '}')
	return inside, strings.TrimLeft(rest, nameBlanks), err
}

// cutName takes the parameter name; rest starts with the operator or is empty.
func cutName(expr string) (name, rest string, err error) {
	expr = strings.TrimLeft(expr, nameBlanks)
	n := 0
	for n < len(expr) && isNameByte(expr[n]) {
		n++
	}
	name, rest = expr[:n], strings.TrimLeft(expr[n:], nameBlanks)
	if rest != "" && rest[0] != '?' && rest[0] != ':' {
		return "", "", errors.New("what a macro names is not a parameter")
	}
	return name, rest, nil
}

// choose expands one of the texts behind "?" and ":". Only a text in braces may be followed by another: in ${name?a:b} the
// text is "a:b" (Postfix 2.11 compatibility). The text that is not chosen is not looked into.
func (e *expander) choose(yes bool, rest string, depth int) error {
	if rest[0] == '?' {
		text, more, err := operand(rest[1:])
		if err != nil {
			return err
		}
		if yes {
			if err := e.parse(text, depth+1); err != nil {
				return err
			}
		}
		if more == "" {
			return nil
		}
		if rest = more; rest[0] != ':' {
			return errors.New("no \":\" behind the first text of a choice")
		}
	}
	text, more, err := operand(rest[1:])
	if err != nil {
		return err
	}
	if !yes {
		if err := e.parse(text, depth+1); err != nil {
			return err
		}
	}
	if more != "" {
		return errors.New("text behind the last one of a choice")
	}
	return nil
}

func operand(s string) (text, rest string, err error) {
	if isGroup(s) {
		return cutGroup(s)
	}
	return s, "", nil
}
