package smarthost

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"postfix-maint/internal/paths"
)

// Fate is what became of a message that was submitted. Where it went several ways, it is that of the worst.
type Fate struct {
	Submitted bool   `json:"submitted"`
	QueueID   string `json:"queue_id,omitempty"`
	Sender    string `json:"sender,omitempty"` // after rewriting, as the other side sees it
	Via       string `json:"via,omitempty"`    // host and address that Postfix delivered to
	Status    string `json:"status,omitempty"` // sent, deferred, bounced
	Reply     string `json:"reply,omitempty"`  // the other side's last one, or what kept Postfix from it
}

// Delivery is the outcome for one recipient, as Postfix's log has it.
type Delivery struct {
	QueueID   string `json:"queue_id"`
	Recipient string `json:"recipient"`
	Via       string `json:"via,omitempty"`
	Status    string `json:"status"`
	Reply     string `json:"reply"`
	Delay     string `json:"delay,omitempty"`  // seconds, all in all
	Delays    string `json:"delays,omitempty"` // before the queue manager / in the queue / for the connection / for the transfer
	line      string
}

// newWatch makes one for a message that is to be submitted.
func newWatch(h *host, fate *Fate) *watch {
	return &watch{
		h: h, fate: fate, id: strings.ToLower(rand.Text()) + "@" + h.effective["myhostname"], start: time.Now(), filter: h.effective["content_filter"],
	}
}

// submit hands a message to Postfix and follows it until its fate is known or the context ends. A blank sender is the caller's own.
func (w *watch) submit(ctx context.Context, subject, text, from, to string) error {
	h := w.h
	message := fmt.Sprintf("To: <%s>\nSubject: %s\nDate: %s\nMessage-ID: <%s>\nAuto-Submitted: auto-generated\n"+
		"MIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\n\n%s", to, subject, w.start.Format(time.RFC1123Z), w.id, text)
	args := []string{"-C", h.inst.ConfigDir, "-i", "-N", "never"} // no bounce is wanted: what goes wrong is told here
	if from != "" {
		args = append(args, "-f", from)
	}
	logs := h.openLogs(w.start)
	if err := h.d.Submit(ctx, []byte(message), append(args, "--", to)...); err != nil {
		return err
	}
	w.fate.Submitted = true
	h.d.tell("waiting for what becomes of the message")
	return w.follow(ctx, logs)
}

// sum fills in what is still missing of the fate.
func (w *watch) sum(ctx context.Context) (err error) {
	if w.fate.QueueID == "" {
		w.look(ctx)
	}
	if w.fate.Status == "" {
		w.settle(false)
	}
	if w.fate.Sender != "" {
		w.fate.Sender, err = w.h.generic(ctx, w.fate.Sender)
	}
	return err
}

// unknown says what is known of a message without an outcome.
func (w *watch) unknown() (problem, advice string) {
	if w.handed != "" {
		return fmt.Sprintf("the message went to the content filter %s (%s), and did not come back", w.filter, w.handed),
			"content_filter: the relay is tried when the filter has handed the message back; its own log says more"
	}
	return "nothing is known of the message's fate", "see \"postqueue -p\" and the mail log; without a syslog daemon or journal set maillog_file"
}

// clear takes what is left of the message out of the queue.
func (w *watch) clear(ctx context.Context) error {
	if w.fate.Status == "bounced" && len(w.ids) < 2 {
		return nil
	}
	ids := w.ids
	if !slices.Contains(ids, w.fate.QueueID) {
		ids = append(slices.Clone(ids), w.fate.QueueID)
	}
	for _, id := range ids {
		if id == "" || !w.owns(ctx, id) { // an id may be another message's by now
			continue
		}
		if err := w.h.d.Run.Run(ctx, paths.Postsuper, "-c", w.h.inst.ConfigDir, "-d", id); err != nil {
			return fmt.Errorf("cannot take the test message out of the queue: %w", err)
		}
	}
	return nil
}

// note takes one outcome. A recipient may have several in the log, of the members of an alias; what only the queue told gives way to these.
func (w *watch) note(d Delivery) {
	told := func(e Delivery) bool {
		return e.QueueID == d.QueueID && e.Recipient == d.Recipient && (d.line == "" || e.line == "")
	}
	if d.line == "" && slices.ContainsFunc(w.deliveries, told) || d.line != "" && slices.ContainsFunc(w.deliveries, func(e Delivery) bool { return e.line == d.line }) {
		return
	}
	w.deliveries = append(slices.DeleteFunc(w.deliveries, told), d)
}

// passed tells an outcome that is none yet: the message goes on as another one with the same Message-ID, from the content filter or from
// local(8), which says the name of that (deliver_recipient() and forward_finish() in Postfix's local/).
func (w *watch) passed(d Delivery) bool {
	if d.Status != "sent" {
		return false
	}
	if w.filter != "" && len(w.ids) > 0 && d.QueueID == w.ids[0] {
		w.handed = d.Via
		return true
	}
	return d.Via == "local" && strings.HasPrefix(d.Reply, "forwarded as ")
}

// settle makes the fate of the outcomes, if all are there or no more are waited for. The worst one counts.
func (w *watch) settle(all bool) {
	var worst *Delivery
	rank := func(d *Delivery) int { return slices.Index([]string{"sent", "deferred", "bounced"}, d.Status) }
	for i := range w.deliveries {
		if d := &w.deliveries[i]; !w.passed(*d) && (worst == nil || rank(d) >= rank(worst)) {
			worst = d
		}
	}
	missing := !w.over()
	if worst == nil || missing && (all || worst.Status == "sent") {
		return
	}
	w.fate.Via, w.fate.Status, w.fate.Reply = worst.Via, worst.Status, worst.Reply
}

// over tells that nothing more is to come of any message: it has left the queue, or waits there for some recipient and all have been tried.
func (w *watch) over() bool {
	for _, id := range w.ids {
		tried, waits := 0, false
		for _, d := range w.deliveries {
			if d.QueueID == id {
				tried, waits = tried+1, waits || d.Status == "deferred"
			}
		}
		if !w.removed[id] && (!waits || tried < w.recipients[id]) {
			return false
		}
	}
	return true
}

// final are the outcomes behind which no other comes.
func (w *watch) final() (all []Delivery) {
	for _, d := range w.deliveries {
		if !w.passed(d) {
			all = append(all, d)
		}
	}
	return all
}

// number is what a log line says, 0 if it is none.
func number(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
