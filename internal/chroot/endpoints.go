package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/inventory"
	"postfix-maint/internal/sysroot"
)

// State is what came of a try to reach an endpoint.
type State string

// The states of endpoints.
const (
	Reachable    State = "reachable"
	Missing      State = "missing"       // nothing of that name
	Stale        State = "stale"         // a socket or port that nobody listens on
	NotPermitted State = "not permitted" // for the account that uses it
	NoWay        State = "no way"        // out of the chroot, and neither a relay nor a copy is made
	Untried      State = "untried"       // a port of another host, a socket of Postfix's own
)

// Endpoint is one that a service is led to, and what a check found.
type Endpoint struct {
	inventory.Endpoint
	State State `json:"state,omitempty"` // "" where nothing was tried
}

// Names says what it is and where that stands, for people.
func (e Endpoint) Names() string {
	return fmt.Sprintf("%s %s (%s, %s:%d)", e.Use, Plain(e.Socket+e.Address+e.Path+e.Wrong), e.Parameter, e.File, e.Line)
}

// Plain is a name as it may be shown at a terminal, in quotes where it has letters that do something else there: a table or directory of
// another account's can have any.
func Plain(name string) string {
	if utf8.ValidString(name) && !strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return name
	}
	return strconv.Quote(name)
}

// checkEndpoints says what the configuration leads services to that they cannot reach, each tried as the account that will: Postfix's
// user, or that of the relay. Mail is answered with 451 then, or deferred, and Postfix names only the path, which on the host may be there.
func (a *applier) checkEndpoints() {
	conf, err := readConfig(a.deps.Root, a.Instance, nil)
	if err != nil {
		return // said by the plan
	}
	if a.mailOwner == "" { // nothing is chrooted
		a.mailOwner, _ = conf.value("mail_owner")
	}
	distrusted := map[string]error{}
	read := func(name string) ([]byte, error) { // what somebody else can write is not obeyed, and said where it matters
		data, err := a.deps.Root.ReadTrusted(name)
		if errors.As(err, new(*sysroot.UntrustedError)) {
			distrusted[name] = err
			return a.deps.Root.ReadFile(name)
		}
		return data, err
	}
	for _, e := range a.endpointsWith(conf, read, a.unread) {
		a.checkPeer(e)
		state, why := a.try(conf, e, distrusted)
		if why != "" {
			a.unreachable("%s cannot reach the %s %q (%s, %s:%d): %s", e.Service, e.Use, e.Socket+e.Address+e.Path+e.Wrong, e.Parameter, e.File, e.Line, why)
		}
		a.result.Endpoints = append(a.result.Endpoints, Endpoint{e, state})
	}
}

// try tells the state of an endpoint, and why it is not reached.
func (a *applier) try(conf *config, e inventory.Endpoint, distrusted map[string]error) (state State, why string) {
	switch {
	case e.Path != "":
		return a.tryFile(conf, e, distrusted[e.File])
	case e.Address != "":
		return a.tryPort(e)
	case e.Wrong != "":
		return NoWay, fmt.Sprintf("%q is no way to name a server: write unix:PATH or inet:HOST:PORT", e.Wrong)
	case e.Use == inventory.SASL && e.Outside(a.Instance.QueueDir) && a.deps.Run == nil: // the init script mounts its directory
		return a.keptFrom(e.Socket, a.user())
	case e.Outside(a.Instance.QueueDir):
		return a.chrootedRefusal(e, distrusted[e.File])
	case conf.serves(e.Socket):
		return Untried, ""
	}
	place := e.Place(a.Instance.QueueDir)
	if slices.Contains(a.sockets, strings.TrimPrefix(place, a.Instance.QueueDir+"/")) { // a relay's, which goes
		return a.notThere(place)
	}
	return a.keptFrom(place, a.user())
}

// tryPort tries a port of this host. What another one does is outside of the chroot.
func (a *applier) tryPort(e inventory.Endpoint) (state State, why string) {
	host, _, err := net.SplitHostPort(e.Address)
	if ip := net.ParseIP(host); err != nil || !a.deps.Root.IsHost() || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return Untried, ""
	}
	c, err := net.DialTimeout("tcp", e.Address, time.Second)
	if err != nil {
		return Stale, "nobody listens there; does its daemon run?"
	}
	c.Close()
	return Reachable, ""
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
func (a *applier) chrootedRefusal(e inventory.Endpoint, distrusted error) (state State, why string) {
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
	case distrusted != nil:
		return NoWay, fmt.Sprintf("it runs chrooted, and no relay leads there, for what names it is not obeyed: %v", distrusted)
	case unsafe != nil && slices.Contains(relayed, e.Use):
		return NoWay, fmt.Sprintf("it runs chrooted, and no relay leads there, for %v; "+advice, unsafe, inside)
	}
	return NoWay, fmt.Sprintf("it runs chrooted, and the socket is outside of the queue directory; "+advice, inside)
}

// keptFrom says why an account does not reach anybody at a socket, and what to do; "" if it does.
func (a *applier) keptFrom(socket string, as sysroot.Account) (state State, why string) {
	err := a.deps.Root.Connect(socket, as)
	switch {
	case err == nil:
		return Reachable, ""
	case errors.Is(err, fs.ErrPermission):
		return NotPermitted, fmt.Sprintf("the account %s may not use %s", a.accountName(as.UID), a.barrier(socket, as))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return a.notThere(socket)
	case !errors.Is(err, unix.ECONNREFUSED):
		return Stale, err.Error()
	}
	if fi, err := a.deps.Root.Stat(socket); err == nil && fi.Mode()&fs.ModeSocket == 0 {
		return Missing, fmt.Sprintf("%q is no socket: correct the path%s", socket, a.elsewhere(socket))
	}
	return Stale, fmt.Sprintf("nobody listens at %q; does its daemon run?", socket)
}

func (a *applier) notThere(socket string) (state State, why string) {
	return Missing, fmt.Sprintf("nobody listens at %q, there is no such socket: start its daemon, or correct the path%s", socket, a.elsewhere(socket))
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
	return p.endpointsWith(conf, read, nil)
}

func (p *Plan) endpointsWith(conf *config, read func(string) ([]byte, error), unread func(inventory.Unread)) []inventory.Endpoint {
	return inventory.List(inventory.Input{
		Dir: p.Instance.ConfigDir, Main: conf.main, Master: conf.master,
		Default: func(name string) string {
			value, _ := instance.Lookup(conf.main, p.Instance.ConfigDir)(name)
			return value
		},
		Read: read, Unread: unread,
	})
}

// unread says that a table's file is not there. The text of an indexed one need not be.
func (a *applier) unread(u inventory.Unread) {
	if !errors.Is(u.Err, fs.ErrNotExist) {
		return
	}
	for _, suffix := range suffixes {
		if there, err := a.deps.Root.Exists(u.Name + suffix); there || err != nil {
			return
		}
	}
	a.unreachable("%s has no file %q of a table (%s, %s:%d): correct the path", u.Service, u.Name, u.Parameter, u.File, u.Line)
}

func (a *applier) unreachable(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(a.result.Unreachable, text) {
		a.result.Unreachable = append(a.result.Unreachable, text)
	}
}
