package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// roff is text as a manual page has it.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
}

// synopsis has each command of a page with its operands and options.
func synopsis(rows []row) string {
	var calls []string
	if rows[0].page == "" {
		calls = append(calls, ".B postfix\\-maint\n.I COMMAND\n.RI [ OPTION ...]\n")
	}
	for _, r := range rows {
		if r.do == nil || r.who.hidden || strings.Contains(r.words, " --") {
			continue
		}
		call := ".B postfix\\-maint " + roff(r.words) + "\n"
		for _, word := range strings.Fields(r.operands) {
			call += ".RI " + strings.NewReplacer("[", "[ ", "]", " ]").Replace(word) + "\n"
		}
		if !r.who.dpkg {
			call += ".RI [ OPTION ...]\n"
		}
		calls = append(calls, call)
	}
	return strings.Join(calls, ".br\n")
}

// reference has the options of each command of a page, its example, and the forms of its JSON.
func reference(rows []row, documents map[string]string) string {
	var b strings.Builder
	b.WriteString(".SH REFERENCE\nThe same is shown by\n.BR \"postfix-maint help \\fICOMMAND\\fP\" .\n")
	for _, r := range rows {
		if !r.isCommand() || r.who.dpkg {
			continue
		}
		fmt.Fprintf(&b, ".SS postfix\\-maint %s\n%s.\n", roff(strings.TrimSpace(r.words+" "+r.operands)), roff(strings.ToUpper(r.usage[:1])+r.usage[1:]))
		for _, i := range optionItems(r.flags) {
			fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(i.name), roff(strings.ToUpper(i.text[:1])+i.text[1:]+"."))
		}
		fmt.Fprintf(&b, ".PP\nExample:\n.PP\n.RS\n.nf\n%s\n.fi\n.RE\n", roff(strings.TrimSpace(strings.ReplaceAll(folded("postfix-maint "+r.example, 80), "\n  ", "\n"))))
	}
	if forms := formsOf(rows, documents); forms != "" {
		b.WriteString(".SH FORM OF THE JSON\nWhere \"text\", 1 or a time stands, there is a value of that kind.\n" + forms)
	}
	return b.String()
}

// formsOf has each form once, below all calls that print it.
func formsOf(rows []row, documents map[string]string) string {
	var b strings.Builder
	var seen []string
	for _, r := range rows {
		document := documents[r.words]
		if document == "" || slices.Contains(seen, document) {
			continue
		}
		seen = append(seen, document)
		for _, other := range rows {
			if documents[other.words] == document {
				fmt.Fprintf(&b, ".PP\n.B postfix\\-maint %s \\-\\-json\n", roff(other.words))
			}
		}
		fmt.Fprintf(&b, ".PP\n.RS\n.nf\n%s.fi\n.RE\n", roff(strings.ReplaceAll(document, "\t", "  ")))
	}
	return b.String()
}

// documents are the forms of testdata/json.txt by the command.
func documents(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("testdata/json.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, part := range regexp.MustCompile(`(?m)((?:^\$ .*\n)+)((?:^[^$].*\n)+)`).FindAllStringSubmatch(string(data), -1) {
		for call := range strings.Lines(part[1]) {
			all[strings.TrimSuffix(strings.TrimPrefix(call, "$ postfix-maint "), " --json\n")] = part[2]
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d forms", len(all))
	}
	return all
}

// between is what stands in a text from one line to before another, with the rest around it.
func between(t *testing.T, page, text, from, to string) (before, part, after string) {
	t.Helper()
	start := strings.Index(text, from)
	end := strings.Index(text, to)
	if end < 0 {
		t.Fatalf("%s has no %q", page, strings.TrimSpace(to))
	}
	if start < 0 {
		start = end
	}
	return text[:start], text[start:end], text[end:]
}

// The synopsis and the reference of each page are made of the table: go test -run TestManualPagesAreTheTable -golden writes them. Each page has the
// sections that a reader looks for.
func TestManualPagesAreTheTable(t *testing.T) {
	pages := map[string][]row{}
	for _, r := range table() {
		if command, _, isOption := r.option(); isOption {
			r.page = rowOf(t, command).page
		}
		pages[r.manual()] = append(pages[r.manual()], r)
	}
	forms := documents(t)
	for page, rows := range pages {
		file := "../../debian/man/" + page + ".8"
		data, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		head, hadSynopsis, rest := between(t, page, string(data), ".SH SYNOPSIS\n", ".SH DESCRIPTION\n")
		body, hadReference, tail := between(t, page, rest, ".SH REFERENCE\n", ".SH EXIT STATUS\n")
		wantSynopsis, wantReference := ".SH SYNOPSIS\n"+synopsis(rows), reference(rows, forms)
		if *rewriteGolden {
			if err := os.WriteFile(file, []byte(head+wantSynopsis+body+wantReference+tail), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if hadSynopsis != wantSynopsis || hadReference != wantReference {
			t.Errorf("%s does not say what the table says: go test -run TestManualPagesAreTheTable -golden", page)
		}
		for _, section := range []string{".SH NAME\n" + page + " \\- ", ".SH EXIT STATUS\n", ".SH SEE ALSO\n"} {
			if !strings.Contains(string(data), section) {
				t.Errorf("%s has no %q", page, section)
			}
		}
	}
	if len(pages) != 9 {
		t.Errorf("%d pages", len(pages))
	}
}

// What a page calls an option of ours is one, and what it calls a command is one.
func TestManualPagesNameNothingElse(t *testing.T) {
	files, err := filepath.Glob("../../debian/man/postfix-maint*.8")
	if err != nil || len(files) != 10 {
		t.Fatalf("%q, %v", files, err)
	}
	known := []string{"help", "version"}
	var calls []string
	for _, r := range table() {
		known = append(known, flagNamesOf(r)...)
		calls = append(calls, r.words)
	}
	packaged, err := os.ReadFile("../../debian/postfix-maint.manpages")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), `\-`, "-")
		for _, m := range regexp.MustCompile(`(?m)(?:^|[^a-z-])--([a-z][a-z-]*)`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(known, m[1]) {
				t.Errorf("%s: there is no option --%s", file, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`(?m)^\.B postfix-maint ([a-z -]+)$`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(calls, strings.TrimSuffix(m[1], " --json")) {
				t.Errorf("%s: there is no command %q", file, m[1])
			}
		}
		if !strings.Contains(string(packaged), strings.TrimPrefix(file, "../../")+"\n") {
			t.Errorf("%s is not in the package", file)
		}
	}
}

func flagNamesOf(r row) (all []string) {
	for _, f := range r.flags {
		all = append(all, f.Names()...)
	}
	return all
}

// Every page is read by mandoc without a word, and by groff as man(1) calls it.
func TestManualPagesAreClean(t *testing.T) {
	files, err := filepath.Glob("../../debian/man/*.8")
	if err != nil || len(files) < 10 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		for _, reader := range []string{"mandoc -Tlint -W warning", "man --warnings -E UTF-8 -Tutf8 -Z -l"} {
			words := append(strings.Fields(reader), file)
			cmd := exec.Command(words[0], words[1:]...)
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=80")
			var said strings.Builder // of man(1) the page itself is the other output
			cmd.Stderr = &said
			if words[0] == "mandoc" {
				cmd.Stdout = &said
			}
			err := cmd.Run()
			if errors.Is(err, exec.ErrNotFound) {
				t.Skip(err) // integration/ci/prepare installs it
			}
			if err != nil || said.Len() > 0 {
				t.Errorf("%s: %s: %v\n%s", file, words[0], err, said.String())
			}
		}
	}
}
