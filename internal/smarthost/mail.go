package smarthost

import (
	"context"
	"fmt"
	"path"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/probe"
	"postfix-maint/internal/smarthost/resolve"
)

// Mail is how a test message to an address went, by the way that Postfix chooses. No secret is in it.
type Mail struct {
	Instance string `json:"instance"`
	Address  string `json:"address"`
	From     string `json:"from,omitempty"`
	Steps    []Step `json:"steps"`  // by which the address became others
	Routes   []Way  `json:"routes"` // of all that are left in the end
	Fate
	Deliveries []Delivery `json:"deliveries"`
	Delivered  bool       `json:"delivered"`
	Problem    string     `json:"problem,omitempty"`
	Advice     string     `json:"advice,omitempty"`
}

// Step is one address that a table makes another one of, or several.
type Step struct {
	Address string   `json:"address"`
	By      string   `json:"by"` // parameter and table
	To      []string `json:"to"`
}

// Way is the one that mail for an address takes.
type Way struct {
	Recipient string   `json:"recipient"`
	Class     string   `json:"class,omitempty"` // local, alias, virtual, relay, default
	Transport string   `json:"transport"`       // a service of master.cf
	NextHop   string   `json:"next_hop,omitempty"`
	Place     string   `json:"place,omitempty"` // where it ends on this host
	TLS       string   `json:"tls,omitempty"`   // level asked for
	Servers   []Server `json:"servers,omitempty"`
	Relay     *Result  `json:"relay,omitempty"`
	Overrides []string `json:"overrides,omitempty"` // in master.cf
	Notes     []string `json:"notes,omitempty"`
	Problem   string   `json:"problem,omitempty"`
	Advice    string   `json:"advice,omitempty"`
	circle    bool     // its aliases lead back to it
}

// Server is one of the mail servers of a domain, with what it said as far as it was asked.
type Server struct {
	Preference uint16        `json:"preference"`
	Host       string        `json:"host"`
	Probe      *probe.Report `json:"probe,omitempty"`
}

// deliver are further parameters that decide on the way of a message.
var deliver = []string{
	"virtual_alias_maps", "canonical_maps", "recipient_canonical_maps", "virtual_mailbox_maps", "virtual_mailbox_base",
	"mailbox_transport", "mailbox_transport_maps", "mailbox_command", "mailbox_command_maps", "home_mailbox", "mail_spool_directory",
	"fallback_transport", "fallback_transport_maps", "luser_relay", "compatibility_level", "smtp_dns_support_level",
}

// Deliver sends a message to an address, by whichever way Postfix chooses, and waits for the outcome. Every way is tried as far as no message
// is sent; where Postfix could not deliver either, none is. One that is deferred is taken out of the queue again.
func Deliver(ctx context.Context, d Deps, inst instance.Instance, address, from string) (*Mail, error) {
	if err := CheckRecipient(address); err != nil {
		return nil, err
	}
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	res := &Mail{Instance: inst.Name, Address: address, From: from, Steps: []Step{}, Routes: []Way{}, Deliveries: []Delivery{}}
	if d.Runs != nil && !d.Runs(inst) {
		res.Problem, res.Advice = "Postfix does not run", `start it first, as with "systemctl start postfix"`
		return res, nil
	}
	w, err := h.finder(ctx, res)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.ask.Close() }()
	if err := w.find(ctx); err != nil {
		return nil, err
	}
	for _, way := range res.Routes {
		if way.Problem != "" {
			res.Problem, res.Advice = way.Problem, way.Advice
			return res, nil
		}
	}
	return res, w.send(ctx)
}

// CheckRecipient takes user@domain, or a user alone.
func CheckRecipient(address string) error {
	if err := answers.CheckAddress(address); err == nil || strings.Contains(address, "@") {
		return err
	}
	if answers.CheckAddress(address+"@example.com") != nil {
		return fmt.Errorf("%q is neither a mail address like user@example.com nor a user", address)
	}
	return nil
}

// finder prepares to find the ways of mail.
func (h *host) finder(ctx context.Context, res *Mail) (*finder, error) {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	out, err := h.d.Run.Output(ctx, paths.Postconf, append([]string{"-c", h.inst.ConfigDir, "-x"}, deliver...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot ask Postfix for its settings: %w", err)
	}
	h.take(out)
	socket := path.Join(h.inst.QueueDir, paths.RewriteSocket)
	conn, err := h.d.Root.Dial(ctx, socket)
	if err != nil {
		return nil, fmt.Errorf("cannot ask Postfix for the way of mail: %w; is the service rewrite in %q?", err, h.file("master.cf"))
	}
	w := &finder{h: h, ask: resolve.New(conn), res: res, seen: map[string]bool{}, tried: map[string]Way{}}
	w.sender = res.From
	if w.sender == "" {
		w.sender = "root"
	}
	w.sender, err = w.ask.Complete(w.sender)
	return w, err
}

// send submits the message and says what became of it.
func (w *finder) send(ctx context.Context) error {
	h, res := w.h, w.res
	watch := newWatch(h, &res.Fate)
	text := fmt.Sprintf("This message was sent by \"postfix-maint test\" on %s.\n", h.effective["myhostname"])
	if err := watch.submit(ctx, "Test of mail from "+h.effective["myhostname"], text, res.From, res.Address); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryLimit)
	defer cancel()
	if err := watch.sum(ctx); err != nil {
		return err
	}
	w.tell(watch)
	if res.Delivered {
		return nil
	}
	return watch.clear(ctx)
}

// tell says what the outcome means.
func (w *finder) tell(watch *watch) {
	res := w.res
	if all := watch.final(); len(all) > 0 {
		res.Deliveries = all
	}
	advice := w.adviseReply(res.Reply)
	for i := range res.Deliveries {
		res.Deliveries[i].Reply = w.conceal(res.Deliveries[i].Reply)
	}
	switch res.Reply = w.conceal(res.Reply); res.Status {
	case "sent":
		res.Delivered = true
	case "":
		res.Problem, res.Advice = watch.unknown()
	default:
		res.Problem, res.Advice = res.Reply, advice
	}
	for _, way := range res.Routes {
		if r := way.Relay; r != nil {
			r.Address, r.Fate, r.Delivered, r.Problem, r.Advice = res.Address, res.Fate, res.Delivered, res.Problem, res.Advice
		}
	}
}

// conceal takes out of what others said what stood for a password.
func (w *finder) conceal(text string) string {
	for _, t := range w.targets {
		text = t.Conceal(text)
	}
	return probe.Clean(text)
}
