package smarthost

import (
	"fmt"
	"strings"
)

// Text is the report in plain words.
func (res *Mail) Text() string {
	r := &report{}
	r.line("address", "%s", res.Address)
	for _, s := range res.Steps {
		r.line("alias", "%s becomes %s (%s)", s.Address, strings.Join(s.To, ", "), s.By)
	}
	for _, way := range res.Routes {
		way.text(r)
	}
	if res.QueueID != "" {
		r.line("queue id", "%s", res.QueueID)
	}
	if res.Sender != "" {
		r.line("sender", "%s", res.Sender)
	}
	for _, d := range res.Deliveries {
		r.line("outcome", "%s: %s, by %s%s", d.Recipient, d.Status, orNone(d.Via), d.took())
		r.line("reply", "%s", d.Reply)
	}
	switch {
	case res.Delivered:
		r.line("result", "delivered")
	case !res.Submitted:
		r.line("result", "no message was sent: %s", res.Problem)
	default:
		r.line("result", "not delivered: %s", res.Problem)
	}
	if res.Advice != "" {
		r.line("look at", "%s", res.Advice)
	}
	return r.String()
}

// took says how long a delivery took, and for what (postconf(5), delay_logging_resolution_limit).
func (d Delivery) took() string {
	if d.Delay == "" {
		return ""
	}
	parts := strings.Split(d.Delays, "/")
	if len(parts) != 4 {
		return fmt.Sprintf(", in %s s", d.Delay)
	}
	return fmt.Sprintf(", in %s s (received %s, queue %s, connection %s, transfer %s)", d.Delay, parts[0], parts[1], parts[2], parts[3])
}

// text says which way mail for one recipient takes.
func (way Way) text(r *report) {
	switch {
	case way.Place != "":
		r.line("way", "%s goes to %s, by the transport %s", way.Recipient, way.Place, way.Transport)
	case way.Relay != nil:
		r.line("way", "%s goes to the relay %s, by the transport %s", way.Recipient, way.NextHop, way.Transport)
	case way.Transport != "":
		r.line("way", "%s goes to %s, by the transport %s", way.Recipient, orNone(way.NextHop), way.Transport)
	}
	for _, o := range way.Overrides {
		r.line("master.cf", "%s", o)
	}
	if way.Relay != nil {
		way.Relay.probed(r)
	}
	for _, s := range way.Servers {
		s.text(r, way.TLS)
	}
	for _, note := range way.Notes {
		r.line("note", "%s", note)
	}
}

func (s Server) text(r *report, level string) {
	p := s.Probe
	r.line("mail server", "%d %s", s.Preference, s.Host)
	if p == nil {
		return
	}
	talked(r, p, level, false)
	if c := p.Certificate; c != nil && level != "verify" && level != "secure" {
		trust := "issued by a CA that is trusted here, which nobody asks for"
		if !c.Trusted {
			trust = "none, which nobody asks for: " + c.Why
		}
		r.line("trust", "%s", trust)
	}
	if p.Greeting != "" {
		r.line("greeting", "%s", p.Greeting)
	}
	if p.Failure != nil {
		r.line("failed", "%s", p.Failure.Text)
	}
}
