package smarthost

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/probe"
)

// step is how often the logs are looked at.
const step = 200 * time.Millisecond

// Lines of the mail log, without the time and the program in front.
var (
	cleanupLine = regexp.MustCompile(`([0-9A-Za-z]+): message-id=<([^>]*)>`)
	queueLine   = regexp.MustCompile(`([0-9A-Za-z]+): from=<([^>]*)>, size=`)
	statusLine  = regexp.MustCompile(`([0-9A-Za-z]+): to=<.*?>,.* relay=([^,]*),.* status=(\w+) \((.*)\)\s*$`)
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

// watch follows one message.
type watch struct {
	h      *host
	res    *Result
	id     string // its Message-ID
	target probe.Target
	start  time.Time
	others map[string]bool // queue ids of messages that are not ours
	again  bool            // a second attempt was asked for
	filter string          // content_filter: what it takes is not at the relay yet, and comes back as another message with the same Message-ID
	first  string          // queue id of the message that the filter gets
	handed string          // to whom it went
}

// follow waits for the outcome or the end of ctx, and then fills in what is known.
func (w *watch) follow(ctx context.Context, l *logs) error {
	for {
		w.read(l.lines(ctx))
		if w.res.Status == "" || w.res.QueueID == "" {
			w.look(ctx)
		}
		if w.res.Status != "" && !w.retry(ctx) {
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
	for _, line := range lines {
		if m := cleanupLine.FindStringSubmatch(line); m != nil && m[2] == w.id && isQueueID(m[1]) {
			if w.res.QueueID = m[1]; w.first == "" && w.filter != "" {
				w.first = m[1]
			}
		}
		if m := queueLine.FindStringSubmatch(line); m != nil && m[1] == w.res.QueueID {
			w.res.Sender = m[2]
		}
		if m := statusLine.FindStringSubmatch(line); m != nil && m[1] == w.res.QueueID {
			if m[1] == w.first && m[3] == "sent" {
				w.handed = m[2]
				continue
			}
			w.res.Via, w.res.Status, w.res.Reply = m[2], m[3], m[4]
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
		if w.res.QueueID == "" && w.owns(ctx, m.ID) {
			w.res.QueueID = m.ID
		}
		if w.res.QueueID == m.ID && len(m.Recipients) > 0 && m.Recipients[0].Reason != "" {
			w.res.Status, w.res.Reply = "deferred", m.Recipients[0].Reason
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
	if w.again || w.res.Status != "deferred" || !strings.HasPrefix(w.res.Reply, "delivery temporarily suspended") {
		return false
	}
	w.again = true
	w.res.Status, w.res.Reply = "", ""
	return w.h.d.Run.Run(ctx, paths.Postqueue, "-c", w.h.inst.ConfigDir, "-i", w.res.QueueID) == nil
}
