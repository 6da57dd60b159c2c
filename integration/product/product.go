// Package product (test helper, outside the rings) puts the packages under test onto test hosts: Debian's own Postfix, and
// ours as "make debs" built it.
package product

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"postfix-maint/integration/hosts"
)

// Layer is the maintenance layer that a host gets with its Postfix.
type Layer string

// The two layers that the tests compare.
const (
	Debian Layer = "debian"
	Ours   Layer = "ours"
)

// place is where a host sees the folder of packages.
const place = "/packages"

// Packages are the binary packages of each layer that a test installs.
func (l Layer) Packages() []string {
	if l == Ours {
		return []string{"postfix-maint", "postfix"}
	}
	return []string{"postfix"}
}

// Options gives a host that has the packages as its only apt source, with nothing of them installed.
func Options(ctx context.Context, s *hosts.Session, release string, l Layer) (hosts.Options, error) {
	opt := hosts.Options{Release: release}
	dir, err := Folder(ctx, s, release, l)
	if err != nil {
		return opt, err
	}
	opt.Binds = map[string]string{dir: place}
	return s.Layer(ctx, "source-"+release+"-"+string(l), opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, `rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
			echo 'deb [trusted=yes] file:`+place+` ./' > /etc/apt/sources.list
			apt-get update -q`)
		return err
	})
}

// Folder is the apt source of a layer on this machine.
func Folder(ctx context.Context, s *hosts.Session, release string, l Layer) (string, error) {
	if l == Debian {
		return s.Stock(ctx, release)
	}
	top, err := Top()
	if err != nil {
		return "", err
	}
	debs := os.Getenv("POSTFIX_MAINT_DEBS") // packages that were built elsewhere
	if debs == "" {
		debs = filepath.Join(top, "build", "debs")
	}
	dir := filepath.Join(debs, release)
	if _, err := os.Stat(filepath.Join(dir, "Packages")); err != nil {
		return "", fmt.Errorf("cannot find our packages (make debs builds them): %w", err)
	}
	return dir, nil
}

// Top is the top directory of the source tree: the nearest one above that holds go.mod.
func Top() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		_, err := os.Stat(filepath.Join(dir, "go.mod"))
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == "/" {
			return "", fmt.Errorf("cannot find the top of the source tree: %w", err)
		}
	}
}

// Answers are preseeded answers: name of the question without "postfix/" -> value.
type Answers map[string]string

// kinds are the types of the questions that are no strings.
var kinds = map[string]string{
	"main_mailer_type": "select", "protocols": "select", "procmail": "boolean", "chattr": "boolean",
	"maint_relay_tls": "select", "maint_relay_provider": "select", "maint_sender_rewriting": "select", "maint_relay_password": "password",
}

// Preseed puts answers into a host's debconf database, as debconf-set-selections(1) of an installation does.
func Preseed(ctx context.Context, h *hosts.Host, a Answers) error {
	names := make([]string, 0, len(a))
	for name := range a {
		names = append(names, name)
	}
	sort.Strings(names)
	var lines strings.Builder
	for _, name := range names {
		kind := kinds[name]
		if kind == "" {
			kind = "string"
		}
		fmt.Fprintf(&lines, "postfix postfix/%s %s %s\n", name, kind, a[name])
	}
	cmd := h.Command(ctx, "debconf-set-selections")
	cmd.Stdin = strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot preseed %s: %w: %s", h.Name, err, out)
	}
	return nil
}

// Install installs a layer's packages with apt-get and gives what was said.
func Install(ctx context.Context, h *hosts.Host, l Layer) (string, error) {
	return h.Run(ctx, append([]string{"apt-get", "install", "-y", "--no-install-recommends"}, l.Packages()...)...)
}

// Await runs a shell condition in a host until it holds; when the time is over it fails with what is meant and the mail log.
func Await(ctx context.Context, h *hosts.Host, meaning, condition string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // eight hosts share two cores
	defer cancel()
	var said string
	for ctx.Err() == nil {
		out, err := h.Sh(ctx, condition)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			said = out
		}
		time.Sleep(100 * time.Millisecond)
	}
	log, _ := h.Sh(context.WithoutCancel(ctx), "postqueue -p; journalctl -q --no-pager -n 40 -t 'postfix/*' || true; tail -n 40 /var/log/mail.log")
	return fmt.Errorf("%s: not seen: %s\n%s%s", h.Name, meaning, said, log)
}

// Installed gives a host on which a layer's packages were installed while it ran, as "Internet Site" and with nothing else
// answered, and which was shut down again.
func Installed(ctx context.Context, s *hosts.Session, release string, l Layer) (hosts.Options, error) {
	opt, err := Options(ctx, s, release, l)
	if err != nil {
		return opt, err
	}
	return s.Layer(ctx, "installed-"+release+"-"+string(l), opt, func(h *hosts.Host) error {
		if err := h.Boot(ctx); err != nil {
			return err
		}
		if err := Preseed(ctx, h, Answers{"main_mailer_type": "Internet Site", "mailname": "mail.example.test"}); err != nil {
			return err
		}
		_, err := Install(ctx, h, l)
		return err
	})
}
