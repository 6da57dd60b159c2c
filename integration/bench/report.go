package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report collects what a run measures: each line is printed at once, and all of it is kept as Markdown and as a picture.
type report struct {
	rows          []row
	release, part string // what is measured now
}

// row is one line of the report: the head of a table, a title within it, or figures. It is kept in a file, for a run of other parts.
type row struct {
	Day, Release, Part string
	Head               []string // of a table within a part; the first names it
	Title, Label       string
	Cells              []string
	Ratio              float64 // 0 where there is none
	Asked              want
	Missed, Picture    bool // Picture: a wall time, which the picture shows
}

// want is what is asked of a figure; the zero value asks for nothing.
type want struct {
	Text  string
	Limit float64
	Share bool // of Debian's figure, else of ours
}

// share asks for at most so much of what stands in Debian's column.
func share(limit float64) want { return want{fmt.Sprintf("ratio at most %.2f", limit), limit, true} }

// most asks for at most so many, in the unit of the figure.
func most(limit float64, unit string) want {
	return want{strings.TrimSpace(fmt.Sprintf("at most %g %s", limit, unit)), limit, false}
}

func (w want) missed(debian, ours float64) bool {
	switch {
	case w.Text == "":
		return false
	case w.Share:
		return ours > w.Limit*debian
	default:
		return ours > w.Limit
	}
}

// begin is called before each part of a release.
func (r *report) begin(release, part string) {
	r.release, r.part = release, part
	fmt.Println()
	show(release+", "+part, heads)
}

// heads are the columns but the first.
var heads = []string{"Debian", "ours", "ratio", "asked for"}

// table begins a table of its own for the rest of the part; the last column is for what is asked.
func (r *report) table(head ...string) {
	fmt.Println()
	show(head[0], head[1:])
	r.keep(row{Head: head})
}

// keep adds a row.
func (r *report) keep(line row) {
	line.Day, line.Release, line.Part = time.Now().UTC().Format(time.DateOnly), r.release, r.part
	r.rows = append(r.rows, line)
}

// title names what the next lines are about.
func (r *report) title(text string) {
	fmt.Println(text)
	r.keep(row{Title: text})
}

// show prints a line of a table.
func show(label string, cells []string) {
	fmt.Printf("%-62s", label)
	for _, c := range cells {
		fmt.Printf(" %12s", c)
	}
	fmt.Println()
}

func (r *report) add(line row) {
	show("  "+line.Label, append(slices.Clone(line.Cells), line.verdict()))
	r.keep(line)
}

// verdict is what was asked, and whether it is so.
func (line row) verdict() string {
	if line.Missed {
		return "missed: " + line.Asked.Text
	}
	return line.Asked.Text
}

// both is a row with a figure of each layer.
func both(label, debian, ours string, d, o float64, asked want) row {
	line := row{Label: label, Cells: []string{debian, ours, ""}, Asked: asked, Missed: asked.missed(d, o)}
	if d != 0 {
		line.Ratio = o / d
		line.Cells[2] = fmt.Sprintf("%.2f", line.Ratio)
	}
	return line
}

// count adds a number of each layer.
func (r *report) count(label string, debian, ours int, asked want) {
	r.add(both(label, fmt.Sprint(debian), fmt.Sprint(ours), float64(debian), float64(ours), asked))
}

// span adds a time of each layer; what is asked of ours is in milliseconds.
func (r *report) span(label string, debian, ours time.Duration, asked want) {
	line := both(label, millis(debian), millis(ours), inMillis(debian), inMillis(ours), asked)
	line.Picture = strings.HasPrefix(label, wall)
	r.add(line)
}

// alone adds a figure of ours that Debian's layer has no counterpart of.
func (r *report) alone(label string, ours float64, unit string, asked want) {
	text := strings.TrimSpace(fmt.Sprintf("%.4g %s", ours, unit))
	r.add(row{Label: label, Cells: []string{"-", text, ""}, Asked: asked, Missed: asked.missed(0, ours)})
}

// wall begins the label of the times that the picture shows.
const wall = "wall time"

func inMillis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f ms", inMillis(d)) }
