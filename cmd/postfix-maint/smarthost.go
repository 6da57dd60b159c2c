package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/systemd"
)

func smarthostCommand(stdout, stderr io.Writer) *cli.Command {
	instanceFlag := &cli.StringFlag{Name: "instance", Value: instance.Primary, Usage: "of the Postfix instance `NAME`"}
	jsonFlag := &cli.BoolFlag{Name: "json", Usage: "print for machines"}
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "show what would be done, and do nothing"}
	return &cli.Command{
		Name: "smarthost", Usage: "send all mail through a relay: address, TLS, account, sender rewriting, root's mail",
		Before: func(*cli.Context) error {
			// A password is in our memory, and in postmap's: neither may end in a core dump.
			return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
		},
		Subcommands: []*cli.Command{
			{
				Name: "set", Usage: "bring a smarthost into force; what is not named stays as the last set left it",
				Flags: append(setFlags(), instanceFlag, dryRun, jsonFlag),
				Action: func(c *cli.Context) error {
					return changeSmarthost(c, stdout, stderr, func(d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
						o, err := smarthostOptions(c, d, inst, stderr)
						if err != nil {
							return nil, err
						}
						return smarthost.Set(c.Context, d, inst, o)
					})
				},
			},
			{
				Name: "unset", Usage: "go back to what was in force before the first set", Flags: []cli.Flag{instanceFlag, dryRun, jsonFlag},
				Action: func(c *cli.Context) error {
					return changeSmarthost(c, stdout, stderr, func(d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
						return smarthost.Unset(c.Context, d, inst)
					})
				},
			},
			{
				Name: "show", Usage: "say what is in force", Flags: []cli.Flag{instanceFlag, jsonFlag},
				Action: func(c *cli.Context) error { return showSmarthost(c, stdout) },
			},
			{
				Name: "test", Usage: "deliver a message through the relay and say how it went", ArgsUsage: "ADDRESS",
				Flags:  []cli.Flag{instanceFlag, jsonFlag, &cli.DurationFlag{Name: "wait", Value: smarthost.Patience, Usage: "give up after `TIME`"}},
				Action: func(c *cli.Context) error { return testSmarthost(c, stdout) },
			},
		},
	}
}

func setFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "relay", Usage: "the relay, `[HOST]:PORT`; without brackets HOST is a mail domain"},
		&cli.StringFlag{Name: "tls", Usage: "none, may, encrypt, verify or secure; verify by itself, on port 25 without account may"},
		&cli.StringFlag{Name: "ca-file", Usage: "check the relay's certificate with the CAs in `FILE`", DefaultText: "the system's"},
		&cli.BoolFlag{Name: "wrapper", Usage: "TLS from the first byte instead of STARTTLS; on port 465 by itself"},
		&cli.StringFlag{Name: "user", Usage: "log in with this `ACCOUNT`; none to log in no longer"},
		&cli.StringFlag{Name: "password-file", Usage: "read the password from `FILE`"},
		&cli.BoolFlag{Name: "password-stdin", Usage: "read the password from standard input"},
		&cli.StringFlag{Name: "rewrite", Usage: "senders: none, generic=ADDRESS, users=FILE, regexp=FILE or pcre=FILE"},
		&cli.StringFlag{Name: "from", Usage: "give every From: header this `ADDRESS`; none to leave them"},
		&cli.StringFlag{Name: "root", Usage: "send root's mail to `ADDRESS`; none to leave it as it was"},
	}
}

// smarthostDeps builds the ports for one call, and finds the instance.
func smarthostDeps(c *cli.Context) (smarthost.Deps, instance.Instance, error) {
	root, err := openRoot()
	if err != nil {
		return smarthost.Deps{}, instance.Instance{}, err
	}
	if !root.IsHost() {
		return smarthost.Deps{}, instance.Instance{}, fmt.Errorf("cannot look after a smarthost below DPKG_ROOT: Postfix's own programs must run there")
	}
	for _, name := range c.LocalFlagNames() {
		if c.String(name) == "" { // a variable that was not set, in a script: it means neither the primary instance nor no account
			return smarthost.Deps{}, instance.Instance{}, usageError{fmt.Errorf("--%s needs a value", name)}
		}
	}
	inst, err := instance.Find(root, c.String("instance"))
	return smarthost.Deps{Root: root, Run: run.Runner{}, Reload: reloadInstance, Runs: masterRuns, Submit: submit}, inst, err
}

// changeSmarthost plans, shows and makes a change.
func changeSmarthost(c *cli.Context, stdout, stderr io.Writer, plan func(smarthost.Deps, instance.Instance) (*smarthost.Plan, error)) error {
	if c.NArg() > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", c.Args().First())}
	}
	d, inst, err := smarthostDeps(c)
	if err != nil {
		return err
	}
	if !c.Bool("dry-run") {
		held, err := takeLock(d.Root, "smarthost "+c.Command.Name)
		if err != nil {
			return err
		}
		defer held.Release()
		if err := smarthost.Recover(c.Context, d, inst); err != nil {
			return err
		}
	}
	p, err := plan(d, inst)
	if err != nil {
		return err
	}
	show := func(ch smarthost.Change) {
		fmt.Fprintln(stdout, ch.What)
		fmt.Fprint(stdout, ch.Diff)
	}
	if c.Bool("json") {
		show = func(smarthost.Change) {}
	}
	if c.Bool("dry-run") {
		for _, ch := range p.Changes {
			show(ch)
		}
	} else if err := p.Apply(c.Context, show); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(stdout, struct {
			Changes  []smarthost.Change `json:"changes"`
			Warnings []string           `json:"warnings"`
		}{append([]smarthost.Change{}, p.Changes...), append([]string{}, p.Warnings...)})
	}
	warn(stderr, p.Warnings)
	if len(p.Changes) == 0 {
		fmt.Fprintln(stdout, "nothing to do")
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "\t")
	return enc.Encode(v)
}

