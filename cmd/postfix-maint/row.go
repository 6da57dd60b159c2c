package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/history"
	"postfix-maint/internal/lock"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
)

// row is one command.
type row struct {
	words    string // of the call
	operands string // as help shows them (operandsOf)
	flags    flags
	who      who
	locks    bool   // it changes the tree: one such command at a time, a dry run aside
	first    action // what is looked at before anything of the tree: options that do not go together
	do       action // the flow, and how what it gives is shown
	usage    string
	group    string // the heading in the help that it stands below
	page     string // of the manual, behind "postfix-maint-"; "" for postfix-maint(8)
	example  string // a call, without the program's name
	waits    string // what it is at while people wait, where it may take longer than a second
}

type (
	flags  []cli.Flag
	action func(context.Context, *call) error
)

// who may run a command, and where.
type who struct {
	dpkg      bool   // dpkg or debconf, with the words of Debian policy 6.5 and debconf-devel(7), and no options
	hidden    bool   // another program of ours: no help has it
	tree      bool   // it works on a tree, which DPKG_ROOT may name
	host      string // why that has to be the running system; %q is the tree
	root      string // what only root can do on the running system
	dry       bool   // anybody may make a dry run of it
	instead   string // what others can do
	inScripts bool   // maintainer scripts run it as well: dpkg lets in one at a time, and no lock is taken there
	secrets   bool   // a password is in its memory and in that of what it starts: neither may end in a core dump
}

var (
	scripts      = who{dpkg: true}
	startScript  = who{hidden: true}
	anybody      = who{}
	anywhere     = who{tree: true}
	mapKeepers   = who{tree: true, inScripts: true, root: "change the registry of map types"}
	onHost       = who{tree: true, host: "cannot adopt below DPKG_ROOT: apt works on the running system"}
	packagers    = who{tree: true, host: onHost.host, root: "change this host's packages", dry: true}
	lookers      = who{tree: true, host: "cannot look at the mail system in %q: that system does not run"}
	menders      = who{tree: true, host: lookers.host, root: "mend anything"}
	undoers      = who{tree: true, host: "cannot take back a change in %q: that system does not run", root: "take back a change"}
	managers     = who{tree: true, host: "cannot manage the instances in %q: that system does not run"}
	senders      = who{tree: true, secrets: true, root: "send a test message", host: "cannot send a test message below DPKG_ROOT: Postfix's own programs must run there"}
	relayKeepers = who{tree: true, secrets: true, host: "cannot look after a smarthost below DPKG_ROOT: Postfix's own programs must run there"}
)

// asRoot is who, with what only root can do.
func asRoot(w who, what string) who {
	w.root = what
	return w
}

// rootError is for who is not root.
type rootError struct{ error }

// detailed is the option that tells changes from none by the exit status.
const detailed = "detailed-exitcode"

// errChanged is no failure: something was changed, or would be, and it was asked to be told so.
var errChanged = errors.New("changed")

// changing are the options of commands that change something.
func changing(more ...cli.Flag) flags {
	return append(more, dryRunFlag(), wholeFlag(), jsonFlag(), detailedFlag())
}

func detailedFlag() cli.Flag {
	return &cli.BoolFlag{Name: detailed, Usage: "exit status 3 where something was changed, or would be"}
}

// changes tells whether the command is one that changes something.
func (c *call) changes() bool {
	return c.locks && slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return f.Names()[0] == detailed })
}

// call is a call that was understood: its options and operands are the row's.
type call struct {
	*cli.Context
	row
	root           *sysroot.Root
	programs       smarthost.Runner // Postfix's own
	stdout, stderr io.Writer
	password       smarthost.Secret
	login          *smarthost.OAuth // of "smarthost login"
	log            *history.Log     // takes down what it changes
	changed        bool             // something was changed, or would be
	waiting        *waiting         // tells people that it goes on; nil for others
}

