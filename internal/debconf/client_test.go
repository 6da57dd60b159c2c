package debconf_test

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/debconf"
	"postfix-maint/internal/debconf/debconftest"
)

func client(t *testing.T, exchanges ...debconftest.Exchange) *debconf.Client {
	t.Helper()
	return debconf.New(debconftest.Script(t, exchanges...))
}

func TestCommands(t *testing.T) {
	cases := map[string]struct {
		command, reply string
		call           func(c *debconf.Client) (any, error)
		want           any
	}{
		"version": {"VERSION 2.0", "0 2.0",
			func(c *debconf.Client) (any, error) { return nil, c.Version("2.0") }, nil},
		"title": {"TITLE Mail for you", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Title("Mail for you") }, nil},
		"settitle": {"SETTITLE a/t", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Settitle("a/t") }, nil},
		"a question that will be shown": {"INPUT high a/b", "0 question will be asked",
			func(c *debconf.Client) (any, error) { return c.Input("high", "a/b") }, true},
		"a question that will not be shown": {"INPUT low a/b", "30 question skipped",
			func(c *debconf.Client) (any, error) { return c.Input("low", "a/b") }, false},
		"a screen": {"GO", "0 ok",
			func(c *debconf.Client) (any, error) { return nil, c.Go() }, nil},
		"clear": {"CLEAR", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Clear() }, nil},
		"a value with blanks": {"GET a/b", "0  two  blanks ",
			func(c *debconf.Client) (any, error) { return c.Get("a/b") }, " two  blanks "},
		"no value": {"GET a/b", "0 ",
			func(c *debconf.Client) (any, error) { return c.Get("a/b") }, ""},
		"a bare code": {"GET a/b", "0",
			func(c *debconf.Client) (any, error) { return c.Get("a/b") }, ""},
		"an escaped value": {"GET a/b", `1 a\nb\\n\c`,
			func(c *debconf.Client) (any, error) { return c.Get("a/b") }, "a\nb\\nc"},
		"set": {"SET a/b one two", "0 value set",
			func(c *debconf.Client) (any, error) { return nil, c.Set("a/b", "one two") }, nil},
		"set to nothing": {"SET a/b ", "0 value set",
			func(c *debconf.Client) (any, error) { return nil, c.Set("a/b", "") }, nil},
		"reset": {"RESET a/b", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Reset("a/b") }, nil},
		"a flag": {"FGET a/b seen", "0 true",
			func(c *debconf.Client) (any, error) { return c.Flag("a/b", "seen") }, true},
		"a flag never set": {"FGET a/b changed", "0 false",
			func(c *debconf.Client) (any, error) { return c.Flag("a/b", "changed") }, false},
		"setting a flag": {"FSET a/b seen false", "0 false",
			func(c *debconf.Client) (any, error) { return nil, c.SetFlag("a/b", "seen", false) }, nil},
		"subst": {"SUBST a/b key some words", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Subst("a/b", "key", "some words") }, nil},
		"metaget": {"METAGET a/b Description", "0 What?",
			func(c *debconf.Client) (any, error) { return c.Metaget("a/b", "Description") }, "What?"},
		"register": {"REGISTER a/t a/q", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Register("a/t", "a/q") }, nil},
		"unregister": {"UNREGISTER a/q", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Unregister("a/q") }, nil},
		"purge": {"PURGE", "0",
			func(c *debconf.Client) (any, error) { return nil, c.Purge() }, nil},
		"a bar": {"PROGRESS START 0 10 a/p", "0 OK",
			func(c *debconf.Client) (any, error) { return nil, c.ProgressStart(0, 10, "a/p") }, nil},
		"a bar's step": {"PROGRESS STEP 2", "0 OK",
			func(c *debconf.Client) (any, error) { return nil, c.ProgressStep(2) }, nil},
		"a bar's text": {"PROGRESS INFO a/p", "0 OK",
			func(c *debconf.Client) (any, error) { return nil, c.ProgressInfo("a/p") }, nil},
		"a bar's end": {"PROGRESS STOP", "0 OK",
			func(c *debconf.Client) (any, error) { return nil, c.ProgressStop() }, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := tc.call(client(t, debconftest.Exchange{Command: tc.command, Reply: tc.reply}))
			if err != nil || got != tc.want {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// What was read is not asked for again, until a command may have changed it.
func TestReadsOnce(t *testing.T) {
	get := debconftest.Exchange{Command: "GET a/b", Reply: "0 old"}
	flag := debconftest.Exchange{Command: "FGET a/b seen", Reply: "0 true"}
	for name, tc := range map[string]struct {
		between debconftest.Exchange
		call    func(c *debconf.Client) error
		again   bool
	}{
		"nothing":                     {},
		"a question that is skipped":  {debconftest.Exchange{Command: "INPUT low a/b", Reply: "30 question skipped"}, func(c *debconf.Client) error { _, err := c.Input("low", "a/b"); return err }, false},
		"a question that is shown":    {debconftest.Exchange{Command: "INPUT low a/b", Reply: "0 question will be asked"}, func(c *debconf.Client) error { _, err := c.Input("low", "a/b"); return err }, true},
		"a screen":                    {debconftest.Exchange{Command: "GO", Reply: "0 ok"}, (*debconf.Client).Go, true},
		"a screen that is left again": {debconftest.Exchange{Command: "GO", Reply: "30 backup"}, func(c *debconf.Client) error { _ = c.Go(); return nil }, true},
		"a screen that is dropped":    {debconftest.Exchange{Command: "CLEAR", Reply: "0"}, (*debconf.Client).Clear, false},
		"another question's value":    {debconftest.Exchange{Command: "SET a/c x", Reply: "0 value set"}, func(c *debconf.Client) error { return c.Set("a/c", "x") }, true},
		"a flag":                      {debconftest.Exchange{Command: "FSET a/b seen false", Reply: "0 false"}, func(c *debconf.Client) error { return c.SetFlag("a/b", "seen", false) }, true},
		"the default":                 {debconftest.Exchange{Command: "RESET a/b", Reply: "0"}, func(c *debconf.Client) error { return c.Reset("a/b") }, true},
		"another way to write values": {debconftest.Exchange{Command: "CAPB escape", Reply: "0 escape"}, func(c *debconf.Client) error { _, err := c.Capb("escape"); return err }, true},
		"the same way to write them":  {debconftest.Exchange{Command: "CAPB backup", Reply: "0 backup"}, func(c *debconf.Client) error { _, err := c.Capb("backup"); return err }, false},
	} {
		t.Run(name, func(t *testing.T) {
			said := []debconftest.Exchange{get, flag}
			if tc.call != nil {
				said = append(said, tc.between)
			}
			want := "old"
			if tc.again {
				want = "new"
				said = append(said, debconftest.Exchange{Command: "GET a/b", Reply: "0 new"}, flag)
			}
			c := client(t, said...)
			read := func() (string, bool) {
				value, err := c.Get("a/b")
				seen, again := c.Flag("a/b", "seen")
				if err := errors.Join(err, again); err != nil {
					t.Fatal(err)
				}
				return value, seen
			}
			read()
			if tc.call != nil {
				if err := tc.call(c); err != nil {
					t.Fatal(err)
				}
			}
			if value, seen := read(); value != want || !seen {
				t.Errorf("got %q, %v; want %q", value, seen, want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	cases := map[string]struct {
		command, reply string
		call           func(c *debconf.Client) error
		code           int
		is             error
	}{
		"back": {"GO", "30 backup",
			func(c *debconf.Client) error { return c.Go() }, 0, debconf.ErrBack},
		"no such question": {"GET no/q", "10 no/q doesn't exist",
			func(c *debconf.Client) error { _, err := c.Get("no/q"); return err }, 10, fs.ErrNotExist},
		"no such question to ask": {"INPUT low no/q", `10 "no/q" doesn't exist`,
			func(c *debconf.Client) error { _, err := c.Input("low", "no/q"); return err }, 10, fs.ErrNotExist},
		"an unknown priority": {"INPUT urgent a/b", `20 "urgent" is not a valid priority`,
			func(c *debconf.Client) error { _, err := c.Input("urgent", "a/b"); return err }, 20, nil},
		"another version": {"VERSION 3.0", "30 Version too high (3.0)",
			func(c *debconf.Client) error { return c.Version("3.0") }, 30, nil},
		"a frontend in trouble": {"SUBST a/b k v", "100 Substitution failed",
			func(c *debconf.Client) error { return c.Subst("a/b", "k", "v") }, 100, nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := tc.call(client(t, debconftest.Exchange{Command: tc.command, Reply: tc.reply}))
			if tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("got %v, want %v", err, tc.is)
			}
			if tc.code == 0 {
				return
			}
			var refused *debconf.Error
			if !errors.As(err, &refused) || refused.Code != tc.code || !strings.HasPrefix(tc.command, refused.Command) {
				t.Errorf("got %#v, want code %d for %q", err, tc.code, tc.command)
			}
			if tc.is == nil && errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v counts as a question that is not there", err)
			}
		})
	}
}

func TestEscaping(t *testing.T) {
	commands := debconftest.Exchange{Command: "CAPB backup escape", Reply: "0 multiselect escape backup"}
	for value, wire := range map[string]string{
		"one two":       "one two",
		"two\nlines":    `two\nlines`,
		`back\slash`:    `back\\slash`,
		`\n`:            `\\n`,
		" two  blanks ": `\ two \ blanks\ `,
		"tab\tbed":      "tab\\\tbed",
		"umläut":        "umläut",
	} {
		c := client(t, commands, debconftest.Exchange{Command: "SET a/b " + wire, Reply: "0 value set"})
		capabilities, err := c.Capb("backup", "escape")
		if err != nil || !slices.Equal(capabilities, []string{"multiselect", "escape", "backup"}) {
			t.Fatal(capabilities, err)
		}
		if err := c.Set("a/b", value); err != nil {
			t.Errorf("%q: %v", value, err)
		}
	}
}

// What is set is what is read, whatever is in it.
func TestRoundTrip(t *testing.T) {
	f := debconftest.New(map[string]debconftest.Template{"a/b": {Type: "string", Default: "d"}})
	err := f.Run(func(r io.Reader, w io.Writer) error {
		c := debconf.New(r, w)
		if got, err := c.Get("a/b"); err != nil || got != "d" {
			t.Errorf("the default is %q, %v", got, err)
		}
		if _, err := c.Capb("escape"); err != nil {
			return err
		}
		for _, value := range []string{"", "x", " x", "x ", "a  b", "a\n\nb", `\`, `\\n`, "a\t b", "\n", "ä ö", "a\rb"} {
			if err := c.Set("a/b", value); err != nil {
				return err
			}
			if got, err := c.Get("a/b"); err != nil || got != value {
				t.Errorf("%q is read back as %q, %v", value, got, err)
			}
		}
		return c.Stop()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestNothingIsSentThatCouldBeReadAsAnotherCommand(t *testing.T) {
	for name, call := range map[string]func(c *debconf.Client) error{
		"a value with a newline":   func(c *debconf.Client) error { return c.Set("a/b", "x\nPURGE") },
		"a question with a blank":  func(c *debconf.Client) error { return c.SetFlag("a/b c", "seen", true) },
		"a question without name":  func(c *debconf.Client) error { return c.Set("", "x") },
		"a priority with newlines": func(c *debconf.Client) error { _, err := c.Input("low\nGO\n", "a/b"); return err },
	} {
		if err := call(client(t)); err == nil {
			t.Errorf("%s is sent", name)
		} else if strings.Contains(err.Error(), "PURGE") {
			t.Errorf("%s: the message has the value: %v", name, err)
		}
	}
}

func TestStop(t *testing.T) {
	c := client(t, debconftest.Exchange{Command: "STOP"})
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Get("a/b"); err == nil {
		t.Error("a command after the end is sent")
	}
}

func TestAFrontendThatGoesAway(t *testing.T) {
	for reply, want := range map[string]string{"": "unexpected EOF", "0 no newline": "unexpected EOF", "hello\n": "hello"} {
		c := debconf.New(strings.NewReader(reply), io.Discard)
		if _, err := c.Get("a/b"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q in it", reply, err, want)
		}
	}
}
