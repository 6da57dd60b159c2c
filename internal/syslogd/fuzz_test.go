package syslogd

import (
	"slices"
	"strings"
	"testing"
)

// FuzzOptions shows that no text of a file of options ends in a panic, and that what is put in comes out again.
func FuzzOptions(f *testing.F) {
	f.Add("SYSLOGD_OPTS=\"--no-forward\"\n")
	f.Add("x\n" + begin + "-x\nSYSLOGD_OPTS='-x -a /q/dev/log -y'\n" + end + "z")
	f.Add(begin + "\n" + linkStart + "/q/dev/log " + devLog + "\n" + end)
	f.Fuzz(func(t *testing.T, text string) {
		with, err := setOptions(text, "SYSLOGD_OPTS", []string{"/q/dev/log"})
		if err != nil {
			return
		}
		words, err := value(with, "SYSLOGD_OPTS")
		if err != nil || !slices.Contains(words, "/q/dev/log") {
			t.Errorf("%q becomes %q, which says %q, %v", text, with, words, err)
		}
		if again, err := setOptions(with, "SYSLOGD_OPTS", []string{"/q/dev/log"}); err != nil || again != with {
			t.Errorf("twice %q becomes %q, %v", with, again, err)
		}
		without, err := setOptions(with, "SYSLOGD_OPTS", nil)
		if err != nil || strings.Contains(without, begin) {
			t.Errorf("without sockets %q becomes %q, %v", with, without, err)
		}
		if link, err := setLink(text, "/q/dev/log"); err == nil {
			if gone, err := setLink(link, ""); err != nil || strings.Contains(gone, begin) {
				t.Errorf("without the link %q becomes %q, %v", link, gone, err)
			}
		}
	})
}

// What single quotes keep from the shell is not put into double quotes, where it would run.
func TestQuotesKeepTheirMeaning(t *testing.T) {
	for _, text := range []string{"O='-x `id`'\n", "O='-x $(id)'\n", `O='-x "a b"'` + "\n", `O='\'` + "\n"} {
		if got, err := setOptions(text, "O", []string{"/q/dev/log"}); err == nil {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}
