package smarthost

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"postfix-maint/internal/paths"
)

// step is how often the logs are looked at.
const step = 200 * time.Millisecond

// Lines of the mail log, without the time and the program in front.
var (
	cleanupLine = regexp.MustCompile(`([0-9A-Za-z]+): message-id=<([^>]*)>`)
	queueLine   = regexp.MustCompile(`([0-9A-Za-z]+): from=<([^>]*)>, size=`)
	statusLine  = regexp.MustCompile(`([0-9A-Za-z]+): to=<.*?>,.* relay=([^,]*),.* status=(\w+) \((.*)\)\s*$`)
)

// logs are the places where the message may be logged: files that are followed from where they ended, and the journal.
type logs struct {
	h     *host
	start time.Time
	files map[string]int // path -> bytes seen
}

func (h *host) openLogs(start time.Time) *logs {
	l := &logs{h: h, start: start, files: map[string]int{}}
	for _, name := range []string{h.effective["maillog_file"], paths.MailLog} {
		if data, err := h.d.Root.ReadFile(name); err == nil {
			l.files[name] = len(data)
		}
	}
	return l
}

// lines gives what was logged since the start. Where a log cannot be read another one may tell.
func (l *logs) lines(ctx context.Context) []string {
	var all []string
	for name, seen := range l.files {
		data, err := l.h.d.Root.ReadFile(name)
		if err != nil {
			continue
		}
		all = append(all, strings.Split(string(data[min(seen, len(data)):]), "\n")...)
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
	h     *host
	res   *Result
	id    string // its Message-ID
	start time.Time
	again bool // a second attempt was asked for
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
		if m := cleanupLine.FindStringSubmatch(line); m != nil && m[2] == w.id {
			w.res.QueueID = m[1]
		}
		if m := queueLine.FindStringSubmatch(line); m != nil && m[1] == w.res.QueueID {
			w.res.Sender = m[2]
		}
		if m := statusLine.FindStringSubmatch(line); m != nil && m[1] == w.res.QueueID {
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
		if json.Unmarshal([]byte(line), &m) != nil || m.Arrival < w.start.Unix() || len(m.Recipients) != 1 {
			continue
		}
		if r := m.Recipients[0]; r.Address == w.res.Address && (w.res.QueueID == "" || w.res.QueueID == m.ID) {
			w.res.QueueID = m.ID
			if r.Reason != "" {
				w.res.Status, w.res.Reply = "deferred", r.Reason
			}
		}
	}
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
