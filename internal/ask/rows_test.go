package ask_test

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/debconf/debconftest"
)

// A row of the table of questions is enough for it to be asked: in the table's order, from the row's priority on.
func TestARowOfTheTableIsAsked(t *testing.T) {
	t.Parallel()
	for _, level := range []string{"high", "medium", "low"} {
		var want, got []string
		for _, r := range answers.Rows() {
			if r.When == nil && slices.Index(levels, r.Priority) >= slices.Index(levels, level) {
				want = append(want, string(r.Question))
			}
		}
		words := templates()
		for _, q := range want {
			if _, there := words[q]; !there {
				words[q] = debconftest.Template{Type: "string"}
			}
		}
		f := debconftest.New(words)
		f.Priority = level
		f.User = func(question, shown string) (string, bool) {
			got = append(got, question)
			return shown, false
		}
		if err := f.Run(func(replies io.Reader, commands io.Writer) error {
			return ask.Run(debconf.New(replies, commands), ask.Input{})
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("from priority %s on these are asked: %q, want %q", level, got, want)
		}
	}
}

// Each question has words: Debian's or ours.
func TestEveryRowHasItsWords(t *testing.T) {
	t.Parallel()
	ours, err := os.ReadFile("../../debian/postfix.templates")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range answers.Rows() {
		_, debians := templates()[string(r.Question)]
		if !debians && !strings.Contains("\n"+string(ours), "\nTemplate: "+string(r.Question)+"\n") {
			t.Errorf("debian/postfix.templates has no %s", r.Question)
		}
	}
}

var levels = []string{"low", "medium", "high"}
