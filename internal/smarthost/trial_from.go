package smarthost

import (
	"context"
	"fmt"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
)

// Test is TestFrom with a message of root's.
func Test(ctx context.Context, d Deps, inst instance.Instance, address string) (*Result, error) {
	return TestFrom(ctx, d, inst, "", address)
}

// TestFrom sends a sender's message to an address through the sender's relay and waits for the outcome. The relay is tried step by step first;
// where Postfix could not deliver either, no message is sent. A message that is deferred is taken out of the queue again.
func TestFrom(ctx context.Context, d Deps, inst instance.Instance, from, address string) (*Result, error) {
	if err := answers.CheckAddress(address); err != nil {
		return nil, err
	}
	h, err := look(ctx, d, inst)
	if err == nil {
		err = h.route(ctx, from)
	}
	if err != nil {
		return nil, err
	}
	res, target, err := h.tryRelay(ctx)
	if err != nil {
		return res, err
	}
	res.From = from
	if res.Problem != "" {
		res.Advice = h.forSender(res.Advice)
		return res, nil
	}
	res.Address = address
	if d.Runs != nil && !d.Runs(inst) {
		res.Problem, res.Advice = "the relay is all right, but Postfix does not run", `start it first, as with "systemctl start postfix"`
		return res, nil
	}
	err = h.send(ctx, target, res)
	res.Advice = h.forSender(res.Advice)
	return res, err
}

// Probe tries the relays up to the login, that for all mail and those that were added for senders, and sends nothing. It gives what went wrong
// first, and nil where there is no relay, or for all mail not one alone.
func Probe(ctx context.Context, d Deps, inst instance.Instance) (res *Result, err error) {
	senders := []string{""}
	for _, a := range Senders(d, inst) {
		senders = append(senders, strings.TrimPrefix(a.Sender, "@"))
	}
	for _, sender := range senders {
		tried, err := probeFrom(ctx, d, inst, sender)
		if err != nil {
			return nil, err
		}
		if tried != nil {
			res = tried
		}
		if tried != nil && tried.Problem != "" {
			return res, nil
		}
	}
	return res, nil
}

// probeFrom tries the relay of a sender's mail, "" for all mail; nil where there is not one alone.
func probeFrom(ctx context.Context, d Deps, inst instance.Instance, sender string) (*Result, error) {
	h, err := look(ctx, d, inst)
	if err != nil {
		return nil, err
	}
	if sender != "" {
		if !strings.Contains(sender, "@") {
			sender = "postmaster@" + sender
		}
		if err := h.route(ctx, sender); err != nil {
			return nil, err
		}
	}
	if _, err := parseRelay(h.effective["relayhost"]); err != nil {
		return nil, nil
	}
	res, _, err := h.tryRelay(ctx)
	if err != nil || res.Problem == "" {
		return res, err
	}
	if res.Advice = h.forSender(res.Advice); sender != "" {
		res.Problem = fmt.Sprintf("of mail from %s: %s", sender, res.Problem)
	}
	return res, nil
}

// route puts the way of a sender's mail into the effective settings: its relay, and the client that takes it there. A blank sender is root, who
// runs the test.
func (h *host) route(ctx context.Context, from string) error {
	if from == "" {
		origin, err := h.origin()
		if err != nil {
			return err
		}
		from = "root@" + origin
	} else {
		h.routed = true
	}
	h.sender = strings.ToLower(from)
	hop, found, err := h.ofSender(ctx, "sender_dependent_relayhost_maps")
	if err != nil {
		return err
	}
	if found {
		h.effective["relayhost"], h.routed = hop, true
	}
	to, found, err := h.ofSender(ctx, "sender_dependent_default_transport_maps")
	if err != nil || !found {
		return err
	}
	h.effective["default_transport"], h.routed = to, true
	if _, hop, _ := strings.Cut(to, ":"); hop != "" {
		h.effective["relayhost"] = hop
	}
	return nil
}

// ofSender is what tables by sender have for the one whose mail is tried.
func (h *host) ofSender(ctx context.Context, param string) (value string, found bool, err error) {
	keys, err := h.senderKeys(h.sender)
	if err != nil {
		return "", false, err
	}
	for _, key := range keys {
		for _, element := range maincf.SplitList(h.effective[param]) {
			if !key.asks(element) {
				continue
			}
			if value, found, err = h.query(ctx, element, key.text); err != nil {
				return "", false, fmt.Errorf("cannot tell which way the mail of %s goes: %s: %w", h.sender, param, err)
			} else if found {
				return value, true, nil
			}
		}
	}
	return "", false, nil
}
