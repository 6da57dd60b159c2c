package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/oauth"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/secret"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// loginWait is more than any login takes: the program that makes it gives up before.
const loginWait = 20 * time.Minute

func loginFlags() flags {
	return flags{
		&cli.StringFlag{Name: "provider", Usage: "log in at `" + strings.Join(oauth.Providers(), "|") + "`; any other one is --relay with --token-url"},
		&cli.StringFlag{Name: "user", Usage: "the address of the `MAILBOX` that sends"},
		&cli.StringFlag{Name: "sender", Usage: "for the mail of one `SENDER`: user@example.com, or @example.com for all of a domain", DefaultText: "all mail"},
		&cli.StringFlag{Name: "client-id", Usage: "the `ID` of the application that you registered at the provider"},
		&cli.StringFlag{Name: "client-secret-file", Usage: "read the application's secret from `FILE`, where it has one"},
		&cli.StringFlag{Name: "tenant", Usage: "the `TENANT` at Microsoft: its id or domain", DefaultText: "that of the account"},
		&cli.StringFlag{Name: "flow", Usage: "log in by `" + strings.Join(oauth.Flows, "|") + "`", DefaultText: "what suits the provider"},
		&cli.StringFlag{Name: "key-file", Usage: "read the service account's key from `FILE`"},
		&cli.StringFlag{Name: "relay", Usage: "the provider's relay, `[HOST]:PORT`"},
		&cli.StringFlag{Name: "token-url", Usage: "the `URL` where the provider gives tokens"},
		&cli.StringFlag{Name: "auth-url", Usage: "the `URL` where a browser logs in"},
		&cli.StringFlag{Name: "device-url", Usage: "the `URL` where the provider gives codes for the flow device"},
		&cli.StringSliceFlag{Name: "scope", Usage: "ask for the right `SCOPE`; may be given more than once", DefaultText: "to send mail"},
		&cli.StringFlag{Name: "ca-file", Usage: "check the provider's certificates with the CAs in `FILE`", DefaultText: "the system's"},
	}
}

// makeLogin makes a login: the account's text comes out of the request's.
type makeLogin func(ctx context.Context, c *call, request []byte) ([]byte, error)

// loginOptions refuses what cannot be, before anybody logs in; then somebody does. All that is before any lock: a person takes their time.
func loginOptions(logIn makeLogin) action {
	return func(ctx context.Context, c *call) error {
		if c.IsSet("sender") {
			if err := smarthost.CheckSender(c.String("sender")); err != nil {
				return refuse("--sender: %w", err)
			}
		}
		request, err := loginRequest(ctx, c)
		if err != nil {
			return err
		}
		if err := c.allowed(); err != nil {
			return err
		}
		d, inst, err := smarthostDeps(c)
		if err != nil {
			return err
		}
		if err := checkCAs(d, request.CAFile); err != nil {
			return err
		}
		c.login = &smarthost.OAuth{Provider: request.Provider, Flow: request.Flow, Account: expected(request)}
		if _, err := loginSmarthost(ctx, c, d, inst); err != nil || c.dry() {
			return err
		}
		text, err := request.Marshal()
		if err != nil {
			return err
		}
		if text, err = logIn(ctx, c, text); err != nil {
			return err
		}
		account, err := oauth.Parse(text)
		c.login.Account = &account
		return err
	}
}

// loginRequest reads the options, and the files that they name.
func loginRequest(ctx context.Context, c *call) (oauth.Request, error) {
	w := oauth.Wish{Tenant: c.String("tenant"), Request: oauth.Request{
		Provider: strings.ToLower(c.String("provider")), Relay: c.String("relay"), User: c.String("user"), Flow: c.String("flow"), ClientID: c.String("client-id"),
		TokenURL: c.String("token-url"), AuthURL: c.String("auth-url"), DeviceURL: c.String("device-url"), Scopes: c.StringSlice("scope"), CAFile: c.String("ca-file"),
	}}
	for name, to := range map[string]*secret.Secret{"client-secret-file": &w.ClientSecret, "key-file": &w.Key} {
		if !c.IsSet(name) {
			continue
		}
		text, err := secretFile(ctx, c, c.String(name))
		if err == nil && name == "client-secret-file" {
			text, err = passwordLine(string(text))
		}
		if err != nil {
			return w.Request, fmt.Errorf("--%s: %w", name, err)
		}
		*to = text
	}
	r, err := w.Resolve()
	if err != nil {
		return r, refuse("%w", err)
	}
	return r, nil
}

