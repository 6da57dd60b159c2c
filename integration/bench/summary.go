package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// summary is the table for README: what is asked for, a column for each release with Debian's figure, ours and the ratio.
func (r *report) summary() string {
	var names, releases []string
	asked, cells := map[string]string{}, map[string]string{} // the second one by name and release
	title := ""
	for _, line := range r.rows {
		switch {
		case line.Head != nil:
			_, title, _ = strings.Cut(line.Head[0], ", ")
			title += " (1 / 21 / 201)"
		case line.Title != "":
			title = line.Title
		case line.Asked.Text != "":
			name := title + ": " + times.ReplaceAllString(line.Label, "")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			if !slices.Contains(releases, line.Release) {
				releases = append(releases, line.Release)
			}
			asked[name], cells[name+"|"+line.Release] = line.Asked.Text, line.brief()
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "| Debian's layer / ours | asked for | %s |\n|---|---|%s\n", strings.Join(releases, " | "), strings.Repeat("---|", len(releases)))
	for _, name := range names {
		fmt.Fprintf(&b, "| %s | %s |", name, asked[name])
		for _, release := range releases {
			fmt.Fprintf(&b, " %s |", cells[name+"|"+release])
		}
		b.WriteString("\n")
	}
	return b.String()
}

// times says how often something was timed; a release may have been measured more often than the other.
var times = regexp.MustCompile(`, median of \d+`)

// brief is the row's figures in one cell.
func (line row) brief() string {
	var some []string
	for _, c := range line.Cells[:min(len(line.Cells), 3)] {
		if c != "" && c != "-" {
			some = append(some, c)
		}
	}
	text := strings.Join(some, " / ")
	if line.Missed {
		text += ", **missed**"
	}
	return text
}
