package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestReport(t *testing.T) {
	r := &report{}
	r.begin("trixie", "reconfigure")
	r.title("dpkg-reconfigure (more words)")
	r.span("wall time, median of 5", time.Second, 80*time.Millisecond, share(0.4))
	r.span("wall time, one file, median of 5", time.Second, 500*time.Millisecond, share(0.4))
	r.count("programs executed", 0, 14, want{})
	r.count("failed", 3, 3, share(1))
	r.alone("memory", 41, "MiB", most(40, "MiB"))
	r.table("growth", "1", "21", "asked for")
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string][]string{
		"bench.md": {
			"| trixie | Debian | ours | ratio | asked for |\n|---|---:|---:|---:|---|\n", "| growth | 1 | 21 | asked for |\n|---|---:|---:|---|\n",
			"| wall time, median of 5 | 1000.0 ms | 80.0 ms | 0.08 | ratio at most 0.40 |", "| programs executed | 0 | 14 |  |  |",
			"| failed | 3 | 3 | 1.00 | ratio at most 1.00 |", "| 0.50 | **missed: ratio at most 0.40** |", "| memory | - | 41 MiB |  | **missed: at most 40 MiB** |",
		},
		"summary.md": {
			"| Debian's layer / ours | asked for | trixie |\n|---|---|---|\n",
			"| dpkg-reconfigure (more words): wall time | ratio at most 0.40 | 1000.0 ms / 80.0 ms / 0.08 |\n", "| at most 40 MiB | 41 MiB, **missed** |",
		},
		figuresFile: {`"Part": "reconfigure"`},
		"bench.svg": {"<svg", "trixie: dpkg-reconfigure  ", "trixie: dpkg-reconfigure, one file  "},
	} {
		text, err := os.ReadFile(dir + "/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range want {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s lacks %q:\n%.900s", file, part, text)
			}
		}
	}
	if missed := r.misses(); len(missed) != 2 || !strings.HasPrefix(missed[1], "trixie: dpkg-reconfigure (more words): memory: - / 41 MiB") {
		t.Errorf("missed: %q", missed)
	}
}

func TestWant(t *testing.T) {
	for _, c := range []struct {
		asked        want
		debian, ours float64
		missed       bool
	}{
		{want{}, 1, 100, false},
		{share(0.3), 100, 30, false},
		{share(0.3), 100, 31, true},
		{share(1), 0, 0, false},
		{share(1), 0, 1, true},
		{most(0, ""), 7, 0, false},
		{most(0, ""), 7, 1, true},
	} {
		if got := c.asked.missed(c.debian, c.ours); got != c.missed {
			t.Errorf("%q with %g and %g: missed is %v", c.asked.Text, c.debian, c.ours, got)
		}
	}
}

// TestMerge measures one part anew: the others stay, in their order.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	measured := func(release, part, title string) *report {
		r := &report{}
		r.begin(release, part)
		r.title(title)
		r.title("-")
		if err := r.merge(dir+"/"+figuresFile, []string{"bookworm", "trixie"}, []string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
		return r
	}
	measured("trixie", "a", "old")
	measured("trixie", "b", "2")
	measured("bookworm", "b", "0")
	var titles string
	for _, line := range measured("trixie", "a", "1").rows {
		titles += line.Title
	}
	if titles != "0-1-2-" {
		t.Errorf("the titles are %q", titles)
	}
}

func TestGrows(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []float64
		want   bool
	}{
		{"flat", []float64{7.7, 20.2, 123.2}, false},
		{"dearer with each", []float64{7.7, 20.2, 400}, true},
		{"memory that was given back meanwhile", []float64{17.9, 13, 18.3}, false},
		{"given back, and then grown", []float64{17.9, 13, 80}, true},
	} {
		each := [2]float64{(c.values[1] - c.values[0]) / 20, (c.values[2] - c.values[1]) / 180}
		if got := grows(c.values, each); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
