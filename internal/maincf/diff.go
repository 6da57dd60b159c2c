package maincf

import (
	"fmt"
	"strings"
)

// context is the number of unchanged lines around a change; maxTable bounds the work for two files that share nothing.
const (
	context  = 3
	maxTable = 1 << 22
)

// Diff returns what changes from old to new as a unified diff with three lines of context, "" if nothing does. The name
// stands in both head lines, so that patch(1) finds the file.
func Diff(name string, old, new []byte) string {
	changes := compareLines(strings.SplitAfter(string(old), "\n"), strings.SplitAfter(string(new), "\n"))
	var out strings.Builder
	for _, h := range hunks(changes) {
		if out.Len() == 0 {
			fmt.Fprintf(&out, "--- %s\n+++ %s\n", name, name)
		}
		writeHunk(&out, changes, h)
	}
	return out.String()
}

// change is a line that stays (' '), goes ('-') or comes ('+').
type change struct {
	sign byte
	line string
}

// compareLines finds the lines that stay, as many as possible.
func compareLines(a, b []string) []change {
	a, b = trimLast(a), trimLast(b)
	head := 0
	for head < min(len(a), len(b)) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < min(len(a), len(b))-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var out []change
	for _, line := range a[:head] {
		out = append(out, change{' ', line})
	}
	out = appendMiddle(out, a[head:len(a)-tail], b[head:len(b)-tail])
	for _, line := range a[len(a)-tail:] {
		out = append(out, change{' ', line})
	}
	return out
}

// trimLast removes the empty string that SplitAfter leaves behind a final newline.
func trimLast(lines []string) []string {
	if lines[len(lines)-1] == "" {
		return lines[:len(lines)-1]
	}
	return lines
}

// appendMiddle compares by the table of longest common subsequences: common[i][j] is the length of that of a[i:] and b[j:].
func appendMiddle(out []change, a, b []string) []change {
	common := make([][]int, len(a)+1)
	if len(a)*len(b) > maxTable {
		common = nil
	}
	for i := len(common) - 1; i >= 0; i-- {
		common[i] = make([]int, len(b)+1)
		for j := len(b) - 1; j >= 0 && i < len(a); j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case common != nil && i < len(a) && j < len(b) && a[i] == b[j]:
			out = append(out, change{' ', a[i]})
			i++
			j++
		case i < len(a) && (j == len(b) || common == nil || common[i+1][j] >= common[i][j+1]):
			out = append(out, change{'-', a[i]})
			i++
		default:
			out = append(out, change{'+', b[j]})
			j++
		}
	}
	return out
}

// hunks returns the ranges of changes to print: each change with its context, joined where they touch.
func hunks(changes []change) [][2]int {
	var list [][2]int
	for i, c := range changes {
		if c.sign == ' ' {
			continue
		}
		from, to := max(0, i-context), min(len(changes), i+1+context)
		if n := len(list); n > 0 && from <= list[n-1][1] {
			list[n-1][1] = to
		} else {
			list = append(list, [2]int{from, to})
		}
	}
	return list
}

func writeHunk(out *strings.Builder, changes []change, h [2]int) {
	oldStart, oldCount := span(changes, h, '+')
	newStart, newCount := span(changes, h, '-')
	fmt.Fprintf(out, "@@ -%d,%d +%d,%d @@\n", oldStart, oldCount, newStart, newCount)
	for _, c := range changes[h[0]:h[1]] {
		out.WriteByte(c.sign)
		out.WriteString(c.line)
		if !strings.HasSuffix(c.line, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
}

// span counts the lines of one file before and in a hunk: those without the other file's sign. Of an empty span diff(1) gives
// the line before it.
func span(changes []change, h [2]int, other byte) (start, count int) {
	for i, c := range changes[:h[1]] {
		switch {
		case c.sign == other:
		case i < h[0]:
			start++
		default:
			count++
		}
	}
	if count > 0 {
		start++
	}
	return start, count
}
