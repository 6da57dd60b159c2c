package main

import (
	"io"
	"net"
	"path/filepath"
	"testing"
)

// Who waits for a daemon that does not run is turned away at once, however many they are, and the socket stays.
func TestTurnAway(t *testing.T) {
	name := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 2 {
		var waiting []net.Conn
		for range 3 {
			c, err := net.Dial("unix", name)
			if err != nil {
				t.Fatal(err)
			}
			waiting = append(waiting, c)
		}
		turnAway(int(file.Fd()))
		for _, c := range waiting {
			if _, err := c.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("who waits reads %v", err)
			}
			c.Close()
		}
	}
	turnAway(-1)
}
