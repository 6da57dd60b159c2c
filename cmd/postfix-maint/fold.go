package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// whole is the option that shows long diffs whole.
const whole = "diff"

// foldAt is how many lines of a diff a screen has room for, with what stands around it.
const foldAt = 40

func wholeFlag() cli.Flag {
	return &cli.BoolFlag{Name: whole, Usage: "show long diffs whole, on a terminal too"}
}

// onScreen is a diff as this call shows it: on a terminal the beginning of a long one, anywhere else all of it.
func (c *call) onScreen(text string) string {
	has := slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return f.Names()[0] == whole })
	if !has || c.Bool(whole) || !isTerminal(c.stdout) {
		return text
	}
	return fold(text, foldAt)
}

// fold leaves the first lines of a text that has more than so many.
func fold(text string, most int) string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) <= most {
		return text
	}
	return fmt.Sprintf("%s... %d more lines: --%s shows them\n", strings.Join(lines[:most], ""), len(lines)-most, whole)
}
