// Package lines (ring: format) cuts a text into lines as Postfix reads its configuration files and tables (readllines(3) of
// its sources): a line whose first character is white space continues the logical line before it, whatever comments and
// blank lines stand between; what continues nothing is ignored.
package lines

import (
	"bytes"
	"fmt"
	"strings"
)

// Blanks are the characters that Postfix's ISSPACE takes for white space inside a line.
const Blanks = " \t\v\f\r"

// Split cuts a text behind each newline; the last line may have none. It refuses null bytes: Postfix ignores the text
// behind one with no more than a warning.
func Split(data []byte) ([]string, error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return nil, fmt.Errorf("cannot read line %d: it holds a null byte", bytes.Count(data[:i], []byte("\n"))+1)
	}
	lines := make([]string, 0, bytes.Count(data, []byte("\n"))+1)
	for line := range strings.SplitAfterSeq(string(data), "\n") {
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// Logical returns the logical lines, each as the indices of the physical lines that hold its text. Comments and blank lines
// between them are in none.
func Logical(lines []string) [][]int {
	var groups [][]int
	rows, start := make([]int, 0, len(lines)), 0 // one array for all of them
	for i, line := range lines {
		text := strings.TrimLeft(line, Blanks+"\n")
		switch {
		case text == "" || text[0] == '#':
		case len(text) == len(line):
			start, rows = len(rows), append(rows, i)
			groups = append(groups, rows[start:len(rows):len(rows)])
		case len(groups) > 0:
			rows = append(rows, i)
			groups[len(groups)-1] = rows[start:len(rows):len(rows)]
		}
	}
	return groups
}

// Join returns the text of a logical line: its physical lines without their newlines and with nothing between them. The
// leading blanks of a continuation line stay in the text.
func Join(lines []string, rows []int) string {
	if len(rows) == 1 {
		return strings.TrimSuffix(lines[rows[0]], "\n")
	}
	var joined strings.Builder
	for _, i := range rows {
		joined.WriteString(strings.TrimSuffix(lines[i], "\n"))
	}
	return joined.String()
}

// Append adds a line with the line end that the first line has, and mends a missing newline before it.
func Append(lines []string, text string) []string {
	if n := len(lines); n > 0 && strings.HasSuffix(lines[n-1], "\r") { // half a line end
		lines[n-1] += "\n"
	}
	end := "\n"
	if len(lines) > 0 && strings.HasSuffix(lines[0], "\r\n") {
		end = "\r\n"
	}
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += end
	}
	return append(lines, text+end)
}
