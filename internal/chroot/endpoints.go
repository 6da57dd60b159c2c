package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/inventory"
	"postfix-maint/internal/sysroot"
)

// checkEndpoints says which sockets the configuration leads services to that they cannot reach, each tried as the account that will: Postfix's
// user, or that of the relay. Mail is answered with 451 then, or deferred, and Postfix names only the path, which on the host may be there.
func (a *applier) checkEndpoints() {
	conf, err := readConfig(a.deps.Root, a.Instance, nil)
	if err != nil {
		return // said by the plan
	}
	for _, e := range a.endpoints(conf, a.deps.Root.ReadTrusted) {
		if e.Socket == "" || e.Use == inventory.SASL { // said by checkLogins
			continue
		}
		why := ""
		switch {
		case e.Outside(a.Instance.QueueDir):
			why = a.chrootedRefusal(e)
		case !conf.serves(e.Socket):
			why = a.keptFrom(e.Place(a.Instance.QueueDir), a.user())
		}
		if why != "" {
			a.unreachable("%s cannot reach the %s %q (%s, %s:%d): %s", e.Service, e.Use, e.Socket, e.Parameter, e.File, e.Line, why)
		}
	}
}

// serves tells whether the master makes the socket of this name: private/NAME or public/NAME of a service.
func (c *config) serves(socket string) bool {
	for _, s := range c.master.Services() {
		if strings.HasPrefix(s.Type, "unix") && (socket == path.Join("private", s.Name) || socket == path.Join("public", s.Name)) {
			return true
		}
	}
	return false
}

// user is the account of Postfix's services.
func (a *applier) user() sysroot.Account {
	as, _ := lookUp(a.deps.Root, func(f []string) bool { return f[0] == a.mailOwner })
	return as
}

// chrootedRefusal says why a chrooted service cannot reach a socket outside of the queue directory, to which neither a relay of ours nor the
// administrator's own set-up leads; "" if one does.
func (a *applier) chrootedRefusal(e inventory.Endpoint) string {
	r, place := socketRelay(e), rel(e.Socket)
	inside := path.Join(a.Instance.QueueDir, place)
	const advice = "let its daemon listen at %q, or on a port of 127.0.0.1 and write inet:127.0.0.1:PORT"
	switch unsafe := r.safe(a.Plan); {
	case a.deps.Run != nil && a.leads(r):
		as := a.user()
		if !r.client {
			relay, err := RelayAccount(a.deps.Root, r.Target, a.mailOwner)
			if err == nil {
				as = relay // else its directory is not there
			}
		}
		return a.keptFrom(r.Target, as)
	case a.kindAt(place) == unix.S_IFSOCK:
		return a.keptFrom(inside, a.user())
	case unsafe != nil && slices.Contains(relayed, e.Use):
		return fmt.Sprintf("it runs chrooted, and no relay leads there, for %v; "+advice, unsafe, inside)
	}
	return fmt.Sprintf("it runs chrooted, and the socket is outside of the queue directory; "+advice, inside)
}

// keptFrom says why an account does not reach anybody at a socket, and what to do; "" if it does.
func (a *applier) keptFrom(socket string, as sysroot.Account) string {
	err := a.deps.Root.Connect(socket, as)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("the account %s may not use %s", a.accountName(as.UID), a.barrier(socket, as))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return fmt.Sprintf("nobody listens at %q, there is no such socket: start its daemon, or correct the path%s", socket, a.elsewhere(socket))
	case !errors.Is(err, unix.ECONNREFUSED):
		return err.Error()
	}
	if fi, err := a.deps.Root.Stat(socket); err == nil && fi.Mode()&fs.ModeSocket == 0 {
		return fmt.Sprintf("%q is no socket: correct the path%s", socket, a.elsewhere(socket))
	}
	return fmt.Sprintf("nobody listens at %q; does its daemon run?", socket)
}

// barrier names what on the way to a socket an account may not pass, and what to do.
func (a *applier) barrier(socket string, as sysroot.Account) string {
	const advice = "; let its daemon make it with a mode that lets others in (in its own settings, or RuntimeDirectoryMode= of its unit)"
	for at := path.Dir(socket); ; at = path.Dir(at) {
		fi, err := a.deps.Root.Stat(at)
		if err == nil && !permits(as, fi, 1) {
			return fmt.Sprintf("%q: its directory %q has the mode %04o"+advice, socket, at, fi.Mode().Perm())
		}
		if at == "/" {
			break
		}
	}
	if fi, err := a.deps.Root.Stat(socket); err == nil && !permits(as, fi, 2) {
		return fmt.Sprintf("%q, which has the mode %04o"+advice, socket, fi.Mode().Perm())
	}
	return fmt.Sprintf("%q, by an access control list or a security module", socket)
}

// endpoints is the inventory of the instance; read gives the texts of tables. What one says counts only if root alone can write it.
func (p *Plan) endpoints(conf *config, read func(string) ([]byte, error)) []inventory.Endpoint {
	return inventory.List(inventory.Input{
		Dir: p.Instance.ConfigDir, Main: conf.main, Master: conf.master,
		Default: func(name string) string {
			value, _ := instance.Lookup(conf.main, p.Instance.ConfigDir)(name)
			return value
		},
		Read: read,
	})
}

func (a *applier) unreachable(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(a.result.Unreachable, text) {
		a.result.Unreachable = append(a.result.Unreachable, text)
	}
}