// smarthostOptions takes the options of the last set, with what the command line says now.
func smarthostOptions(c *cli.Context, d smarthost.Deps, inst instance.Instance, stderr io.Writer) (smarthost.Options, error) {
	o, _, err := smarthost.Last(d.Root, inst)
	if err != nil {
		return o, err
	}
	if c.IsSet("relay") {
		o = o.To(c.String("relay"))
	}
	for name, to := range map[string]*string{"user": &o.User, "from": &o.From, "root": &o.Root, "tls": &o.TLS, "ca-file": &o.CAFile} {
		if c.IsSet(name) {
			*to = c.String(name)
		}
		if *to == "none" && name != "tls" {
			*to = ""
		}
	}
	if c.IsSet("wrapper") {
		wrapper := c.Bool("wrapper")
		o.Wrapper = &wrapper
	}
	if c.IsSet("rewrite") {
		if o.Rewrite, err = rewriting(d, c.String("rewrite")); err != nil {
			return o, err
		}
	}
	o.Password, err = password(c, stderr)
	return o, err
}

// password reads the one line of a file or of standard input; its line end is not part of it.
func password(c *cli.Context, stderr io.Writer) (smarthost.Secret, error) {
	var data []byte
	var err error
	switch name := c.String("password-file"); {
	case name != "" && c.Bool("password-stdin"):
		return "", errors.New("the password comes from a file or from standard input, not from both")
	case name != "":
		if data, err = os.ReadFile(name); err == nil {
			if fi, err := os.Stat(name); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
				warn(stderr, []string{fmt.Sprintf("others than you can read %s", name)})
			}
		}
	case c.Bool("password-stdin"):
		data, err = io.ReadAll(c.App.Reader)
	default:
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the password: %w", err)
	}
	return passwordLine(string(data))
}

// passwordLine takes off what an editor may have put around the password: the line end, with CR too, and a byte order mark.
func passwordLine(text string) (smarthost.Secret, error) {
	text = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), "\ufeff")
	switch {
	case text == "":
		return "", errors.New("cannot read the password: there is none")
	case strings.Contains(text, "\n"):
		return "", errors.New("cannot read the password: there is more than one line")
	}
	return smarthost.Secret(text), nil
}

// rewriting reads the value of --rewrite.
func rewriting(d smarthost.Deps, text string) (smarthost.Rewriting, error) {
	kind, value, _ := strings.Cut(text, "=")
	switch kind {
	case "none":
		return smarthost.Rewriting{}, nil
	case "generic":
		return smarthost.Rewriting{Kind: "generic", Address: value}, nil
	case "users", "regexp", "pcre":
	default:
		return smarthost.Rewriting{}, fmt.Errorf("--rewrite %q: use none, generic=ADDRESS, users=FILE, regexp=FILE or pcre=FILE", text)
	}
	data, err := d.Root.ReadFile(value)
	if err != nil {
		return smarthost.Rewriting{}, fmt.Errorf("cannot read the senders: %w", err)
	}
	return smarthost.ParseRules(strings.TrimPrefix(kind, "users"), data)
}

func showSmarthost(c *cli.Context, stdout io.Writer) error {
	d, inst, err := smarthostDeps(c)
	if err != nil {
		return err
	}
	s, err := smarthost.Show(c.Context, d, inst)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(stdout, s)
	}
	_, err = io.WriteString(stdout, s.Text())
	return err
}

func testSmarthost(c *cli.Context, stdout io.Writer) error {
	if c.NArg() != 1 {
		return usageError{errors.New("smarthost test needs one address that the relay takes mail for")}
	}
	if c.Duration("wait") <= 0 {
		return usageError{errors.New("--wait needs a time to wait, such as 30s")}
	}
	d, inst, err := smarthostDeps(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("wait"))
	defer cancel()
	res, err := smarthost.Test(ctx, d, inst, c.Args().First())
	if err != nil {
		return err
	}
	if c.Bool("json") {
		err = printJSON(stdout, res)
	} else {
		_, err = io.WriteString(stdout, res.Text())
	}
	if err == nil && !res.Delivered {
		return fmt.Errorf("the test message was not delivered: %s", res.Problem)
	}
	return err
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
	pid, err := os.ReadFile(filepath.Join(inst.QueueDir, "pid", "master.pid"))
	if err != nil {
		return false
	}
	name, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "comm"))
	return err == nil && strings.TrimSpace(string(name)) == "master"
}

// submit hands a message to sendmail(1).
func submit(ctx context.Context, message []byte, args ...string) error {
	cmd := exec.CommandContext(ctx, paths.Sendmail, args...)
	cmd.Stdin = bytes.NewReader(message)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot submit the message: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
