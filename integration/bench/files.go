package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// merge takes over from an earlier run what this one has not measured: a run of all takes longer than some have patience for. names are
// the parts in their order.
func (r *report) merge(file string, releases, names []string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var old []row
	if err == nil {
		err = json.Unmarshal(text, &old)
	}
	if err != nil {
		return fmt.Errorf("cannot use the earlier figures: %w", err)
	}
	measured := slices.Clone(r.rows)
	for _, line := range old {
		if !slices.ContainsFunc(measured, func(l row) bool { return l.Release == line.Release && l.Part == line.Part }) {
			r.rows = append(r.rows, line)
		}
	}
	slices.SortStableFunc(r.rows, func(a, b row) int {
		place := func(l row) int { return slices.Index(releases, l.Release)*len(names) + slices.Index(names, l.Part) }
		return place(a) - place(b)
	})
	return nil
}

// write leaves the report in a directory, bench.md and bench.svg, and what README shows of it, summary.md.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot keep the report: %w", err)
	}
	text, err := json.MarshalIndent(r.rows, "", "\t")
	if err != nil {
		return fmt.Errorf("cannot keep the report: %w", err)
	}
	for name, text := range map[string][]byte{figuresFile: text, "bench.md": []byte(r.markdown()), "summary.md": []byte(r.summary())} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			return fmt.Errorf("cannot keep the report: %w", err)
		}
	}
	if err := r.draw(filepath.Join(dir, "bench.svg")); err != nil {
		return fmt.Errorf("cannot draw the report: %w", err)
	}
	return nil
}

// figuresFile has the figures of all parts that were ever measured.
const figuresFile = "bench.json"

// misses lists the figures that are not what is asked for, a line each.
func (r *report) misses() (lines []string) {
	title := ""
	for _, line := range r.rows {
		switch {
		case line.Head != nil:
			title = ""
		case line.Title != "":
			title = line.Title + ": "
		case line.Missed:
			lines = append(lines, fmt.Sprintf("%s: %s%s: %s: %s", line.Release, title, line.Label, strings.Join(line.Cells, " / "), line.Asked.Text))
		}
	}
	return lines
}

func (r *report) markdown() string {
	var b strings.Builder
	var days []string
	for _, line := range r.rows {
		days = append(days, line.Day)
	}
	slices.Sort(days)
	fmt.Fprintf(&b, "Measured on %s, %d processors, Debian's layer and ours side by side.\n", strings.Join(slices.Compact(days), " and "), runtime.NumCPU())
	var head []string
	of := ""
	begin := func(columns []string) {
		head = columns
		fmt.Fprintf(&b, "\n| %s |\n|---|%s---|\n", strings.Join(head, " | "), strings.Repeat("---:|", len(head)-2))
	}
	for _, line := range r.rows {
		if line.Release != of && line.Head == nil {
			begin(append([]string{line.Release}, heads...))
		}
		of = line.Release
		switch {
		case line.Head != nil:
			begin(line.Head)
		case line.Title != "":
			fmt.Fprintf(&b, "| **%s** |%s\n", line.Title, strings.Repeat(" |", len(head)-1))
		default:
			verdict := line.verdict()
			if line.Missed {
				verdict = "**" + verdict + "**"
			}
			fmt.Fprintf(&b, "| %s | %s | %s |\n", line.Label, strings.Join(line.Cells, " | "), verdict)
		}
	}
	return b.String()
}
