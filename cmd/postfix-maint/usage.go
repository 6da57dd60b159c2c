package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// usageError is a call that is not understood. Nothing was done.
type usageError struct{ error }

func refuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// understand holds a call against the table of commands, before anything runs: an option or operand that the command does not
// have is refused. It returns the call with the options before the operands, the only place where the library looks for them:
// "apply now --dry-run" would be carried out otherwise.
func understand(commands []*cli.Command, call []string) ([]string, error) {
	done, rest := call[:min(1, len(call))], call[min(1, len(call)):]
	what := "command"
	for len(rest) > 0 {
		word := rest[0]
		if isOption(word) { // before a command's name: only --help and --version, which do nothing but print
			return call, nil
		}
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
		if i < 0 {
			return nil, refuse("unknown %s %q%s", what, word, meant(word, "", names(commands)))
		}
		c := commands[i]
		done, rest = append(slices.Clip(done), word), rest[1:]
		if isLast(c, rest) {
			options, operands, err := divide(c, rest)
			if err == nil && !slices.Equal(options, help) {
				err = checkOperands(c, operands)
			}
			if err != nil {
				return nil, usageError{fmt.Errorf("%s: %w", strings.Join(done[1:], " "), err)}
			}
			if !c.SkipFlagParsing && len(operands) > 0 {
				options = append(options, "--")
			}
			return slices.Concat(done, options, operands), nil
		}
		commands, what = c.Subcommands, word+" command"
	}
	return call, nil
}

// isLast tells whether no further word of the command is to come: one with options does something without as well.
func isLast(c *cli.Command, rest []string) bool {
	return len(c.Subcommands) == 0 || len(c.Flags) > 0 && (len(rest) == 0 || isOption(rest[0]))
}

func names(commands []*cli.Command) (all []string) {
	for _, c := range commands {
		all = append(all, c.Name)
	}
	return all
}

// isOption tells options from operands; "-" is the primary instance.
func isOption(word string) bool { return len(word) > 1 && word[0] == '-' }

// help is what a call comes to that asks for help: nobody who does so need know the operands yet.
var help = []string{"--help"}

// divide tells options, with their values, and operands apart, in whatever order they stand. Maintainer scripts have no options.
func divide(c *cli.Command, args []string) (options, operands []string, err error) {
	takesValue := valuesOf(c)
	wantsHelp := false
	for ; len(args) > 0; args = args[1:] {
		if args[0] == "--" && !c.SkipFlagParsing {
			operands = append(operands, args[1:]...)
			break
		}
		if !isOption(args[0]) {
			operands = append(operands, args[0])
			continue
		}
		name, value, given := strings.Cut(strings.TrimPrefix(args[0][1:], "-"), "=")
		needed, known := takesValue[name]
		if !known {
			return nil, nil, fmt.Errorf("there is no option %s%s", args[0], meant(name, "--", flagNames(c)))
		}
		wantsHelp = wantsHelp || name == "help" || name == "h"
		options = append(options, args[0])
		if needed && !given {
			if len(args) == 1 {
				return nil, nil, fmt.Errorf("option %s needs a value", args[0])
			}
			args, value = args[1:], args[1]
			options = append(options, value)
		}
		if needed && value == "" { // a variable that was not set, in a script: it means neither the primary instance nor no account
			return nil, nil, fmt.Errorf("option --%s needs a value that is not empty", name)
		}
	}
	if wantsHelp {
		return help, nil, nil
	}
	return options, operands, nil
}

// valuesOf has the options of a command, and whether each takes a value.
func valuesOf(c *cli.Command) map[string]bool {
	takes := map[string]bool{}
	if !c.SkipFlagParsing {
		takes["help"], takes["h"] = false, false
	}
	for _, f := range c.Flags {
		_, boolean := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takes[name] = !boolean
		}
	}
	return takes
}

func flagNames(c *cli.Command) (all []string) {
	for _, f := range c.Flags {
		all = append(all, f.Names()...)
	}
	return all
}

// checkOperands holds operands against what the command's help says of them.
func checkOperands(c *cli.Command, operands []string) error {
	words, least, most := operandsOf(c.ArgsUsage)
	switch {
	case len(operands) < least:
		return fmt.Errorf("an operand is missing: %s", c.ArgsUsage)
	case len(operands) > most:
		extra := operands[most]
		hint := meant(extra, "--", flagNames(c))
		if hint == "" && most > 0 {
			hint = ": it takes " + c.ArgsUsage
		}
		return fmt.Errorf("unexpected operand %q%s", extra, hint)
	case len(words) > 0 && !slices.Contains(words, operands[0]):
		return fmt.Errorf("%q is none of %s%s", operands[0], strings.Join(words, ", "), meant(operands[0], "", words))
	case !c.SkipFlagParsing && slices.Contains(operands, ""): // dpkg hands empty ones to the scripts
		return errors.New("an operand is empty: a variable that was not set?")
	}
	return nil
}

// operandsOf reads the form in which help shows operands: NAME, [NAME] that may be missing, [NAME...] any number of them, and in
// the first place one of several words, as on|off.
func operandsOf(usage string) (words []string, least, most int) {
	for i, field := range strings.Fields(usage) {
		if strings.Contains(field, "...") {
			return words, least, math.MaxInt
		}
		if most++; field[0] != '[' {
			least++
		}
		if i == 0 && strings.Contains(field, "|") {
			words = strings.Split(field, "|")
		}
	}
	return words, least, most
}

// meant is the word that a wrong one resembles most, as a question; "" if none is near. Dashes of any kind before the word are no part
// of it: word processors make one long one of two.
func meant(wrong, prefix string, known []string) string {
	wrong = strings.ToLower(strings.TrimLeft(wrong, "-\u2010\u2011\u2012\u2013\u2014\u2212"))
	best, least := "", 1+len(wrong)/3
	for _, word := range known {
		d := distance(wrong, word)
		if len(wrong) > 2 && strings.HasPrefix(word, wrong) {
			d = 1
		}
		if d < least || d == least && best == "" {
			best, least = word, d
		}
	}
	if best == "" || len(wrong) < 2 {
		return ""
	}
	return fmt.Sprintf("; did you mean %s%s?", prefix, best)
}

// distance counts the bytes to change, add or take away to make b of a (Levenshtein's). What is far too long is far away.
func distance(a, b string) int {
	if len(a) > 2*len(b)+3 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := before
			if a[i] != b[j] {
				cost++
			}
			before, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
