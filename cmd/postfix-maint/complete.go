package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/doctor"
	"postfix-maint/internal/history"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/notes"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
)

// What the shell completes by itself.
const (
	anyFiles    = ":files"
	directories = ":dirs"
)

// complete answers the shells: "postfix-maint complete WORD...", with the words behind the program's name up to the cursor, prints what the last one
// can become, a line each, with a tab before what is said of it. It is as quick as can be, silent, and asks no more of whoever calls it than
// the files that everybody may read.
func complete(rows []row, words []string, stdout io.Writer) {
	if len(words) == 0 {
		words = []string{""}
	}
	last := words[len(words)-1]
	for _, i := range candidates(rows, words[:len(words)-1], last) {
		switch {
		case i.name == anyFiles || i.name == directories || strings.HasPrefix(i.name, last) && i.text == "":
			fmt.Fprintln(stdout, i.name)
		case strings.HasPrefix(i.name, last):
			fmt.Fprintf(stdout, "%s\t%s\n", i.name, plainly(brief(i.text)))
		}
	}
}

// brief is a description's beginning: the rest is for help.
func brief(text string) string {
	for _, end := range []string{"; ", ": ", " ("} {
		text, _, _ = strings.Cut(text, end)
	}
	return text
}

// typed is what stands before the cursor, as far as it is understood.
type typed struct {
	row      row
	words    []string // the command's
	operands []string
	given    []string // names of options
	pending  cli.Flag // waits for its value
	only     bool     // behind --, operands alone
}

func candidates(rows []row, before []string, last string) []item {
	t := readTyped(rows, before)
	name, _, given := optionName(last + " ")
	f := t.flag(name)
	switch {
	case t.pending != nil:
		return values(t.pending, before)
	case isOption(last) && given && f != nil && !t.only:
		all := values(f, before)
		for i := range all {
			if all[i].name != anyFiles && all[i].name != directories {
				all[i].name = "--" + name + "=" + all[i].name
			}
		}
		return all
	case strings.HasPrefix(last, "-") && last != "-" && !t.only, last == "-" && t.row.do != nil && !strings.Contains(t.row.operands, "INSTANCE"):
		return t.options()
	}
	if next := t.next(rows); len(next) > 0 {
		return next
	}
	return t.operand(rows)
}

// readTyped understands what it can, and takes no offence.
func readTyped(rows []row, before []string) (t typed) {
	for _, word := range before {
		switch {
		case t.pending != nil:
			t.pending = nil
		case word == "--":
			t.only = true
		case isOption(word) && !t.only:
			name, _, given := optionName(word)
			t.given = append(t.given, name)
			if f := t.flag(name); f != nil && !given {
				if _, boolean := f.(*cli.BoolFlag); !boolean && !optional(f) {
					t.pending = f
				}
			}
		default:
			longer := strings.Join(append(slices.Clip(t.words), word), " ")
			i := slices.IndexFunc(rows, func(r row) bool { return r.words == longer && !r.who.hidden && !r.who.dpkg })
			if i < 0 || len(t.operands) > 0 {
				t.operands = append(t.operands, word)
				continue
			}
			t.row, t.words = rows[i], append(t.words, word)
		}
	}
	return t
}

