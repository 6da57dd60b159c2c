package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"postfix-maint/internal/setup"
)

// shown is a flow with what it gives printed, if it gives anything, and it may besides fail: for people as text, for machines as JSON.
func shown[T any](flow func(context.Context, *call) (*T, error), text func(*call, *T) error) action {
	return func(ctx context.Context, c *call) error {
		found, err := flow(ctx, c)
		switch {
		case found == nil:
			return err
		case c.Bool("json"):
			return errors.Join(printJSON(c.stdout, found), err)
		}
		return errors.Join(text(c, found), err)
	}
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

// did shows a change as it is made, or would be. Machines get all at the end.
func (c *call) did(what, diff string) {
	if !c.Bool("json") {
		fmt.Fprintf(c.stdout, "%s\n%s", what, diff)
	}
}

// changes is what a command changed, or would change.
type changes[C any] struct {
	Changes  []C      `json:"changes"`
	Warnings []string `json:"warnings"`
	notes    []string
}

// changed makes one, with no list that is null for machines.
func changed[C any](all []C, warnings, notes []string) *changes[C] {
	return &changes[C]{append([]C{}, all...), append([]string{}, warnings...), notes}
}

// printChanges prints what is to be said after changes that were shown one by one.
func printChanges[C any](c *call, all *changes[C]) error {
	warn(c.stderr, all.Warnings)
	note(c.stderr, all.notes)
	printIfNone(c, len(all.Changes))
	return nil
}

func printIfNone(c *call, changes int) {
	if changes == 0 {
		fmt.Fprintln(c.stdout, "nothing to do")
	}
}

// printText prints what knows its own words.
func printText[T any, P interface {
	*T
	Text() string
}](c *call, found *T) error {
	_, err := io.WriteString(c.stdout, P(found).Text())
	return err
}

// printNothing is for what nobody reads.
func printNothing[T any](*call, *T) error { return nil }

// show prints a change as it is done.
func show(w io.Writer) func(setup.Change) {
	return func(c setup.Change) { fmt.Fprintf(w, "%s: %s\n%s", c.Step, c.What, c.Diff) }
}

func warn(w io.Writer, warnings []string) { say(w, "WARNING", warnings) }

func note(w io.Writer, notes []string) { say(w, "NOTE", notes) }

func say(w io.Writer, what string, texts []string) {
	for _, text := range texts {
		fmt.Fprintf(w, "%s: %s\n", what, text)
	}
}

// sayPlan prints what a run wants people to know.
func sayPlan(w io.Writer, plan *setup.Plan) {
	warn(w, plan.Warnings)
	note(w, plan.Notes)
}
