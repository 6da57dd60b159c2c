package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// usageError is a call that is not understood. Nothing was done.
type usageError struct{ error }

func refuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// reading is a call that is held against the table of commands, before anything runs: an option or operand that the command does not have is
// refused.
type reading struct {
	top  []*cli.Command
	done []string // the command's words
	rest []string
	// early are the options before and between the command's words.
	early         []string
	help, version bool // are all that is asked for
	incomplete    bool // a command is missing
}

// understand returns what the library is given: the options before the operands, the only place where it looks for them. Options may stand
// anywhere: "apply now --dry-run" would be carried out otherwise.
func understand(commands []*cli.Command, call []string) (*reading, []string, error) {
	first := min(1, len(call))
	r := &reading{top: commands, rest: call[first:]}
	c, err := r.command()
	switch {
	case err != nil, r.version, r.help && len(r.rest) == 0:
		return r, call, err
	case c == nil || len(c.Subcommands) > 0 && !hasFlow(c):
		r.incomplete = true
		return r, call, usageError{errors.New(strings.Join(append(r.done, "a command is missing"), ": "))}
	}
	options, operands, err := divide(c, slices.Concat(r.early, r.rest))
	if r.help = r.help || slices.Equal(options, help); err == nil && !r.help {
		err = checkOperands(c, operands)
	}
	if err != nil {
		return r, nil, usageError{fmt.Errorf("%s: %w", strings.Join(r.done, " "), err)}
	}
	if !c.SkipFlagParsing && len(operands) > 0 {
		options = append(options, "--")
	}
	return r, slices.Concat(call[:first], r.done, options, operands), nil
}

// command reads the command's words; nil is none.
func (r *reading) command() (c *cli.Command, err error) {
	commands, what := r.top, "command"
	for len(commands) > 0 {
		word, err := r.word()
		if err != nil || word == "" {
			return c, err
		}
		if i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word }); i >= 0 {
			c = commands[i]
			r.done, r.rest = append(r.done, word), r.rest[1:]
			commands, what = c.Subcommands, word+" command"
			continue
		}
		if word == "help" {
			r.help, r.rest = true, nil
			return c, nil
		}
		return c, refuse("unknown %s %q%s", what, word, r.unknown(word, commands))
	}
	return c, nil
}

// unknown says what may have been meant by a word that is no command here.
func (r *reading) unknown(word string, here []*cli.Command) string {
	if hint := wordHints[word]; hint != "" && len(r.done) == 0 {
		return "; " + hint
	}
	var elsewhere []string
	for _, c := range r.top {
		for _, sub := range c.Subcommands {
			if sub.Name == word && len(r.done) == 0 {
				elsewhere = append(elsewhere, c.Name+" "+sub.Name)
			}
		}
	}
	if len(elsewhere) > 0 {
		return "; did you mean " + strings.Join(elsewhere, " or ") + "?"
	}
	if hint := meant(word, "", names(here)); hint != "" {
		return hint
	}
	if len(here) == 1 && len(r.done) > 0 {
		return fmt.Sprintf("; did you mean %s %s?", strings.Join(r.done, " "), here[0].Name)
	}
	if len(r.done) > 0 {
		return ": there are " + strings.Join(names(here), ", ")
	}
	return "; \"postfix-maint help\" lists all"
}

// word is the next word that is no option; options before it are noted.
func (r *reading) word() (string, error) {
	for len(r.rest) > 0 && isOption(r.rest[0]) {
		word := r.rest[0]
		name, _, given := optionName(word)
		switch {
		case word == "--":
			return "", refuse("-- stands behind the command")
		case name == "help" || name == "h":
			r.help, r.rest = true, r.rest[1:]
			continue
		case (name == "version" || name == "v" || name == "V") && len(r.done) == 0:
			r.version = true
			return "", nil
		}
		takes, err := r.takesValue(name)
		if err != nil {
			return "", err
		}
		n := 1
		if takes && !given {
			n = min(2, len(r.rest))
		}
		r.early, r.rest = append(r.early, r.rest[:n]...), r.rest[n:]
	}
	if len(r.rest) == 0 {
		return "", nil
	}
	return r.rest[0], nil
}

