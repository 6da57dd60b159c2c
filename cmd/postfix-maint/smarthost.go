package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/systemd"
)

func instanceFlag() cli.Flag {
	return &cli.StringFlag{Name: "instance", Value: instance.Primary, Usage: "for the Postfix `INSTANCE`"}
}

func waitFlag() cli.Flag {
	return &cli.StringFlag{Name: "wait", Value: smarthost.Patience.String(), Usage: "give up after `TIME`, such as 30s or 5m; a number is seconds", DefaultText: "two minutes"}
}

func senderFlag() cli.Flag {
	return &cli.StringFlag{Name: "from", Usage: "send as `ADDRESS`", DefaultText: "root"}
}

func setFlags() flags {
	return append(providerFlags(), flags{
		&cli.StringFlag{Name: "relay", Usage: "the relay, `[HOST]:PORT`; without brackets HOST is a mail domain"},
		&cli.StringFlag{Name: "tls", Usage: "`LEVEL` is none, may, encrypt, verify or secure; verify by itself, on port 25 without account may"},
		&cli.StringFlag{Name: "ca-file", Usage: "check the relay's certificate with the CAs in `FILE`", DefaultText: "the system's"},
		&cli.BoolFlag{Name: "wrapper", Usage: "TLS from the first byte instead of STARTTLS; on port 465 by itself"},
		&cli.StringFlag{Name: "user", Usage: "log in with this `ACCOUNT`; none to log in no longer"},
		&cli.StringFlag{Name: "password-file", Usage: "read the password from `FILE`"},
		&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from standard input"},
		&cli.StringFlag{Name: "rewrite", Usage: "`HOW` senders become addresses that the relay takes: none, generic=ADDRESS, users=FILE, regexp=FILE or pcre=FILE"},
		&cli.StringFlag{Name: "from", Usage: "give every From: header this `ADDRESS`; none to leave them"},
		&cli.StringFlag{Name: "root", Usage: "send root's mail to `ADDRESS`; none to leave it as it was"},
	}...)
}

// smarthostDeps builds the ports for one call, and finds the instance.
func smarthostDeps(c *call) (smarthost.Deps, instance.Instance, error) {
	inst, err := instance.Find(c.root, c.String("instance"))
	return smarthost.Deps{
		Root: c.root, Run: c.programs, Reload: reloadInstance, Runs: masterRuns, Submit: submit, Units: loginUnits(c.root), Free: freePort,
		Tell: c.waiting.say,
	}, inst, err
}

// planSmarthost plans a change.
type planSmarthost func(context.Context, *call, smarthost.Deps, instance.Instance) (*smarthost.Plan, error)

// changeSmarthost is a flow that makes a change, or only shows it.
func changeSmarthost(plan planSmarthost) func(context.Context, *call) (*changes[smarthost.Change], error) {
	return func(ctx context.Context, c *call) (*changes[smarthost.Change], error) {
		d, inst, err := smarthostDeps(c)
		if err != nil {
			return nil, err
		}
		if !c.dry() {
			if err := smarthost.Recover(ctx, d, inst); err != nil {
				return nil, err
			}
		}
		p, err := plan(ctx, c, d, inst)
		if err != nil {
			return nil, err
		}
		show := func(ch smarthost.Change) { c.did(ch.What, ch.Diff) }
		if c.dry() {
			for _, ch := range p.Changes {
				show(ch)
			}
		} else if err := p.Apply(ctx, show); err != nil {
			return nil, err
		}
		return changed(p.Changes, p.Warnings, providerNotes(c)), nil
	}
}

func setSmarthost(ctx context.Context, c *call, d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
	o, err := smarthostOptions(c, d, inst)
	switch {
	case err != nil:
		return nil, err
	case o.Relay == "":
		return nil, refuse("a smarthost needs a relay: --relay '[smtp.example.com]:587', or --provider NAME")
	}
	o.Password = c.password
	return smarthost.Set(ctx, d, inst, o)
}

func unsetSmarthost(ctx context.Context, _ *call, d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
	return smarthost.Unset(ctx, d, inst)
}