// flag is the option of the command with this name, nil if there is none.
func (t typed) flag(name string) cli.Flag {
	for _, f := range t.row.flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

// options are those that were not given yet, or may be given again.
func (t typed) options() (all []item) {
	if t.row.do == nil {
		return []item{{"--help", "show what there is"}}
	}
	for _, f := range t.row.flags {
		_, generic := f.(*cli.GenericFlag)
		_, slice := f.(*cli.StringSliceFlag)
		if f.(cli.VisibleFlag).IsVisible() && (generic || slice || !slices.Contains(t.given, f.Names()[0])) {
			_, text := describe(f)
			all = append(all, item{"--" + f.Names()[0], text})
		}
	}
	return append(all, item{"--help", "show what it takes"})
}

// next are the words that make a longer command.
func (t typed) next(rows []row) (all []item) {
	if len(t.operands) > 0 {
		return nil
	}
	for _, r := range rows {
		rest, ok := strings.CutPrefix(r.words, strings.Join(append(t.words, ""), " "))
		if ok && !strings.Contains(rest, " ") && rest != "" && !isOption(rest) && !r.who.hidden && !r.who.dpkg {
			all = append(all, item{rest, r.usage})
		}
	}
	return all
}

// operand is what can stand in the place of the next operand.
func (t typed) operand(rows []row) (all []item) {
	fields := strings.Fields(t.row.operands)
	at := len(t.operands)
	if at >= len(fields) && !(len(fields) > 0 && strings.Contains(fields[len(fields)-1], "...")) {
		return nil
	}
	switch form := strings.Trim(fields[min(at, len(fields)-1)], "[]."); {
	case t.row.words == "help":
		return typed{words: t.operands}.next(rows)
	case strings.Contains(form, "|"):
		for _, word := range strings.Split(form, "|") {
			all = append(all, item{name: word})
		}
		return all
	default:
		return kinds(form)
	}
}

// values are those of an option, by the word that its help has for it, and by what was typed before.
func values(f cli.Flag, before []string) (all []item) {
	_, form, _ := strings.Cut(f.(cli.DocGenerationFlag).GetUsage(), "`")
	form, _, _ = strings.Cut(form, "`")
	words := map[string]string{
		"HOW": "none generic= users= regexp= pcre=", "LEVEL": "none may encrypt verify secure", "TIME": "30s 2m 10m",
		"ACCOUNT": "none", "ADDRESS": "none", "NAME=VALUE": "inet_interfaces= inet_protocols= master_service_disable= myhostname= relayhost=",
	}[form]
	if strings.Contains(form, "|") {
		words = strings.ReplaceAll(form, "|", " ")
	}
	for _, word := range strings.Fields(words) {
		all = append(all, item{name: word})
	}
	switch {
	case form == "REGION":
		return completeRegion(before)
	case all == nil:
		return kinds(form)
	}
	return all
}

// kinds looks at the host for what the word stands for.
func kinds(form string) (all []item) {
	switch form {
	case "FILE", "DEB":
		return []item{{name: anyFiles}}
	case "DIR":
		return []item{{name: directories}}
	case "PROVIDER":
		return completeProvider()
	case "NOTE":
		for _, name := range notes.Names() {
			all = append(all, item{name: name})
		}
		return all
	case "ID":
		for _, c := range doctor.Checks() {
			if c.Repair != doctor.NoRepair {
				all = append(all, item{c.ID, c.Title})
			}
		}
		return all
	}
	root, err := openRoot()
	if err != nil {
		return nil
	}
	return onThisHost(root, form)
}

func onThisHost(root *sysroot.Root, form string) (all []item) {
	switch form {
	case "INSTANCE":
		insts, _ := instance.List(root)
		for _, i := range insts {
			all = append(all, item{i.Name, i.ConfigDir})
		}
	case "SENDER":
		if primary, err := instance.Find(root, instance.Primary); err == nil {
			for _, a := range smarthost.Senders(smarthost.Deps{Root: root}, primary) {
				all = append(all, item{a.Sender, a.At()})
			}
		}
	case "NUMBER":
		if os.Geteuid() != 0 { // they are root's alone
			return nil
		}
		entries, _, _ := history.Load(root)
		for _, e := range slices.Backward(entries) {
			all = append(all, item{fmt.Sprint(e.Number), e.By()})
		}
	case "TYPE":
		files, _ := root.ReadDir(paths.LibDir)
		for _, f := range files {
			name, ours := strings.CutPrefix(f.Name(), "postfix-")
			if name, ok := strings.CutSuffix(name, ".so"); ours && ok {
				all = append(all, item{name: name})
			}
		}
	}
	return all
}
