package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/history"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/multi"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// opposite gives the command that takes another one back, of those that change more than files: nil for all others, and for one that would
// change nothing. final says why there is none.
func opposite(root *sysroot.Root, words []string) (back *history.Back, final string) {
	if len(words) < 2 {
		return nil, ""
	}
	name := words[len(words)-1]
	switch command := strings.Join(words[:len(words)-1], " "); command {
	case "instance create":
		return &history.Back{Words: []string{"instance", "remove", name}}, ""
	case "instance remove":
		return nil, "what was in the directories of the instance is gone: \"postfix-maint instance create " + name + "\" makes a new one"
	case "instance enable", "instance disable":
		inst, err := instance.Find(root, name)
		if err != nil || inst.Enabled == (command == "instance enable") {
			return nil, ""
		}
		verb := map[bool]string{true: "enable", false: "disable"}[inst.Enabled]
		return &history.Back{Words: []string{"instance", verb, inst.Name}}, ""
	case "sandbox":
		if now, err := sandbox(root, "status", false); err == nil && now.Profile != name {
			return &history.Back{Words: []string{"sandbox", now.Profile}}, ""
		}
	}
	return nil, ""
}

// ofNobody tells whether an entry is about an instance that is not there any more: its command failed and took it back, say.
func ofNobody(root *sysroot.Root, e history.Entry) bool {
	b := e.Opposite()
	if b == nil || len(b.Words) != 3 || b.Words[0] != "instance" {
		return false
	}
	_, err := instance.Find(root, b.Words[2])
	return errors.Is(err, fs.ErrNotExist)
}

// ended notes that a command with an opposite came to its end.
func (c *call) ended() error {
	if c.log == nil || c.log.Back == nil || !c.changed {
		return nil
	}
	if w := c.log.Back.Words; len(w) == 3 && slices.Equal(w[:2], []string{"instance", "remove"}) {
		inst, err := instance.Find(c.root, w[2])
		if err != nil {
			return err
		}
		w[2] = inst.Name
		if err := c.log.Back.Keep(c.root, path.Join(inst.ConfigDir, "main.cf"), path.Join(inst.ConfigDir, "master.cf")); err != nil {
			return err
		}
	}
	if err := c.log.Close(); err != nil {
		return fmt.Errorf("it is done, but undo will not know of it: %w", err)
	}
	return nil
}

// undoBy takes an entry back by the opposite of its command.
func undoBy(ctx context.Context, c *call, e history.Entry, takenBack int) (*changes[transaction.Change], error) {
	back := e.Opposite()
	way := "postfix-maint " + strings.Join(back.Words, " ")
	name := back.Words[len(back.Words)-1]
	if takenBack != 0 {
		return nil, fmt.Errorf("%d is taken back already, by %d", e.Number, takenBack)
	}
	if ofNobody(c.root, e) {
		return nil, fmt.Errorf("cannot take back %d: there is no instance %q any more", e.Number, name)
	}
	edited, err := back.Edited(c.root)
	if err == nil && edited != "" {
		err = fmt.Errorf("%s was changed since; %q removes the instance all the same", edited, way)
	}
	if removes := back.Words[0] == "instance" && back.Words[1] == "remove"; err == nil && removes && back.Whole == nil {
		err = fmt.Errorf("the command was interrupted, so nobody knows what was changed since; %q removes the instance", way)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot take back %d: %w", e.Number, err)
	}
	if c.log != nil {
		c.log.Back, c.log.Final = opposite(c.root, back.Words)
	}
	switch strings.Join(back.Words[:len(back.Words)-1], " ") {
	case "instance remove":
		return unmake(ctx, c, e, name)
	case "instance enable":
		return onInstance(func(ctx context.Context, _ *call, h *multi.Host) error { return h.Enable(ctx, name) })(ctx, c)
	case "instance disable":
		return onInstance(func(ctx context.Context, _ *call, h *multi.Host) error { return h.Disable(ctx, name) })(ctx, c)
	case "sandbox":
		p, err := switchSandbox(ctx, c.root, name, c.dry())
		if err != nil || !p.changed {
			return changed[transaction.Change](nil, nil, nil), err
		}
		ch := transaction.Change{What: "choose the sandbox " + p.Profile}
		c.did(ch.What, "")
		return changed([]transaction.Change{ch}, nil, nil), nil
	}
	return nil, errors.New("the history names a command that there is not: " + way)
}

// unmake removes an instance that a command made. What that one set in the first instance's main.cf for postmulti(1) goes with the last of them:
// the others need it.
func unmake(ctx context.Context, c *call, e history.Entry, name string) (*changes[transaction.Change], error) {
	removed, err := onInstance(func(ctx context.Context, _ *call, h *multi.Host) error { return h.Remove(ctx, name, false) })(ctx, c)
	insts, broken := instance.List(c.root)
	if err != nil || c.dry() || len(insts) > 1 || len(broken) > 0 {
		return removed, err
	}
	files, err := undoFiles(ctx, c, e)
	if err == nil {
		removed.Changes, removed.Warnings = append(removed.Changes, files.Changes...), append(removed.Warnings, files.Warnings...)
	}
	return removed, err
}