func showSmarthost(ctx context.Context, c *call) (*smarthost.Status, error) {
	d, inst, err := smarthostDeps(c)
	if err != nil {
		return nil, err
	}
	s, err := smarthost.Show(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// testOptions refuses what is no time to wait, and what is no address.
func testOptions(_ context.Context, c *call) error {
	if _, err := patience(c); err != nil {
		return err
	}
	if err := answers.CheckAddress(c.Args().First()); err != nil {
		return usageError{err}
	}
	if from := c.String("from"); c.IsSet("from") && answers.CheckAddress(from) != nil {
		return refuse("--from: %w", answers.CheckAddress(from))
	}
	return nil
}

// patience is how long to wait. A number alone is seconds.
func patience(c *call) (time.Duration, error) {
	text := c.String("wait")
	wait, err := time.ParseDuration(text)
	if seconds, numErr := strconv.Atoi(text); numErr == nil {
		wait, err = time.Duration(seconds)*time.Second, nil
	}
	if err != nil || wait <= 0 || wait > 24*time.Hour {
		return 0, refuse("--wait %q is no time to wait: use 30s, 5m or a number of seconds", text)
	}
	return wait, nil
}

// trying sends a test message to an instance, for as long as the caller waits.
func trying[T any](ctx context.Context, c *call, send func(context.Context, smarthost.Deps, instance.Instance) (*T, error)) (*T, error) {
	wait, err := patience(c)
	if err != nil {
		return nil, err
	}
	d, inst, err := smarthostDeps(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return send(ctx, d, inst)
}

func testSmarthost(ctx context.Context, c *call) (*smarthost.Result, error) {
	res, err := trying(ctx, c, func(ctx context.Context, d smarthost.Deps, inst instance.Instance) (*smarthost.Result, error) {
		return smarthost.TestFrom(ctx, d, inst, c.String("from"), c.Args().First())
	})
	if err == nil && !res.Delivered {
		err = fmt.Errorf("the test message was not delivered: %s", res.Problem)
	} else if err != nil {
		return nil, err
	}
	return res, err
}

// mailOptions refuses what is no time to wait, no recipient and no sender.
func mailOptions(_ context.Context, c *call) error {
	if _, err := patience(c); err != nil {
		return err
	}
	if err := smarthost.CheckRecipient(c.Args().First()); err != nil {
		return usageError{err}
	}
	if from := c.String("from"); from != "" {
		if err := answers.CheckAddress(from); err != nil {
			return usageError{fmt.Errorf("--from: %w", err)}
		}
	}
	return nil
}

// testMail sends a message by the way that Postfix chooses.
func testMail(ctx context.Context, c *call) (*smarthost.Mail, error) {
	res, err := trying(ctx, c, func(ctx context.Context, d smarthost.Deps, inst instance.Instance) (*smarthost.Mail, error) {
		return smarthost.Deliver(ctx, d, inst, c.Args().First(), c.String("from"))
	})
	if err == nil && !res.Delivered {
		err = fmt.Errorf("the test message was not delivered: %s", res.Problem)
	} else if err != nil {
		return nil, err
	}
	return res, err
}

// reloadInstance makes the unit that runs the instance reload: ours or Debian 12's postfix@NAME, Debian 13's postfix.service for
// the primary one. Where no unit runs it, Postfix's own command does; a stopped instance stays stopped.
func reloadInstance(ctx context.Context, inst instance.Instance) error {
	if systemd.Booted("/") {
		m, err := systemd.Dial(ctx)
		if err != nil {
			return err
		}
		defer m.Close()
		units := append([]string{inst.Unit()}, inst.Aliases()...)
		if inst.IsPrimary() {
			units = append(units, "postfix.service")
		}
		for _, unit := range units {
			st, err := m.State(ctx, unit)
			if err != nil {
				return err
			}
			if st.Active == "active" {
				return m.ReloadOrRestart(ctx, unit)
			}
		}
	}
	if !masterRuns(inst) {
		return nil
	}
	return run.Runner{}.Run(ctx, paths.Postfix, "-c", inst.ConfigDir, "reload")
}

// masterRuns looks for the instance's master(8). "postfix status" would wait for the fresh main.cf to cool down first.
func masterRuns(inst instance.Instance) bool {
	root, err := openRoot()
	return err == nil && chroot.Master(chroot.Deps{Root: root}, inst.QueueDir) != 0
}

// submit hands a message to sendmail(1).
func submit(ctx context.Context, message []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, paths.Sendmail, args...)
	cmd.Stdin = bytes.NewReader(message)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot submit the message: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
