package main

import (
	"os"
	"strings"
	"testing"

	"postfix-maint/internal/history"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// A command that changes more than files has an opposite, unless it changes nothing or there is no way back.
func TestOpposite(t *testing.T) {
	files := map[string]string{
		"etc/postfix/main.cf":     "multi_instance_directories = /etc/postfix-in /etc/postfix-out\nmulti_instance_enable = yes\n",
		"etc/postfix-in/main.cf":  "multi_instance_name = postfix-in\nmulti_instance_enable = yes\n",
		"etc/postfix-out/main.cf": "multi_instance_name = postfix-out\n",
	}
	for call, want := range map[string]string{
		"instance create new":          "instance remove new",
		"instance enable postfix-out":  "instance disable postfix-out",
		"instance enable postfix-in":   "",
		"instance disable postfix-in":  "instance enable postfix-in",
		"instance disable postfix-out": "",
		"instance disable none":        "",
		"instance remove postfix-in":   "final",
		"sandbox strict":               "sandbox default",
		"sandbox default":              "",
		"chroot off":                   "",
		"apply":                        "",
		"":                             "",
	} {
		back, final := opposite(sysroottest.New(t, files), strings.Fields(call))
		got := ""
		if back != nil {
			got = strings.Join(back.Words, " ")
		}
		if final != "" {
			got += "final"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
	files[paths.StrictDropIn[1:]] = "-> " + paths.StrictProfile
	if back, _ := opposite(sysroottest.New(t, files), []string{"sandbox", "default"}); back == nil || back.Words[1] != "strict" {
		t.Errorf("sandbox default: %v", back)
	}
}

// An instance that somebody has edited since it was made, or of which nobody knows, does not go with its entry; one that is taken back is not
// taken back twice.
func TestUndoByIsRefused(t *testing.T) {
	root := sysroottest.New(t, map[string]string{
		"etc/postfix/main.cf": "multi_instance_directories = /etc/postfix-out\n", "etc/postfix-out/main.cf": "multi_instance_name = postfix-out\n",
	})
	part := func(back *history.Back) history.Entry {
		return history.Entry{Number: 7, Parts: []history.Part{{Back: back}}}
	}
	words := []string{"instance", "remove", "postfix-out"}
	kept := &history.Back{Words: words}
	if err := kept.Keep(root, "/etc/postfix-out/main.cf"); err != nil {
		t.Fatal(err)
	}
	if name, err := kept.Edited(root); name != "" || err != nil {
		t.Errorf("edited: %q, %v", name, err)
	}
	if _, err := root.WriteFile("/etc/postfix-out/main.cf", []byte("multi_instance_name = postfix-out\na = c\n"), sysroot.Attr{UID: os.Geteuid(), GID: os.Getegid()}); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		back  *history.Back
		taken int
		want  string
	}{
		"edited":      {back: kept, want: `cannot take back 7: /etc/postfix-out/main.cf was changed since; "postfix-maint instance remove postfix-out" removes the instance all the same`},
		"interrupted": {back: &history.Back{Words: words}, want: "the command was interrupted"},
		"twice":       {back: kept, taken: 9, want: "7 is taken back already, by 9"},
		"gone":        {back: &history.Back{Words: words, Whole: map[string]string{"/etc/postfix-out/master.cf": "1"}}, want: "was changed since"},
		"of nobody":   {back: &history.Back{Words: []string{"instance", "enable", "none"}}, want: `there is no instance "none" any more`},
		"nonsense":    {back: &history.Back{Words: []string{"rm", "all"}}, want: "a command that there is not: postfix-maint rm all"},
	} {
		if _, err := undoBy(t.Context(), &call{root: root}, part(c.back), c.taken); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
