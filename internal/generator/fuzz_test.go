package generator

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// ours is each line that a drop-in may have. A value that broke out of its line would be a setting of somebody else's choice,
// in a unit that root runs.
var ours = regexp.MustCompile(`^(#.*|\[Unit\]|\[Service\]|\[Path\]|(Description|AssertPathExists|ConditionPathExists|RequiresMountsFor|PartOf|Requires|After|` +
	`PropagatesReloadTo|Wants|Environment|Slice|ExecCondition|ExecStart|ExecStartPre|ExecStop|ExecReload|Type|RemainAfterExit|Restart|PathModified)=.*)?$`)

// FuzzUnits gives any bytes as the main.cf of an instance beside a good one, and as that of the primary one.
func FuzzUnits(f *testing.F) {
	for _, text := range []string{
		"", "multi_instance_name = postfix-good\n", "multi_instance_name = a b\n", "multi_instance_name = a\n [Service]\n",
		"multi_instance_directories = /etc/postfix /etc/postfix-good,/etc/postfix-fuzz /x\\\n\t/etc/postfix/../postfix-good\n",
		"multi_instance_name = ${multi_instance_name}\n", "queue_directory = /a\"\\\n data_directory = /b%n\n", "multi_instance_enable = perhaps",
		"a = ${{$a} == {b} ? {c} : {d}}\nmulti_instance_name = $a$$\n", "\x00\xff\xfe", "multi_instance_name = \xff\v\r\n", "= x", "x",
		"multi_instance_directories = " + strings.Repeat("/etc/postfix-fuzz ", 100) + "\n", strings.Repeat("${a?", 200), "multi_instance_name = %i\\x2d.@:",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		good := "postfix@postfix-good.service.d/" + DropIn
		beside := fuzzed(t, map[string]string{
			"/etc/postfix/main.cf":      "multi_instance_directories = /etc/postfix-good /etc/postfix-fuzz\n",
			"/etc/postfix-good/main.cf": "multi_instance_name = postfix-good\n", "/etc/postfix-fuzz/main.cf": string(text),
		})
		if !slices.Contains(beside, good) {
			t.Errorf("the good instance is lost: %q", beside)
		}
		as := fuzzed(t, map[string]string{
			"/etc/postfix/main.cf": string(text), "/etc/postfix-good/main.cf": "multi_instance_name = postfix-good\n", "/etc/postfix-fuzz/main.cf": "",
		})
		if !slices.Contains(as, "postfix@-.service.d/"+DropIn) {
			t.Errorf("the primary instance is lost: %q", as)
		}
	})
}

// fuzzed checks the units of a host and gives their paths.
func fuzzed(t *testing.T, host map[string]string) []string {
	t.Helper()
	insts, _ := (&Files{open: func(name string) ([]byte, error) {
		if text, ok := host[name]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}}).Instances()
	var all []string
	for _, file := range Units(Input{Instances: insts}) {
		if !filepath.IsLocal(file.Path) || slices.Contains(all, file.Path) {
			t.Errorf("%q is no place for a file, or taken", file.Path)
		}
		all = append(all, file.Path)
		if file.Path == Table {
			if n := len(insts); strings.Count(file.Text, "\n") != n {
				t.Errorf("%d instances are %q", n, file.Text)
			}
			continue
		}
		for line := range strings.SplitSeq(file.Text, "\n") {
			if !ours.MatchString(line) || strings.HasSuffix(line, `\`) || strings.ContainsAny(line, "\r\x00") {
				t.Errorf("%s: the line %q is not one of ours", file.Path, line)
			}
		}
	}
	return all
}

// Many files on a slow disk are no reason to give any of them up.
func TestInstancesOnSlowDisk(t *testing.T) {
	t.Parallel()
	dirs := []string{"/a", "/b", "/c", "/d", "/e", "/f"}
	insts, errs := (&Files{open: func(name string) ([]byte, error) {
		time.Sleep(patience / 3)
		if name == "/etc/postfix/main.cf" {
			return []byte("multi_instance_directories = " + strings.Join(dirs, " ")), nil
		}
		return []byte("multi_instance_name = at" + strings.ReplaceAll(filepath.Dir(name), "/", "-")), nil
	}}).Instances()
	if len(insts) != len(dirs)+1 || len(errs) > 0 {
		t.Errorf("got %v, %v", insts, errs)
	}
}
