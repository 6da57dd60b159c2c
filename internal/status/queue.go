package status

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"postfix-maint/internal/queue"
	"postfix-maint/internal/sysroot"
)

// Queue is what waits in an instance's queues (QSHAPE_README).
type Queue struct {
	queue.Counts
	Unseen bool `json:"not_seen"` // all or some of it: another account's
	// Partly tells that there may be more than was counted in the time for it.
	Partly bool `json:"partly"`
	// Oldest is when the oldest message came in, of the Looked ones that were looked into.
	Oldest time.Time `json:"oldest,omitzero"`
	Looked int       `json:"looked_into"`
	// Reason is why most of those that are deferred are, with host names taken out, and Reasons how many of Deferrals have it.
	Reason    string `json:"reason"`
	Reasons   int    `json:"reasons"`
	Deferrals int    `json:"deferrals"`
}

// Bounds of what is read. What lies in a queue is made by Postfix's account, and in maildrop by whoever sends mail: it may be anything.
const (
	queueDepth   = 20
	queueEntries = 2_000_000
	headBytes    = 512      // of a message: the records with its size and time come first
	reasonBytes  = 16 << 10 // of what bounce(8) wrote about one
)

// counter counts one instance's messages, and keeps a sample of their names, each as likely as any other.
type counter struct {
	q      Queue
	names  []string // sample, below the queue directory
	most   int
	chance *rand.Rand
	of     int // of how many messages the sample is
}

// countQueue counts an instance's messages as far as it gets until then, and looks into a sample of them.
func countQueue(ctx context.Context, root *sysroot.Root, dir string, sample int, until time.Time) (Queue, error) {
	real, err := root.Resolve(dir)
	if err != nil {
		return Queue{}, err
	}
	in, err := sysroot.OpenDir(real)
	if errors.Is(err, fs.ErrNotExist) {
		return Queue{}, nil
	}
	if err != nil {
		return Queue{Unseen: errors.Is(err, fs.ErrPermission)}, err
	}
	defer in.Close()
	counting, cancel := context.WithDeadline(ctx, later(until, time.Now().Add(queueLeast)))
	defer cancel()
	c := counter{most: sample, chance: rand.New(rand.NewPCG(1, 2))}
	var failed error
	w := sysroot.Walker{Depth: queueDepth, Most: queueEntries, Visit: c.take}
	for _, sub := range queue.Dirs {
		err := w.Walk(counting, in, sub)
		switch {
		case errors.Is(err, syscall.ENOTDIR): // nothing that Postfix looks into
		case errors.Is(err, sysroot.ErrBounds) || counting.Err() != nil:
			c.q.Partly = true
		case err != nil:
			c.q.Unseen, failed = true, errors.Join(failed, err)
		}
	}
	looking, cancel := context.WithDeadline(ctx, later(until.Add(lookTime), time.Now().Add(queueLeast)))
	defer cancel()
	c.lookInto(looking, in)
	return c.q, failed
}

// take counts one message.
func (c *counter) take(_ *os.Root, e fs.DirEntry, at string) error {
	if e.Type().IsRegular() {
		sub, _, _ := strings.Cut(at, "/")
		*c.q.Of(sub)++
		if sub != "corrupt" {
			c.maybe(at, e.Name())
		}
	}
	return nil
}

// maybe takes a message into the sample (Vitter's algorithm R).
func (c *counter) maybe(at, name string) {
	c.of++
	if len(c.names) < c.most {
		c.names = append(c.names, at+"/"+name)
	} else if n := c.chance.IntN(c.of); n < c.most {
		c.names[n] = at + "/" + name
	}
}

// lookInto reads the sample.
func (c *counter) lookInto(ctx context.Context, in *os.Root) {
	reasons := map[string]int{}
	for _, name := range c.names {
		if ctx.Err() != nil {
			break
		}
		if why := c.message(in, name); why != "" {
			reasons[why]++
			c.q.Deferrals++
		}
	}
	for _, why := range slices.Sorted(maps.Keys(reasons)) {
		if reasons[why] > c.q.Reasons {
			c.q.Reason, c.q.Reasons = why, reasons[why]
		}
	}
}

// message reads one, and gives why it is deferred, if it is.
func (c *counter) message(in *os.Root, name string) (why string) {
	head, err := readHead(in, name, headBytes)
	if err != nil { // delivered meanwhile
		return ""
	}
	if came := arrival(head); !came.IsZero() {
		c.q.Looked++
		if c.q.Oldest.IsZero() || came.Before(c.q.Oldest) {
			c.q.Oldest = came
		}
	}
	rest, deferred := strings.CutPrefix(name, "deferred/")
	if !deferred {
		return ""
	}
	text, err := readHead(in, "defer/"+rest, reasonBytes)
	if err != nil {
		return ""
	}
	return reason(text)
}

// readHead reads the beginning of a regular file.
func readHead(in *os.Root, name string, most int64) ([]byte, error) {
	f, err := in.OpenFile(path.Clean(name), os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, cmp.Or(err, fs.ErrInvalid)
	}
	return io.ReadAll(io.LimitReader(f, most))
}

// lastSecond is some thousand years away: JSON has no word for a time after the year 9999.
const lastSecond = 1 << 37

// arrival is when a message came in, by the record T in its file (rec_type.h): a letter, the length in groups of seven bits with the lowest
// first, and the text, which is seconds, or seconds and microseconds. The zero time is for what is no such file.
func arrival(head []byte) time.Time {
	for len(head) > 2 {
		kind := head[0]
		length, n := 0, 1
		for shift := 0; n < len(head) && n < 5; n++ {
			length |= int(head[n]&0x7f) << shift
			shift += 7
			if head[n]&0x80 == 0 {
				n++
				break
			}
		}
		if length > len(head)-n {
			return time.Time{}
		}
		if kind == 'T' {
			first, _, _ := strings.Cut(string(head[n:n+length]), " ")
			if sec, err := strconv.ParseInt(first, 10, 64); err == nil && sec > 0 && sec < lastSecond {
				return time.Unix(sec, 0)
			}
			return time.Time{}
		}
		head = head[n+length:]
	}
	return time.Time{}
}

// reason is the first one that bounce(8) noted, with host names and addresses taken out, so that the same trouble with several hosts counts
// as one. It is what a remote server said: nothing but printable ASCII of it gets onto a screen.
func reason(text []byte) string {
	_, rest, found := bytes.Cut(append([]byte("\n"), text...), []byte("\nreason="))
	if !found {
		return ""
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return shorten(general(plain(string(line))), 300)
}

// general takes out what differs from message to message.
func general(text string) string {
	text = strings.TrimPrefix(text, "delivery temporarily suspended: ")
	words := strings.Fields(text)
	for i, w := range words {
		bare := strings.TrimRight(w, ":,;.")
		switch open := strings.IndexByte(bare, '['); {
		case open > 0 && strings.Contains(bare[open:], "]"):
			words[i] = "HOST" + w[len(bare):]
		case strings.HasPrefix(bare, "name="):
			words[i] = "name=HOST" + w[len(bare):]
		case strings.HasPrefix(bare, "<") && strings.Contains(bare, "@"):
			words[i] = "<ADDRESS>" + w[len(bare):]
		}
	}
	return strings.Join(words, " ")
}

// plain is text with everything that is no printable ASCII replaced.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// shorten cuts text, and shows that.
func shorten(text string, most int) string {
	if len(text) <= most || most < 4 {
		return text
	}
	return strings.TrimSpace(text[:most-3]) + "..."
}
