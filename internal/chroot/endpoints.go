package chroot

import (
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/inventory"
)

// checkEndpoints says which sockets the configuration leads chrooted services to that they cannot reach: those outside of the queue directory
// to which neither a relay of ours nor the administrator's own set-up leads. Mail is answered with 451 then, or deferred, and Postfix names
// only the path, which on the host is there.
func (a *applier) checkEndpoints() {
	conf, err := readConfig(a.deps.Root, a.Instance, nil)
	if err != nil {
		return // said by the plan
	}
	for _, e := range a.endpoints(conf, a.deps.Root.ReadTrusted) {
		if !e.Outside(a.Instance.QueueDir) || e.Use == inventory.SASL || e.Use == inventory.Database { // said by checkLogins and warnSocket
			continue
		}
		what := fmt.Sprintf("%s cannot reach the %s %q (%s, %s:%d)", e.Service, e.Use, e.Socket, e.Parameter, e.File, e.Line)
		r, place := socketRelay(e), rel(e.Socket)
		switch unsafe := r.safe(a.Plan); {
		case a.deps.Run != nil && a.leads(r):
			if !a.hostListens(e.Socket) {
				a.unreachable("%s: nobody listens at %q; does its daemon run?", what, e.Socket)
			}
		case a.kindAt(place) != unix.S_IFSOCK && unsafe != nil && slices.Contains(relayed, e.Use):
			a.unreachable("%s: it runs chrooted, and no relay leads there, for %v; let its daemon listen at %q, or on a port of "+
				"127.0.0.1 and write inet:127.0.0.1:PORT", what, unsafe, path.Join(a.Instance.QueueDir, place))
		case a.kindAt(place) != unix.S_IFSOCK:
			a.unreachable("%s: it runs chrooted, and the socket is outside of the queue directory; let its daemon listen at %q, or on a port of "+
				"127.0.0.1 and write inet:127.0.0.1:PORT", what, path.Join(a.Instance.QueueDir, place))
		case a.dead(place):
			a.unreachable("%s: nobody listens at %q; does its daemon run?", what, path.Join(a.Instance.QueueDir, place))
		}
	}
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
