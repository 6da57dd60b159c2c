package oauthrelay

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// end is one end of what is passed on, with what was read of it already.
type end struct {
	conn net.Conn
	r    *bufio.Reader
}

// bufferSize is how much is passed on at once: a TLS record.
const bufferSize = 16 << 10

// pass passes bytes both ways, unchanged, until both sides have ended, one breaks, or neither says anything for a long time.
func pass(client, up end, limits Limits) {
	var active atomic.Int64
	active.Store(time.Now().UnixNano())
	ended := make(chan bool, 2)
	for _, way := range [][2]end{{up, client}, {client, up}} {
		go func() {
			clean := false
			defer func() {
				_ = recover() // ends like a connection that breaks
				ended <- clean
			}()
			clean = stream(way[0].conn, way[1], &active, limits)
		}()
	}
	if <-ended {
		// The other direction may have something left to say: the answer to QUIT.
		last := time.AfterFunc(limits.Linger, func() { closeBoth(client, up) })
		<-ended
		last.Stop()
		closeBoth(client, up)
		return
	}
	closeBoth(client, up)
	<-ended
}

func closeBoth(a, b end) {
	_ = a.conn.Close() // what was to be sent has been
	_ = b.conn.Close()
}

// stream passes one way; clean is an end of what comes in that was passed on as well.
func stream(to net.Conn, from end, active *atomic.Int64, limits Limits) (clean bool) {
	buffer := make([]byte, bufferSize)
	for {
		_ = from.conn.SetReadDeadline(time.Now().Add(limits.Idle)) // a closed connection says so at the read
		n, err := from.r.Read(buffer)
		if n > 0 {
			active.Store(time.Now().UnixNano())
			_ = to.SetWriteDeadline(time.Now().Add(limits.Write))
			if _, err := to.Write(buffer[:n]); err != nil {
				return false
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Since(time.Unix(0, active.Load())) < limits.Idle:
			// the other direction is busy: a long message, say, whose answer this one waits for
		case errors.Is(err, io.EOF):
			half, ok := to.(interface{ CloseWrite() error })
			return ok && half.CloseWrite() == nil
		default:
			return false
		}
	}
}