// commands makes the library's commands of the rows.
func commands(rows []row, stdout, stderr io.Writer) (all []*cli.Command) {
	for i, r := range rows {
		into, name := &all, r.words
		if _, word, further := strings.Cut(r.words, " "); further {
			if isOption(word) {
				continue
			}
			into, name = &all[len(all)-1].Subcommands, word
		}
		c := &cli.Command{
			Name: name, ArgsUsage: r.operands, Usage: r.usage, Flags: r.flags, Hidden: r.who.hidden, SkipFlagParsing: r.who.dpkg,
			// The library must refuse what it does not understand, and not take an instance named "help" for a command.
			OnUsageError: notUnderstood, HideHelpCommand: true, HideHelp: true,
		}
		if r.do != nil {
			c.Action = func(lib *cli.Context) error { return carryOut(lib, rows[i:], stdout, stderr) }
		}
		*into = append(*into, c)
	}
	return all
}

// carryOut does what the first of the rows says, or a later one for an option of it that is given.
func carryOut(lib *cli.Context, rows []row, stdout, stderr io.Writer) error {
	c := &call{Context: lib, row: rows[0], programs: run.Runner{}, stdout: stdout, stderr: stderr}
	if c.who.secrets {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return err
		}
	}
	if c.first != nil {
		if err := c.first(lib.Context, c); err != nil {
			return named(rows[0].words, err)
		}
	}
	for _, r := range rows[1:] {
		option, ok := strings.CutPrefix(r.words, rows[0].words+" --")
		if ok && (c.Bool(option) || len(c.StringSlice(option)) > 0 || c.Generic(option) != nil && c.IsSet(option)) {
			c.row = r
			break
		}
	}
	if err := c.allowed(); err != nil {
		return err
	}
	if c.locks {
		held, err := c.lock(lib.Context)
		if err != nil {
			return err
		}
		defer held.Release()
		c.record()
	}
	err := c.do(lib.Context, c)
	if err == nil {
		err = c.ended()
	}
	c.sayBack(err)
	if err == nil && c.changed && c.Bool(detailed) {
		return errChanged
	}
	return named(rows[0].words, err)
}

// sayBack tells people how the change is taken back, unless the command failed and did that itself.
func (c *call) sayBack(err error) {
	if !c.Bool("json") && (err == nil || c.log == nil || c.log.Back == nil) {
		sayUndo(c.log, c.stdout)
	}
}

// named puts the command before what is wrong with its use.
func named(words string, err error) error {
	if errors.As(err, new(usageError)) {
		return usageError{fmt.Errorf("%s: %w", words, err)}
	}
	return err
}

// allowed opens the tree, and refuses one, or an account, that the command is not for.
func (c *call) allowed() (err error) {
	if !c.who.tree {
		return nil
	}
	if c.root, err = openRoot(); err != nil {
		return err
	}
	switch {
	case c.who.host != "" && !c.root.IsHost():
		return errors.New(strings.ReplaceAll(c.who.host, "%q", fmt.Sprintf("%q", c.root.Dir())))
	case c.who.root != "" && !(c.dry() && c.who.dry) && c.root.IsHost() && os.Geteuid() != 0:
		return rootError{fmt.Errorf("only root can %s%s", c.who.root, c.who.instead)}
	}
	return nil
}

func (c *call) dry() bool { return c.Bool("dry-run") }

// lock keeps others out of the tree; nil if that is not needed.
func (c *call) lock(ctx context.Context) (*lock.Lock, error) {
	if c.dry() || c.who.inScripts && inScript() || c.words == "sandbox" && c.Args().First() == "status" {
		return nil, nil
	}
	return takeLock(ctx, c.root, c.words, c.stderr)
}

// inScript tells whether a maintainer script runs us (dpkg(1)).
func inScript() bool { return os.Getenv("DPKG_MAINTSCRIPT_PACKAGE") != "" }

// script is a flow of dpkg's or debconf's.
func script(do func(ctx context.Context, args []string, stderr io.Writer) error) action {
	return func(ctx context.Context, c *call) error { return do(ctx, c.Args().Slice(), c.stderr) }
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"}
}

func jsonFlag() cli.Flag { return &cli.BoolFlag{Name: "json", Usage: "print for machines"} }
