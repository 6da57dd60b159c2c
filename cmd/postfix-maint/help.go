package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"
)

// widthOf is how many columns there are to write in: a terminal's, else 80. Longer lines are hard to read.
func widthOf(w io.Writer) int {
	const usual, least, most = 80, 40, 100
	f, ok := w.(*os.File)
	if !ok {
		return usual
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return usual
	}
	return min(max(int(size.Col), least), most)
}

// showHelp is help as a command.
func showHelp(_ context.Context, c *call) error {
	words := c.Args().Slice()
	r, _, err := understand(commands(table(), c.stdout, c.stderr), slices.Concat([]string{"postfix-maint"}, words, help))
	if err != nil {
		return err
	}
	return writeHelp(c.stdout, table(), r.done)
}

// writeHelp tells of one command, or of all.
func writeHelp(w io.Writer, rows []row, words []string) error {
	text := overview(rows, widthOf(w))
	if len(words) > 0 {
		text = helpOf(rows, strings.Join(words, " "), widthOf(w))
	}
	_, err := io.WriteString(w, text)
	return err
}

// item is a line of a list in the help: a name, and what is said of it.
type item struct{ name, text string }

// isCommand tells rows that a person can call from those that head others or stand for an option.
func (r row) isCommand() bool {
	return r.do != nil && !r.who.hidden && !strings.Contains(r.words, " --")
}

// overview lists all commands by their groups.
func overview(rows []row, width int) string {
	var b strings.Builder
	b.WriteString("Usage: postfix-maint COMMAND [OPTION...]\n\nSet up and care for Debian's Postfix.\n")
	column := 0
	for _, r := range rows {
		if r.isCommand() {
			column = max(column, len(r.words))
		}
	}
	group, items := "", []item(nil)
	write := func() {
		if len(items) > 0 {
			fmt.Fprintf(&b, "\n%s:\n", group)
			list(&b, items, column, width)
		}
	}
	for _, r := range rows {
		if r.group != group {
			write()
			group, items = r.group, nil
		}
		if r.isCommand() {
			items = append(items, item{r.words, r.usage})
		}
	}
	write()
	b.WriteByte('\n')
	paragraph(&b, `"postfix-maint help COMMAND" tells of one, with an example. Options may stand anywhere. Manual page: postfix-maint(8)`, 0, width)
	return b.String()
}

// helpOf tells of one command, or of those that begin with its word.
func helpOf(rows []row, words string, width int) string {
	i := slices.IndexFunc(rows, func(r row) bool { return r.words == words })
	r := rows[i]
	var further []item
	for _, sub := range rows {
		if name, ok := strings.CutPrefix(sub.words, words+" "); ok && sub.isCommand() {
			further = append(further, item{strings.TrimSpace(name + " " + sub.operands), sub.usage})
		}
	}
	var b strings.Builder
	call := strings.TrimSpace("postfix-maint " + words + " " + r.operands)
	if r.do == nil {
		call += " COMMAND"
	}
	if !r.who.dpkg {
		call += " [OPTION...]"
	}
	paragraph(&b, "Usage: "+call, 7, width)
	b.WriteByte('\n')
	paragraph(&b, strings.ToUpper(r.usage[:1])+r.usage[1:]+".", 0, width)
	section(&b, "Commands", further, width)
	if !r.who.dpkg {
		section(&b, "Options", append(optionItems(r.flags), item{"--help", "show this"}), width)
	}
	if r.example != "" {
		fmt.Fprintf(&b, "\nExample:\n%s\n", folded("postfix-maint "+r.example, width))
	}
	fmt.Fprintf(&b, "\nManual page: %s(8)\n", r.manual())
	return b.String()
}

// manual is the name of the row's manual page.
func (r row) manual() string {
	return strings.TrimSuffix("postfix-maint-"+r.page, "-")
}

func section(b *strings.Builder, title string, items []item, width int) {
	if len(items) == 0 {
		return
	}
	column := 0
	for _, i := range items {
		column = max(column, len(i.name))
	}
	fmt.Fprintf(b, "\n%s:\n", title)
	list(b, items, min(column, 24), width)
}

// list writes names, and beside each what is said of it; below it where the name is too long.
func list(b *strings.Builder, items []item, column, width int) {
	for _, i := range items {
		if len(i.name) > column {
			fmt.Fprintf(b, "  %s\n%*s", i.name, column+4, "")
		} else {
			fmt.Fprintf(b, "  %-*s", column+2, i.name)
		}
		paragraph(b, i.text, column+4, width)
	}
}

// paragraph writes a text in lines of at most width columns; all but the first are indented.
func paragraph(b *strings.Builder, text string, indent, width int) {
	at := indent
	for n, word := range strings.Fields(text) {
		switch {
		case n == 0:
		case at+1+len(word) > width:
			fmt.Fprintf(b, "\n%*s", indent, "")
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	b.WriteByte('\n')
}

// folded is a call that can be copied, in lines that fit as far as its options let it.
func folded(call string, width int) string {
	const indent = 2
	if indent+len(call) > width {
		call = strings.ReplaceAll(call, " --", " \\\n      --")
	}
	return strings.Repeat(" ", indent) + call
}

// optionItems are the options that help shows.
func optionItems(all flags) (items []item) {
	for _, f := range all {
		if f.(cli.VisibleFlag).IsVisible() {
			name, text := describe(f)
			items = append(items, item{name, text})
		}
	}
	return items
}

// describe gives an option with the word for its value, which its description has in back quotes, and the description.
func describe(f cli.Flag) (name, text string) {
	name, text = "--"+f.Names()[0], f.(cli.DocGenerationFlag).GetUsage()
	value := "VALUE"
	if _, from, ok := strings.Cut(text, "`"); ok {
		value, _, _ = strings.Cut(from, "`")
		text = strings.ReplaceAll(text, "`", "")
	}
	preset := ""
	switch f := f.(type) {
	case *cli.BoolFlag:
		return name, text
	case *cli.StringFlag:
		if preset = f.DefaultText; preset == "" {
			preset = f.Value
		}
	case *cli.GenericFlag:
		preset = f.DefaultText
	}
	if preset != "" {
		text += " (otherwise " + preset + ")"
	}
	if optional(f) {
		return name + "[=" + value + "]", text
	}
	if optional(f) {
		return name + "[=" + value + "]", text
	}
	return name + " " + value, text
}