// takesValue tells whether the option of some command takes a value.
func (r *reading) takesValue(name string) (takes bool, err error) {
	known, takers := 0, 0
	var all []string
	var look func([]*cli.Command)
	look = func(commands []*cli.Command) {
		for _, c := range commands {
			if value, has := valuesOf(c)[name]; has {
				known++
				if value {
					takers++
				}
			}
			all = append(all, flagNames(c)...)
			look(c.Subcommands)
		}
	}
	look(r.top)
	switch {
	case known == 0:
		return false, refuse("there is no option %s%s", dashed(name), otherOption(name, all))
	case takers > 0 && takers < known:
		return false, refuse("option --%s stands behind its command", name)
	}
	return takers > 0, nil
}

// hasFlow tells whether a command with further words does something without one of them as well.
func hasFlow(c *cli.Command) bool { return len(c.Subcommands) == 0 || len(c.Flags) > 0 }

func names(commands []*cli.Command) (all []string) {
	for _, c := range commands {
		if !c.Hidden {
			all = append(all, c.Name)
		}
	}
	return all
}

// isOption tells options from operands; "-" is the primary instance.
func isOption(word string) bool { return len(word) > 1 && word[0] == '-' }

// optionName takes an option apart.
func optionName(word string) (name, value string, given bool) {
	return strings.Cut(strings.TrimPrefix(word[1:], "-"), "=")
}

// dashed is an option as people write it.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

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
		name, value, given := optionName(args[0])
		needed, known := takesValue[name]
		if !known { // its value is not said: it may be a password
			return nil, nil, fmt.Errorf("there is no option %s%s", dashed(name), otherThan(c, name))
		}
		wantsHelp = wantsHelp || name == "help" || name == "h"
		options = append(options, args[0])
		if needed && !given {
			if len(args) == 1 {
				return nil, nil, fmt.Errorf("option --%s needs a value", name)
			}
			args, value = args[1:], args[1]
			options = append(options, value)
		}
		if err := checkValue(name, value, needed, given && !mayTake(c, name)); err != nil {
			return nil, nil, err
		}
	}
	if wantsHelp {
		return help, nil, nil
	}
	return options, operands, nil
}

// otherThan says what may have been meant by an option that the command does not have.
func otherThan(c *cli.Command, name string) string {
	words, _, _ := operandsOf(c.ArgsUsage)
	switch {
	case name == "instance" && (strings.Contains(c.ArgsUsage, "INSTANCE") || strings.Contains(c.ArgsUsage, "NAME")):
		return ": the instance stands alone, without an option"
	case slices.Contains(words, name):
		return fmt.Sprintf("; did you mean %s?", name)
	}
	return otherOption(name, flagNames(c))
}

func checkValue(name, value string, needed, given bool) error {
	if needed && value == "" { // a variable that was not set, in a script: it means neither the primary instance nor no account
		return fmt.Errorf("option --%s needs a value that is not empty", name)
	}
	if _, err := strconv.ParseBool(value); !needed && given && err != nil {
		return fmt.Errorf("option --%s takes no value", name)
	}
	return nil
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
			takes[name] = !boolean && !optional(f)
		}
	}
	return takes
}

func flagNames(c *cli.Command) (all []string) {
	for _, f := range c.Flags {
		if f.(cli.VisibleFlag).IsVisible() {
			all = append(all, f.Names()...)
		}
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
		switch {
		case hint != "":
		case most > 0:
			hint = ": it takes " + c.ArgsUsage
		case slices.Contains(flagNames(c), "relay"):
			hint = "; did you mean --relay?"
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
