package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"postfix-maint/internal/lock"
	"postfix-maint/internal/setup"
)

// shown is a flow with what it gives printed, if it gives anything, and it may besides fail: for people as text, for machines as one document.
func shown[T any](flow func(context.Context, *call) (*T, error), text func(*call, *T) error) action {
	return func(ctx context.Context, c *call) error {
		found, err := patiently(ctx, c, flow)
		switch {
		case found == nil:
			return err
		case c.Bool("json"):
			if failed := c.document(found, err); failed != nil || err == nil {
				return errors.Join(failed, err)
			}
			return toldError{err}
		}
		return errors.Join(text(c, found), err)
	}
}

// patiently is a flow during which people are told that it goes on.
func patiently[T any](ctx context.Context, c *call, flow func(context.Context, *call) (*T, error)) (*T, error) {
	if c.waiting = c.waits(); c.waiting == nil {
		return flow(ctx, c)
	}
	plain := c.stderr
	c.stderr = beside{c.waiting, plain}
	defer func() {
		c.waiting.stop()
		c.stderr = plain
	}()
	return flow(ctx, c)
}

// format is the number of the form that all documents have. It changes where something is taken away or gets another meaning.
const format = 1

// toldError is one that a document has already told of.
type toldError struct{ error }

// Unwrap gives the error.
func (e toldError) Unwrap() error { return e.error }

// failure is an error for machines.
type failure struct {
	Kind    string `json:"kind"` // usage, root, busy, findings, failed
	Message string `json:"message"`
	Status  int    `json:"exit_status"`
}

// kindOf tells what kind of failure an error is.
func kindOf(err error) string {
	switch {
	case errors.As(err, new(usageError)):
		return "usage"
	case errors.As(err, new(rootError)):
		return "root"
	case errors.As(err, new(*lock.BusyError)):
		return "busy"
	case errors.As(err, new(findings)), errors.Is(err, errNotInStep), errors.Is(err, errUnreachable):
		return "findings"
	}
	return "failed"
}

// findings is what a command that looks ends in when it found so many.
type findings int

// Error counts them.
func (n findings) Error() string { return fmt.Sprintf("findings: %d", int(n)) }

// document prints what a command found or did, with the error that it ends in.
func (c *call) document(found any, err error) error {
	data, marshalErr := json.Marshal(found)
	if marshalErr != nil {
		return marshalErr
	}
	var changed *bool
	if c.changes() {
		changed = &c.changed
	}
	return writeDocument(c.stdout, strings.TrimSuffix(strings.TrimPrefix(string(data), "{"), "}"), changed, err)
}

// writeDocument puts the members of an object between those that all documents have.
func writeDocument(w io.Writer, members string, changed *bool, err error) error {
	parts := []string{fmt.Sprintf(`"format":%d`, format)}
	if members != "" {
		parts = append(parts, members)
	}
	if changed != nil {
		parts = append(parts, fmt.Sprintf(`"changed":%t`, *changed))
	}
	if err != nil {
		data, failed := json.Marshal(failure{kindOf(err), err.Error(), statusOfError(err)})
		if failed != nil {
			return failed
		}
		parts = append(parts, `"error":`+string(data))
	}
	var b bytes.Buffer
	if err := json.Indent(&b, []byte("{"+strings.Join(parts, ",")+"}"), "", "\t"); err != nil {
		return err
	}
	b.WriteByte('\n')
	_, err = w.Write(b.Bytes())
	return err
}

// failedForMachines tells of an error that no document has told of, where one was asked for. Maintainer scripts speak with debconf on their output.
func failedForMachines(args []string, stdout io.Writer, err error) {
	asked := slices.ContainsFunc(args, func(a string) bool { return a == "--json" || a == "--json=true" || a == "-json" })
	if !asked || errors.As(err, new(toldError)) || slices.Contains([]string{"config", "postinst", "prerm"}, args[1]) {
		return
	}
	_ = writeDocument(stdout, "", nil, err)
}

// did shows a change as it is made, or would be. Machines get all at the end.
func (c *call) did(what, diff string) {
	c.changed = true
	if !c.Bool("json") {
		_ = c.waiting.aside(func() error {
			_, err := fmt.Fprintf(c.stdout, "%s\n%s", what, c.onScreen(diff))
			return err
		})
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
