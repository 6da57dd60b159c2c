package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How often people are told that work goes on: on a terminal by one line that is written anew, elsewhere by lines.
const (
	onTerminal = time.Second
	byLines    = 10 * time.Second
)

// clearLine goes back to the beginning of a terminal's line and takes away what stands there (ECMA-48, CR and EL).
const clearLine = "\r\x1b[K"

// waiting tells people that work goes on, and for how long it has. None is made for machines and maintainer scripts: all its methods do
// nothing then. A library for bars (golang-github-schollz-progressbar) would draw the line; when to, and where not, is all that is here.
type waiting struct {
	mu     sync.Mutex
	w      io.Writer
	every  time.Duration
	line   bool // a terminal's, which is written anew
	what   string
	start  time.Time
	shown  bool
	paused bool
	end    chan struct{}
	ended  chan struct{}
}

// waits begins to tell, if the command is one that may take long and people look on.
func (c *call) waits() *waiting {
	if c.row.waits == "" || c.Bool("json") || c.who.dpkg || inScript() {
		return nil
	}
	line := isTerminal(c.stderr) && os.Getenv("TERM") != "dumb" && os.Getenv("TERM") != ""
	every := byLines
	if line {
		every = onTerminal
	}
	return startWaiting(c.stderr, c.row.waits, line, every)
}

func startWaiting(w io.Writer, what string, line bool, every time.Duration) *waiting {
	t := &waiting{w: w, every: every, line: line, what: what, start: time.Now(), end: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer func() {
			_ = recover() // the work goes on untold
			close(t.ended)
		}()
		ticks := time.NewTicker(t.every)
		defer ticks.Stop()
		for {
			select {
			case <-t.end:
				return
			case <-ticks.C:
				t.tell()
			}
		}
	}()
	return t
}

// tell writes the line.
func (t *waiting) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.paused {
		return
	}
	since := fmt.Sprintf(", %d s", int(time.Since(t.start).Round(time.Second).Seconds()))
	if !t.line {
		fmt.Fprintln(t.w, "postfix-maint: "+t.what+since)
		return
	}
	room := columns(t.w) - 1 // the last column would begin a new line on some terminals
	fmt.Fprint(t.w, clearLine+cut(cut(t.what, room-len(since))+since, room))
	t.shown = true
}

// say changes what is waited for.
func (t *waiting) say(what string) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.what = what
}

// aside clears the line, and keeps it away while others write.
func (t *waiting) aside(do func() error) error {
	if t == nil {
		return do()
	}
	t.hold(true)
	defer t.hold(false)
	return do()
}

func (t *waiting) hold(paused bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.paused = paused
	t.clear()
}

func (t *waiting) clear() {
	if t.shown {
		fmt.Fprint(t.w, clearLine)
		t.shown = false
	}
}

// stop ends it and clears the line.
func (t *waiting) stop() {
	if t == nil {
		return
	}
	close(t.end)
	<-t.ended
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
}

// beside writes what others say where the line stands.
type beside struct {
	*waiting
	to io.Writer
}

// Write is io.Writer's.
func (b beside) Write(data []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clear()
	return b.to.Write(data)
}

// cut takes a text's beginning: one that is longer than the line would go on in the next one, which is never cleared.
func cut(text string, width int) string {
	if runes := []rune(text); len(runes) > width {
		return string(runes[:max(width, 0)])
	}
	return text
}

// columns are those of a terminal; narrow ones have less than help takes for granted.
func columns(w io.Writer) int {
	const usual = 80
	f, ok := w.(*os.File)
	if !ok {
		return usual
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return usual
	}
	return int(size.Col)
}