// secretFile reads a file with a secret; one that others may read is told of.
func secretFile(ctx context.Context, c *call, name string) (secret.Secret, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a named pipe that nobody writes to would be waited for
	if err != nil {
		return "", err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o077 != 0 {
		warn(c.stderr, []string{fmt.Sprintf("others than you can read %s", name)})
	}
	text, err := readAtMost(ctx, f, secretWait)
	return secret.Secret(text), err
}

// checkCAs refuses a file of CAs that the OAuth relay could not read: it runs as a user of its own, without the homes and the host's /tmp.
func checkCAs(d smarthost.Deps, name string) error {
	if name == "" {
		return nil
	}
	if !path.IsAbs(name) {
		return refuse("--ca-file: %q is not an absolute path", name)
	}
	fi, err := d.Root.Stat(name)
	if err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	for _, hidden := range []string{"/root/", "/home/", "/tmp/", paths.VarTmp, paths.RunUser} {
		if strings.HasPrefix(path.Clean(name), hidden) {
			return fmt.Errorf("--ca-file: the relay that logs in cannot see what is below %s: put the file into %s", hidden, paths.LocalCerts)
		}
	}
	if err := smarthost.CheckCAFile(d.Root, name); err != nil {
		return fmt.Errorf("--ca-file: %w", err)
	}
	if fi.Mode().Perm()&0o004 == 0 {
		return fmt.Errorf("--ca-file: the relay that logs in runs as a user of its own, which may not read %q: chmod a+r", name)
	}
	return nil
}

// expected is the login as it will be but for the tokens: the plan is made with it before anybody logs in.
func expected(r oauth.Request) *oauth.Account {
	return &oauth.Account{Provider: r.Provider, Relay: r.Relay, User: r.User, Grant: oauth.GrantRefresh, TokenURL: r.TokenURL, RefreshToken: "-", Local: "-"}
}

func loginSmarthost(ctx context.Context, c *call, d smarthost.Deps, inst instance.Instance) (*smarthost.Plan, error) {
	if c.IsSet("sender") {
		return smarthost.Add(ctx, d, inst, smarthost.Account{Sender: c.String("sender"), OAuth: c.login})
	}
	o, _ := smarthost.Last(d.Root, inst)
	o.OAuth = c.login
	return smarthost.Set(ctx, d, inst, o)
}

// runLogin has the program make the login that has the libraries for it. It talks to the person at our standard error, and hears them at our
// standard input. What goes wrong it says on its standard output, as it would give the account.
func runLogin(ctx context.Context, c *call, request []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, loginWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, paths.OAuthRelay, "login")
	cmd.Env = []string{"LC_ALL=C.UTF-8"}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Second
	out := &limited{}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(request), out, c.stderr
	if in, ok := c.App.Reader.(*os.File); ok {
		cmd.ExtraFiles = []*os.File{in}
	}
	err := cmd.Run()
	switch {
	case err == nil:
		return out.kept.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("cannot log in: %w", ctx.Err())
	case cmd.ProcessState != nil && cmd.ProcessState.ExitCode() == 1 && out.kept.Len() > 0 && out.kept.Bytes()[0] != '{': // not an account that was cut off
		return nil, errors.New(strings.TrimSpace(out.kept.String()))
	}
	return nil, fmt.Errorf("cannot log in: %q: %w", paths.OAuthRelay, err)
}

// limited keeps what a login has at most.
type limited struct{ kept bytes.Buffer }

// Write is io.Writer.
func (l *limited) Write(data []byte) (int, error) {
	if l.kept.Len()+len(data) > 4*secretLimit {
		return 0, io.ErrShortBuffer
	}
	return l.kept.Write(data)
}

// loginUnits is systemd for logins; nil where it does not run the host.
func loginUnits(root *sysroot.Root) func(context.Context) (smarthost.Units, error) {
	if !root.IsHost() || !systemd.Booted("/") {
		return nil
	}
	return func(ctx context.Context) (smarthost.Units, error) { return systemd.Dial(ctx) }
}

// freePort tells whether nothing listens at a port of the loopback.
func freePort(port int) bool {
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// lastLogin says why a change of the smarthost that takes a login by OAuth 2.0 away, or makes one, cannot be taken back: its tokens are kept nowhere.
func (c *call) lastLogin() string {
	switch inst, err := instance.Find(c.root, c.String("instance")); {
	case c.words == "smarthost login" && c.IsSet("sender"):
		return "a sender's login by OAuth 2.0 goes with \"postfix-maint smarthost remove " + c.String("sender") + "\""
	case err == nil && (c.words == "smarthost remove" || c.words == "smarthost add"):
		sender := cmp.Or(c.String("sender"), c.Args().First())
		for _, a := range smarthost.Senders(smarthost.Deps{Root: c.root}, inst) {
			if a.OAuth != nil && strings.EqualFold(a.Sender, sender) {
				return "the login by OAuth 2.0 is gone: log in again with \"postfix-maint smarthost login --sender " + a.Sender + "\""
			}
		}
	case c.words == "smarthost login":
		return "a login by OAuth 2.0 goes with \"postfix-maint smarthost unset\", or with \"smarthost set\" to another relay"
	case err == nil && (c.words == "smarthost unset" || c.words == "smarthost set" && (c.IsSet("relay") || c.IsSet("provider"))):
		if o, _ := smarthost.Last(c.root, inst); o.OAuth != nil {
			return "the login by OAuth 2.0 is gone: log in again with \"postfix-maint smarthost login\""
		}
	}
	return ""
}
