package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/smarthost"
)

// addFlags are those of "smarthost add". What they have in common with "set" means the same.
func addFlags() flags {
	all := flags{&cli.StringFlag{Name: "sender", Usage: "whose mail it is for: the `SENDER` user@example.com, or @example.com for all of a domain"}}
	for _, f := range setFlags() {
		switch name := f.Names()[0]; {
		case name == "relay":
			f = &cli.StringFlag{Name: name, Usage: "the relay, `[HOST]:PORT`"}
		case name == "tls":
			f = &cli.StringFlag{Name: name, Usage: "check the certificate by `verify|secure`; verify by itself"}
		case name == "user":
			f = &cli.StringFlag{Name: name, Usage: "log in with this `ACCOUNT`"}
		case !slices.Contains([]string{"ca-file", "wrapper", "password-file", "password-stdin"}, name):
			continue
		}
		all = append(all, f)
	}
	return all
}

func fromFlag() cli.Flag {
	return &cli.StringFlag{Name: "from", Usage: "send as `SENDER`, through its own relay if it has one", DefaultText: "root"}
}

// addOptions refuses what cannot be, and reads the password: before any lock, because it may have to be waited for.
func addOptions(ctx context.Context, c *call) (err error) {
	if !c.IsSet("sender") {
		return refuse("a relay is added for somebody: --sender user@example.com, or --sender @example.com")
	}
	if err := smarthost.CheckSender(c.String("sender")); err != nil {
		return refuse("--sender: %w", err)
	}
	for _, name := range []string{"relay", "user"} {
		if c.IsSet(name) {
			if err := smarthost.CheckOption(name, c.String(name)); err != nil {
				return refuse("--%s: %w", name, err)
			}
		}
	}
	if level := c.String("tls"); c.IsSet("tls") && level != "verify" && level != "secure" {
		return refuse("--tls: %q does not check the certificate of who gets the password: use verify or secure", level)
	}
	if c.String("user") == "none" {
		return refuse("--user: a sender's relay needs an account; without a login \"smarthost remove\" takes the sender out")
	}
	c.password, err = password(ctx, c)
	return err
}

// addSender takes what was added for the sender before, with what the command line says now. Another relay begins anew.
func addSender(ctx context.Context, c *call, d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
	a := smarthost.Account{Sender: c.String("sender"), Password: c.password}
	for _, was := range smarthost.Senders(d, inst) {
		if strings.EqualFold(was.Sender, a.Sender) && was.OAuth == nil && (!c.IsSet("relay") || c.String("relay") == was.Relay) {
			was.Password, a = a.Password, was
		}
	}
	for name, to := range map[string]*string{"relay": &a.Relay, "tls": &a.TLS, "ca-file": &a.CAFile, "user": &a.User} {
		if c.IsSet(name) {
			*to = c.String(name)
		}
	}
	if c.IsSet("wrapper") {
		wrapper := c.Bool("wrapper")
		a.Wrapper = &wrapper
	}
	switch {
	case a.Relay == "":
		return nil, refuse("the mail of %s needs a relay: --relay '[smtp.example.com]:587'", a.Sender)
	case a.User == "":
		return nil, refuse("the relay of %s needs an account: --user ACCOUNT, with a password", a.Sender)
	}
	return smarthost.Add(ctx, d, inst, a)
}

// senderOperand refuses what is no sender.
func senderOperand(_ context.Context, c *call) error {
	if err := smarthost.CheckSender(c.Args().First()); err != nil {
		return usageError{err}
	}
	return nil
}

func removeSender(ctx context.Context, c *call, d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
	return smarthost.Remove(ctx, d, inst, c.Args().First())
}

func listSenders(ctx context.Context, c *call) (*smarthost.SenderList, error) {
	d, inst, err := smarthostDeps(c)
	if err != nil {
		return nil, err
	}
	return smarthost.List(ctx, d, inst)
}

// senderRows are the commands about single senders.
func senderRows(keepers who) []row {
	json, inst := jsonFlag(), instanceFlag()
	return []row{
		{words: "smarthost add", flags: changing(append(addFlags(), inst)...), who: keepers, first: addOptions, locks: true,
			do: shown(changeSmarthost(addSender), printChanges), page: "smarthost",
			usage:   "give the mail of one sender a relay and a login of its own; all other mail goes its way as before",
			example: "smarthost add --sender me@example.org --relay '[smtp.example.org]:587' --user me@example.org"},
		{words: "smarthost list", flags: flags{inst, json}, who: keepers, do: shown(listSenders, printText), page: "smarthost",
			usage: "say which senders have a relay of their own, by us or by hand", example: "smarthost list"},
		{words: "smarthost remove", operands: "SENDER", flags: changing(inst), who: keepers, first: senderOperand, locks: true,
			do: shown(changeSmarthost(removeSender), printChanges), page: "smarthost",
			usage: "take a sender's relay and login out again", example: "smarthost remove me@example.org"},
	}
}
