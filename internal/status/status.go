// Package status (ring: flow) looks at the whole mail system of a host and puts it on one screen. It only reads, and reads with bounds: a
// queue with more in it than can be looked at in time is counted as far as it goes, and that is said. What may not be seen is left out,
// and that is said as well.
package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/procs"
	"postfix-maint/internal/sysroot"
)

// Report is what a host's mail system is like at one moment.
type Report struct {
	Time      time.Time  `json:"time"`
	Host      string     `json:"host"`
	Postfix   string     `json:"postfix"`                  // version of Debian's package, "" if it is not installed
	Layer     string     `json:"layer"`                    // version of this layer in it, "" for Debian's own
	Program   string     `json:"postfix_maint"`            // version of this program
	Update    string     `json:"update"`                   // the version that apt would go to, "" for none
	Changed   time.Time  `json:"answers_applied,omitzero"` // when answers of the packages' questions were last applied
	Instances []Instance `json:"instances"`                // the primary one first
	Problems  []string   `json:"problems"`                 // of no single instance
	Unseen    []string   `json:"not_seen"`                 // what this account may not see, or what took too long
}

// Instance is one Postfix. The first part is for the caller to fill in, Look fills in the rest.
type Instance struct {
	Name      string   `json:"name"`
	Unit      string   `json:"unit"`
	ConfigDir string   `json:"config_directory"`
	QueueDir  string   `json:"queue_directory"`
	Enabled   bool     `json:"enabled"` // started with the others
	State     string   `json:"state"`   // systemd's word, or "running" and "stopped" without it
	Expected  []string `json:"listens_by_configuration"`
	Chroot    Chroot   `json:"chroot"`
	Account   string   `json:"relay_account"`
	Provider  string   `json:"relay_provider,omitempty"` // the relay behind one of this host's ports, by OAuth 2.0
	Problems  []string `json:"problems"`

	Since     time.Time `json:"since,omitzero"`
	Listening []string  `json:"listens"`
	Missing   []string  `json:"listens_not"` // of Expected
	Extra     []string  `json:"listens_besides"`
	Taken     []string  `json:"taken"` // of Missing: address and program that has it
	TLS       TLS       `json:"tls"`
	Relay     Relay     `json:"relay"`
	Queue     Queue     `json:"queue"`
}

// Chroot is the state of an instance's chroot: "current", "stale", "off" or "unknown".
type Chroot struct {
	Services int    `json:"services"`
	Of       int    `json:"of"`
	State    string `json:"state"`
	Stale    int    `json:"stale"`
}

// Relay is where mail goes.
type Relay struct {
	Host  string `json:"host"` // "": directly
	TLS   string `json:"tls"`  // smtp_tls_security_level
	Login bool   `json:"login"`

	BySender bool `json:"by_sender"` // some senders may have relays of their own
}

// Input is what Look cannot find out by itself.
type Input struct {
	Root   *sysroot.Root
	Report Report
	// Since tells from when on a unit has its state. nil where systemd does not run.
	Since func(ctx context.Context, unit, state string) (time.Time, error)
	// NoQueues leaves them out.
	NoQueues bool
}

// How long counting the queues may take, and looking into their messages after that; and what each queue has when that time is up.
const (
	queueTime  = 350 * time.Millisecond
	lookTime   = 150 * time.Millisecond
	queueLeast = 2 * time.Millisecond
	samples    = 2000 // messages that are looked into, of all instances together
	fewest     = 10   // of one
)

// Look completes a report.
func Look(ctx context.Context, in Input) Report {
	r := in.Report
	l := looker{in: in, report: &r, sockets: procs.Listeners(), local: localAddresses(), until: time.Now().Add(queueTime)}
	for i := range r.Instances {
		l.look(ctx, &r.Instances[i], max(fewest, samples/len(r.Instances)))
	}
	slices.Sort(r.Unseen)
	r.Unseen = slices.Compact(r.Unseen)
	return r
}

// looker is one look.
type looker struct {
	in      Input
	report  *Report
	sockets []procs.Listener
	local   local
	until   time.Time // for the queues
}

// unseen notes what could not be looked at; root can see all, so that is a problem of the instance.
func (l *looker) unseen(i *Instance, what string, err error) {
	if errors.Is(err, fs.ErrPermission) {
		l.report.Unseen = append(l.report.Unseen, what)
	} else if err != nil {
		i.Problems = append(i.Problems, fmt.Sprintf("cannot look at %s: %v", what, err))
	}
}

func (l *looker) look(ctx context.Context, i *Instance, sample int) {
	if l.in.Since != nil && i.Unit != "" {
		var err error
		i.Since, err = l.in.Since(ctx, i.Unit, i.State)
		l.unseen(i, "since when units have their state", err)
	}
	l.listen(i)
	main, err := l.config(i.ConfigDir)
	if err != nil {
		l.unseen(i, "the configuration of instance "+i.Name, err)
	} else {
		value := func(name string) string { v, _ := instance.Value(main, i.ConfigDir, name); return strings.TrimSpace(v) }
		i.Relay = Relay{Host: value("relayhost"), TLS: value("smtp_tls_security_level"), Login: strings.EqualFold(value("smtp_sasl_auth_enable"), "yes")}
		i.Relay.BySender = value("sender_dependent_relayhost_maps") != ""
		i.TLS, err = readTLS(l.in.Root, value)
		l.unseen(i, "certificates", err)
	}
	if l.in.NoQueues {
		return
	}
	i.Queue, err = countQueue(ctx, l.in.Root, i.QueueDir, sample, l.until)
	l.unseen(i, "the queues", err)
}

func (l *looker) config(dir string) (*maincf.File, error) {
	data, err := l.in.Root.ReadFile(dir + "/main.cf")
	if err != nil {
		return nil, err
	}
	return maincf.Parse(data)
}

// listen compares where the instance listens with where it should.
func (l *looker) listen(i *Instance) {
	i.Listening, i.Missing, i.Extra, i.Taken = []string{}, []string{}, []string{}, []string{}
	running := i.State == "active" || i.State == "reloading" || i.State == "running"
	held := l.sockets
	if pid := chroot.Master(chroot.Deps{Root: l.in.Root}, i.QueueDir); pid > 0 {
		var err error
		held, err = procs.Of(pid, l.sockets)
		if l.unseen(i, "the sockets of other accounts' processes", err); err != nil {
			return
		}
		compare(i, held, l.local, true)
	} else if running { // whose the sockets are only root can tell
		l.report.Unseen = append(l.report.Unseen, "which program has a socket")
		compare(i, held, l.local, false)
	}
	for _, want := range i.Missing {
		if s, ok := holds(l.sockets, want); ok {
			by := "another program"
			if pid, program := procs.Holder(s); pid > 0 {
				by = fmt.Sprintf("%s (process %d)", program, pid)
			}
			i.Taken = append(i.Taken, fmt.Sprintf("%s by %s", want, by))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
