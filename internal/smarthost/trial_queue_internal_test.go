package smarthost

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/internal/smarthost/probe"
)

// queue holds messages: what postqueue(1) and postcat(1) say of them.
type queue struct {
	messages map[string]string
	deleted  []string
	read     []string
}

func (q *queue) Run(ctx context.Context, name string, args ...string) error {
	_, err := q.Output(ctx, name, args...)
	return err
}

func (q *queue) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	last := args[len(args)-1]
	switch {
	case strings.HasSuffix(name, "postcat"):
		q.read = append(q.read, last)
		return []byte(q.messages[last]), nil
	case strings.HasSuffix(name, "postsuper"):
		q.deleted = append(q.deleted, last)
		return nil, nil
	}
	var out strings.Builder
	for id := range q.messages {
		out.WriteString(`{"queue_id": "` + id + `", "arrival_time": 4000000000, "recipients": [{"address": "x@example.net", "delay_reason": "later"}]}` + "\n")
	}
	return []byte(out.String()), nil
}

// Without a log the queue is asked. Another message for the same recipient is not the test's, and is never deleted.
func TestOnlyItsOwnMessageIsDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		own  string
		want string
	}{"its own is there": {"message-id: <mine@h>", "OWN"}, "its own is gone": {"message-id: <theirs@h>", ""}} {
		t.Run(name, func(t *testing.T) {
			q := &queue{messages: map[string]string{"AAA": "message-id: <a@h>", "OWN": c.own, "ZZZ": "message-id: <z@h>"}}
			res := &Result{Address: "x@example.net"}
			h := &host{d: Deps{Run: q}}
			w := &watch{h: h, fate: &res.Fate, id: "mine@h"}
			if err := h.conclude(t.Context(), w, probe.Target{}, res); err != nil || res.QueueID != c.want || strings.Join(q.deleted, " ") != c.want {
				t.Errorf("%v: queue id %q, deleted %q", err, res.QueueID, q.deleted)
			}
			res.QueueID, w.ids, q.deleted = "AAA", nil, nil // by a log that tells of another
			if err := h.conclude(t.Context(), w, probe.Target{}, res); err != nil || q.deleted != nil {
				t.Errorf("%v: deleted %q", err, q.deleted)
			}
		})
	}
}

// A name that stands for more than one message, or for none, is handed to no program.
func TestOnlyAQueueIDIsRead(t *testing.T) {
	for _, id := range []string{"ALL", "all", "-", "-v", "../x", "A B", "A:"} {
		q := &queue{messages: map[string]string{id: "message-id: <mine@h>"}}
		res := &Result{Address: "x@example.net"}
		w := &watch{h: &host{d: Deps{Run: q}}, fate: &res.Fate, id: "mine@h"}
		w.read([]string{"postfix/cleanup[1]: ALL: message-id=<mine@h>"})
		w.look(t.Context())
		if res.QueueID != "" || q.read != nil {
			t.Errorf("%q: queue id %q, read %q", id, res.QueueID, q.read)
		}
	}
}

// What Postfix logs of a relay that repeats the login is shown with stars.
func TestAReplyInTheLogIsConcealed(t *testing.T) {
	res := &Result{Fate: Fate{QueueID: "AAA", Status: "bounced", Reply: "SASL authentication failed; server r said: 535 Z2VoZWlt geheim \x1b[2J"}}
	h := &host{d: Deps{Run: &queue{}}}
	w := &watch{h: h, fate: &res.Fate, id: "mine@h"}
	err := h.conclude(t.Context(), w, probe.Target{User: "u", Secret: "geheim"}, res)
	if want := "SASL authentication failed; server r said: 535 *** *** ?[2J"; err != nil || res.Reply != want || res.Problem != want || res.Advice == "" {
		t.Errorf("%v: %+v", err, res)
	}
}
