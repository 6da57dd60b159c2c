package table_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"postfix-maint/internal/smarthost/table"
)

const admin = "# mine\n[old.example]:25 anna:geheim\n  more\nmail.example bert:x\n"

func TestPutAndStrip(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		entries []table.Entry
		keyed   bool
		lookups map[string]string
		gone    string
	}{
		"an empty file":                {"", []table.Entry{{"[r.example]:587", "u:p"}}, true, map[string]string{"[R.example]:587": "u:p"}, ""},
		"the entries of others stay":   {admin, []table.Entry{{"[r.example]:587", "u:p"}}, true, map[string]string{"mail.example": "bert:x", "[old.example]:25": "anna:geheim  more"}, ""},
		"the same key is stood in for": {admin, []table.Entry{{"[OLD.example]:25", "u:p"}}, true, map[string]string{"[old.example]:25": "u:p", "mail.example": "bert:x"}, "\n[old.example]:25"},
		"patterns come last":           {"/^From: x/ IGNORE\n", []table.Entry{{"/^From: x/", "DUNNO"}}, false, map[string]string{"/^From:": "x/ IGNORE"}, ""},
		"no entries":                   {admin, nil, true, map[string]string{"mail.example": "bert:x"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			put, err := table.Put([]byte(c.text), c.entries, c.keyed)
			if err != nil {
				t.Fatal(err)
			}
			for key, want := range c.lookups {
				if got, _ := table.Lookup(put, key); got != want {
					t.Errorf("Lookup(%q) = %q, want %q in\n%s", key, got, want, put)
				}
			}
			if c.gone != "" && strings.Contains("\n"+string(put), c.gone) {
				t.Errorf("%q is still an entry:\n%s", c.gone, put)
			}
			base, err := table.Strip(put)
			if err != nil {
				t.Fatal(err)
			}
			again, err := table.Put(base, c.entries, c.keyed)
			if err != nil || string(again) != string(put) {
				t.Errorf("not idempotent: %v\n%s\nafter\n%s", err, again, put)
			}
			for _, line := range strings.Split(c.text, "\n") {
				if !strings.Contains(string(base), line) {
					t.Errorf("%q is lost:\n%s", line, base)
				}
			}
		})
	}
}

func TestSame(t *testing.T) {
	entries := []table.Entry{{"[r.example]:587", "u:p"}}
	put, err := table.Put([]byte(admin), entries, true)
	if err != nil {
		t.Fatal(err)
	}
	block := strings.TrimPrefix(string(put), admin)
	for text, want := range map[string]bool{
		string(put): true, block + admin: true, "": false, admin: false, block: false, strings.Replace(block, "u:p", "u:q", 1) + admin: false,
		block + "new.example x:y\n" + admin: false,
	} {
		if got := table.Same([]byte(text), put, entries); got != want {
			t.Errorf("%v for\n%s", got, text)
		}
	}
	if a, b := " more\n", "# mine\n"; table.Same([]byte(block+a+b), []byte(a+b+block), entries) {
		t.Error("an entry goes on behind our block")
	}
}

func TestStripGivesTheFileBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		line := rapid.SampledFrom([]string{"", "# c", "a b", "a  c:d", "B x y", " cont", "\tmore", "#", `"q q"@x y`})
		text := strings.Join(rapid.SliceOfN(line, 0, 8).Draw(t, "lines"), "\n") + "\n"
		put, err := table.Put([]byte(text), []table.Entry{{"c", "z"}}, true)
		if err != nil {
			t.Fatal(err)
		}
		if base, err := table.Strip(put); err != nil || string(base) != text {
			t.Fatalf("%q came back as %q, %v", text, base, err)
		}
	})
}

func TestStripRefusesABrokenBlock(t *testing.T) {
	put, err := table.Put(nil, []table.Entry{{"k", "v"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	half := put[:strings.Index(string(put), "# END")]
	for name, text := range map[string]string{
		"no end": string(half), "two starts": string(half) + string(put), "a lone end": "# END postfix-maint smarthost\n", "a null byte": "a\x00b",
	} {
		if _, err := table.Strip([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestCheckNeverShowsALine(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"a sound file":           {admin, true},
		"nothing":                {"", true},
		"a comment first":        {" # c\nk v\n", true},
		"white space first":      {" k geheim\n", false},
		"a quote that stays":     {"\"k geheim\n", false},
		"not UTF-8":              {"k geheim\xff\n", false},
		"a key without a value":  {"geheim\n", false},
		"a quote in a value":     {"k geheim\"\n", true},
		"a blank in quotes":      {"\"a b\"@x geheim\n", true},
		"white space after text": {"k v\n geheim\n", true},
	} {
		err := table.Check([]byte(c.text))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the message shows the line: %v", name, err)
		}
	}
}

func TestMaskHidesEverySecret(t *testing.T) {
	put, err := table.Put([]byte(admin+"# old: geheim\nx geheim\n\"y geheim\n"), []table.Entry{{"mail.example", "u@x:geheim: geheim"}}, true)
	if err != nil {
		t.Fatal(err)
	}
	masked := string(table.Mask(append(put, " geheim\n"...)))
	for _, secret := range []string{"geheim", "bert:x", "more"} {
		if strings.Contains(masked, secret) {
			t.Errorf("%q is to be seen:\n%s", secret, masked)
		}
	}
	for _, want := range []string{"[old.example]:25 anna:***\n", "mail.example u@x:***\n", "# former: mail.example bert:***\n"} {
		if !strings.Contains(masked, want) {
			t.Errorf("no %q:\n%s", want, masked)
		}
	}
}

func TestCheckKey(t *testing.T) {
	for key, ok := range map[string]bool{
		"[2001:db8::1]:587": true, "a@b": true, `"a b"@c`: true, "a b": false, "": false, "#a": false, ` a`: false, `a"`: false, `a\`: false,
	} {
		if err := table.CheckKey(key); (err == nil) != ok {
			t.Errorf("CheckKey(%q) = %v", key, err)
		}
	}
}
