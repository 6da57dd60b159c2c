package mastercf

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// genFile makes master.cf texts; sound ones hold only services that Postfix takes.
func genFile(sound bool) *rapid.Generator[string] {
	from := func(list ...string) *rapid.Generator[string] { return rapid.SampledFrom(list) }
	flag := func(bad ...string) *rapid.Generator[string] {
		if sound {
			bad = nil
		}
		return from(append(bad, "y", "n", "-", "y", "n", "-", "y", "n", "-")...)
	}
	fields := []*rapid.Generator[string]{
		from("smtp", "smtp", "127.0.0.1:10025", "relay", "x-y"), flag(), flag("x"), flag(""), flag("yes"), from("-", "60", "1000?", "0"),
		from("-", "0", "1"), from("smtpd", "pipe", "/usr/bin/x"),
	}
	fields[1] = from("inet", "unix", "pass", "unix-dgram", "fifo")
	gap := from(" ", " ", "  ", "\t", "      ", "\n  ", "\n# c\n ", "\n\n\t")
	noise := from("# c\n", "\n", "#smtp inet n - y - - smtpd\n", "  \n", " # c\n", "\r\n")
	arg := from("-v", "-o a=b", "-o { a = b c }", "-o{a=x}", "-ob=c", "-vo c=$d", "-o {b=}", "-D", "flags=x", "argv=/y {z}", "{p q}", "--", "${w}")
	return rapid.Custom(func(t *rapid.T) string {
		var s strings.Builder
		s.WriteString(from("", "", " orphan\n").Draw(t, "orphan"))
		for range rapid.IntRange(0, 6).Draw(t, "services") {
			s.WriteString(noise.Draw(t, "noise"))
			for i, f := range fields {
				if i > 0 {
					s.WriteString(gap.Draw(t, "gap"))
				}
				s.WriteString(f.Draw(t, "field"))
			}
			for range rapid.IntRange(0, 4).Draw(t, "arguments") {
				s.WriteString(gap.Draw(t, "gap") + arg.Draw(t, "argument"))
			}
			s.WriteString(from("\n", "\n", " \n", "\r\n", "").Filter(func(e string) bool { return e != "" }).Draw(t, "end"))
		}
		if rapid.IntRange(0, 4).Draw(t, "final newline") == 0 {
			return strings.TrimSuffix(s.String(), "\n")
		}
		return s.String()
	})
}

func TestProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := genFile(true).Draw(t, "file")
		f, err := Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if string(f.Bytes()) != text {
			t.Fatal("the file did not come out byte for byte")
		}
		for _, s := range f.Services() {
			on := rapid.Bool().Draw(t, "on")
			checkSetChroot(t, f, s, on)
		}
	})
}

// checkSetChroot allows a change of one byte for each service of that name, and of one field in their reading.
func checkSetChroot(t *rapid.T, f *File, s Service, on bool) {
	want := f.Services()
	value := map[bool]string{true: "y", false: "n"}[on]
	changes := 0
	for i := range want {
		if want[i].Name == s.Name && want[i].Type == s.Type && want[i].Chroot != value {
			want[i].Chroot = value
			changes++
		}
	}
	before := f.Bytes()
	changed, err := f.SetChroot(s.Name, s.Type, on)
	if err != nil || changed != (changes > 0) || len(f.Bytes()) != len(before) {
		t.Fatalf("changed %t, error %v", changed, err)
	}
	for i, c := range f.Bytes() {
		if c != before[i] {
			changes--
		}
	}
	if changes != 0 {
		t.Fatalf("%d bytes too few changed", changes)
	}
	reread, err := Parse(f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, got := range [][]Service{f.Services(), reread.Services()} {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	}
}

func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte(" x\na unix - - - - - b -o {c\n=d}\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			return
		}
		if !bytes.Equal(file.Bytes(), data) {
			t.Fatal("the file did not come out byte for byte")
		}
		before := file.Services()
		if err := file.AddService("added unix - - n - - b"); err != nil {
			if !slices.ContainsFunc(before, func(s Service) bool { return s.Name == "added" }) {
				t.Fatal(err)
			}
			return
		}
		if got := file.Services(); len(got) != len(before)+1 || cmp.Diff(before, got[:len(before)]) != "" {
			t.Fatalf("an added service changed others: %+v, was %+v", got, before)
		}
		if changed, err := file.SetChroot("added", "unix", true); !changed || err != nil {
			t.Fatalf("SetChroot: changed %t, error %v", changed, err)
		}
	})
}
