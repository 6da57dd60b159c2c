package smarthost

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/paths"
)

// step is how often the logs are looked at.
const step = 200 * time.Millisecond

// Lines of the mail log, without the time and the program in front.
var (
	cleanupLine = regexp.MustCompile(`([0-9A-Za-z]+): message-id=<([^>]*)>`)
	queueLine   = regexp.MustCompile(`([0-9A-Za-z]+): from=<([^>]*)>, size=\d+(?:, nrcpt=(\d+))?`)
	removedLine = regexp.MustCompile(`([0-9A-Za-z]+): removed\s*$`)
	statusLine  = regexp.MustCompile(`([0-9A-Za-z]+): to=<(.*?)>,.* relay=([^,]*),(?:.* delay=([^,]*),)?(?:.* delays=([^,]*),)?.* status=(\w+) \((.*)\)\s*$`)
)

// isQueueID tells whether a text can be the name of one message: "ALL" means every one to Postfix's programs.
func isQueueID(text string) bool { return queueID.MatchString(text) && !strings.EqualFold(text, "ALL") }

var queueID = regexp.MustCompile(`^[0-9A-Za-z]+$`)

// logs are the places where the message may be logged: files that are followed from where they ended, and the journal.
type logs struct {
	h     *host
	start time.Time
	files map[string]*logged
}

// logged is what one file got since the start.
type logged struct {
	from int64 // where the rest begins that is not read yet
	text []byte
}

// maxLogged bounds what is kept of a file: the lines about one message are near the end.
const maxLogged = 8 << 20

func (h *host) openLogs(start time.Time) *logs {
	l := &logs{h: h, start: start, files: map[string]*logged{}}
	for _, name := range []string{h.effective["maillog_file"], paths.MailLog} {
		if fi, err := h.d.Root.Stat(name); name != "" && err == nil && fi.Mode().IsRegular() {
			l.files[name] = &logged{from: fi.Size()}
		}
	}
	return l
}

// lines gives what was logged since the start. Where a log cannot be read another one may tell.
func (l *logs) lines(ctx context.Context) []string {
	var all []string
	for name, f := range l.files {
		more, next, err := l.h.d.Root.ReadFrom(name, f.from, maxLogged)
		if err != nil {
			continue
		}
		f.from, f.text = next, append(f.text, more...)
		f.text = f.text[max(0, len(f.text)-maxLogged):]
		all = append(all, strings.Split(string(f.text), "\n")...)
	}
	if ok, _ := l.h.d.Root.Exists(paths.Journalctl); ok {
		// Facility 2 is mail; the start is rounded down to the second.
		out, err := l.h.d.Run.Output(ctx, paths.Journalctl, "-q", "--no-pager", "-o", "cat", fmt.Sprintf("--since=@%d", l.start.Unix()), "SYSLOG_FACILITY=2")
		if err == nil {
			all = append(all, strings.Split(string(out), "\n")...)
		}
	}
	return all
}

// watch follows one message, and those that it becomes.
type watch struct {
	h          *host
	fate       *Fate
	id         string // its Message-ID
	start      time.Time
	ids        []string        // queue ids, the first one that of the message itself
	recipients map[string]int  // by queue id, as far as known
	removed    map[string]bool // from the queue, by queue id
	deliveries []Delivery
	others     map[string]bool // queue ids of messages that are not ours
	again      bool            // a second attempt was asked for
	old        string          // the log line of the first one's outcome
	stale      string          // and what the queue says of it until the second one
	filter     string          // content_filter: what it takes is not at the relay yet, and comes back as another message with the same Message-ID
	handed     string          // to whom it went
}

// follow waits for the outcome or the end of ctx, and then fills in what is known.
func (w *watch) follow(ctx context.Context, l *logs) error {
	for {
		w.read(l.lines(ctx))
		if w.settle(true); w.fate.Status == "" || w.fate.QueueID == "" {
			w.look(ctx)
			w.settle(true)
		}
		if w.fate.Status != "" && !w.retry(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(step):
		}
	}
}

// read takes what the log says of the message.
func (w *watch) read(lines []string) {
	if w.recipients == nil {
		w.recipients, w.removed = map[string]int{}, map[string]bool{}
	}
	for _, line := range lines {
		if m := cleanupLine.FindStringSubmatch(line); m != nil && m[2] == w.id && isQueueID(m[1]) {
			if w.fate.QueueID = m[1]; !slices.Contains(w.ids, m[1]) {
				w.ids = append(w.ids, m[1])
			}
		}
		if m := queueLine.FindStringSubmatch(line); m != nil && slices.Contains(w.ids, m[1]) {
			w.recipients[m[1]] = max(w.recipients[m[1]], number(m[3]))
			w.fate.Sender = m[2]
		}
		if m := removedLine.FindStringSubmatch(line); m != nil && slices.Contains(w.ids, m[1]) {
			w.removed[m[1]] = true
		}
		if m := statusLine.FindStringSubmatch(line); m != nil && slices.Contains(w.ids, m[1]) && m[0] != w.old {
			w.note(Delivery{QueueID: m[1], Recipient: m[2], Via: m[3], Delay: m[4], Delays: m[5], Status: m[6], Reply: m[7], line: m[0]})
		}
	}
}

// look asks the queue, for a host without a log: a message that is there with a reason was deferred.
func (w *watch) look(ctx context.Context) {
	out, err := w.h.d.Run.Output(ctx, paths.Postqueue, "-c", w.h.inst.ConfigDir, "-j")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(out)) {
		var m struct {
			ID         string `json:"queue_id"`
			Arrival    int64  `json:"arrival_time"`
			Recipients []struct {
				Address string `json:"address"`
				Reason  string `json:"delay_reason"`
			} `json:"recipients"`
		}
		if json.Unmarshal([]byte(line), &m) != nil || m.Arrival < w.start.Unix() || !isQueueID(m.ID) {
			continue
		}
		if w.fate.QueueID == "" && w.owns(ctx, m.ID) {
			w.fate.QueueID = m.ID // in the maildrop it has another one than behind cleanup(8), which the log tells
		}
		for _, r := range m.Recipients {
			if w.fate.QueueID == m.ID && r.Reason != "" && r.Reason != w.stale {
				w.note(Delivery{QueueID: m.ID, Recipient: r.Address, Status: "deferred", Reply: r.Reason})
			}
		}
	}
}

// owns tells whether a queued message is the one that was submitted: only that has its Message-ID in it. Each other one is read once.
func (w *watch) owns(ctx context.Context, id string) bool {
	if w.others[id] {
		return false
	}
	out, err := w.h.d.Run.Output(ctx, paths.Postcat, "-c", w.h.inst.ConfigDir, "-q", id)
	if err == nil && strings.Contains(string(out), w.id) {
		return true
	}
	if w.others == nil {
		w.others = map[string]bool{}
	}
	w.others[id] = err == nil // one that cannot be read yet may be ours
	return false
}

// retry asks once for another attempt where the message met a relay that the queue manager had given up for a while because of
// earlier mail: the settings may have been mended since.
func (w *watch) retry(ctx context.Context) bool {
	if w.again || w.fate.Status != "deferred" || !strings.HasPrefix(w.fate.Reply, "delivery temporarily suspended") {
		return false
	}
	w.again, w.stale = true, w.fate.Reply
	for _, d := range w.deliveries {
		if d.Reply == w.fate.Reply {
			w.old = d.line
		}
	}
	w.deliveries, w.fate.Status, w.fate.Reply = nil, "", ""
	return w.h.d.Run.Run(ctx, paths.Postqueue, "-c", w.h.inst.ConfigDir, "-i", w.fate.QueueID) == nil
}
