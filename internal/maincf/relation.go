package maincf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// relation evaluates "{left} OP {right}" at the start of expr. The value is "true" or "".
func (e *expander) relation(expr string) (value, rest string, err error) {
	left, rest, err := cutGroup(expr)
	if err != nil {
		return "", "", err
	}
	n := len(rest) - len(strings.TrimLeft(rest, "<>!=?+-*/~&|%"))
	op, rest := rest[:n], rest[n:]
	n = 0
	for n < len(rest) && isNameByte(rest[n]) && rest[n] != '_' {
		n++
	}
	kind, rest := rest[:n], rest[n:]
	if !isGroup(rest) {
		return "", "", errors.New("no { } behind an operator")
	}
	right, rest, err := cutGroup(rest)
	if err != nil {
		return "", "", err
	}
	if left, err = e.nested(left); err != nil {
		return "", "", err
	}
	if right, err = e.nested(right); err != nil {
		return "", "", err
	}
	order, err := compare(left, right, kind)
	if err != nil {
		return "", "", err
	}
	holds, known := map[string]bool{
		"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">=": order >= 0, ">": order > 0,
	}[op]
	if !known {
		return "", "", errors.New("an operator that Postfix does not have")
	}
	if holds {
		return "true", rest, nil
	}
	return "", rest, nil
}

// nested expands an operand to a string of its own.
func (e *expander) nested(text string) (string, error) {
	sub := &expander{lookup: e.lookup, active: e.active, steps: e.steps, work: e.work}
	err := sub.parse(text, 0)
	e.steps, e.work = sub.steps, sub.work
	return sub.out.String(), err
}

// compare orders two operands: numbers if both are digits only, else bytes; kind "level" means compatibility levels.
func compare(left, right, kind string) (int, error) {
	switch {
	case kind == "level":
		return CompareLevels(left, right)
	case kind != "":
		return 0, errors.New("an operator with a suffix that Postfix does not have")
	case !allDigits(left) || !allDigits(right):
		return strings.Compare(left, right), nil
	}
	l, errL := strconv.ParseInt(left, 10, 64)
	r, errR := strconv.ParseInt(right, 10, 64)
	if errL != nil || errR != nil {
		return 0, errors.New("a number is too large")
	}
	return int(min(max(l-r, -1), 1)), nil
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// CompareLevels orders two values of compatibility_level, MAJOR[.MINOR[.PATCH]]: negative if left is the lower one. Missing
// parts are 0.
func CompareLevels(left, right string) (order int, err error) {
	l, err := parseLevel(left)
	if err != nil {
		return 0, err
	}
	r, err := parseLevel(right)
	if err != nil {
		return 0, err
	}
	for i := range l {
		if l[i] != r[i] {
			return l[i] - r[i], nil
		}
	}
	return 0, nil
}

// parseLevel reads a level with the bounds of compat_level(3).
func parseLevel(s string) (level [3]int, err error) {
	parts := strings.Split(s, ".")
	if len(parts) > len(level) {
		return level, fmt.Errorf("%q is not a compatibility level", s)
	}
	for i, part := range parts {
		n, err := strconv.Atoi(strings.TrimLeft(part, blanks+"\n")) // strtol(3) skips white space
		if err != nil || n < 0 || i > 0 && n > 1023 {
			return level, fmt.Errorf("%q is not a compatibility level", s)
		}
		level[i] = n
	}
	return level, nil
}
