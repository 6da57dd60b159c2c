package lock_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/lock"
)

func TestTheSecondIsToldWhoIsAtWork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lock.Take(path, "apply")
	if err != nil {
		t.Fatal(err)
	}
	_, err = lock.Take(path, "adopt")
	busy := (*lock.BusyError)(nil)
	if !errors.As(err, &busy) || !strings.Contains(busy.Error(), fmt.Sprintf("process %d (apply) since ", os.Getpid())) {
		t.Errorf("the second got %v", err)
	}
	first.Release()
	again, err := lock.Take(path, "adopt")
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
}

func TestALinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/victim", []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("victim", dir+"/lock"); err != nil {
		t.Fatal(err)
	}
	if l, err := lock.Take(dir+"/lock", "apply"); err == nil {
		l.Release()
		t.Error("the lock was taken through a link")
	}
	if data, _ := os.ReadFile(dir + "/victim"); string(data) != "text" {
		t.Errorf("the file behind a link became %q", data)
	}
}

func TestAScriptWaitsForAPersonsCommand(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	holder := exec.Command("flock", path, "sh", "-c", "echo process $$ '(smarthost set)' since now > "+path+"; echo; read x")
	in, _ := holder.StdinPipe()
	out, _ := holder.StdoutPipe()
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 1)); err != nil { // it holds the lock
		t.Fatal(err)
	}
	told := 0
	wait := func(limit time.Duration) (*lock.Lock, error) {
		return lock.Wait(context.Background(), path, "postinst", limit, func(busy *lock.BusyError) {
			if told++; !strings.Contains(busy.Error(), "(smarthost set)") {
				t.Errorf("it waits for: %v", busy)
			}
		})
	}
	if l, err := wait(time.Millisecond); !errors.As(err, new(*lock.BusyError)) || told != 1 {
		t.Fatalf("after the limit: %v, %v, told %d times", l, err, told)
	}
	in.Close()
	l, err := wait(time.Hour)
	if err != nil {
		t.Fatalf("after the command's end: %v", err)
	}
	l.Release()
	_ = holder.Wait()
}

func TestACommandLendsItsLockToWhatItStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := lock.Take(path, "adopt")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	l, err := lock.Wait(context.Background(), path, "postinst", time.Hour, func(*lock.BusyError) { t.Error("it waits") })
	if l != nil || err != nil {
		t.Errorf("got %v, %v", l, err)
	}
}

// Whoever finds the lock taken gets it when the other one is through.
func TestABriefLockIsWaitedFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lock.Brief(path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, first.Release)
	second, err := lock.Brief(path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
}

func TestABriefLockWritesNothingAndWaitsNotForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lock.Brief(path, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Brief(path, time.Millisecond); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("the second got %v", err)
	}
	before, _ := os.Stat(path)
	first.Release()
	again, err := lock.Brief(path, time.Millisecond)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	again.Release()
	if after, err := os.Stat(path); err != nil || after.Mode().Perm() != 0o600 || after.Size() != 0 || after.ModTime() != before.ModTime() {
		t.Errorf("the file is %v, %v", after, err)
	}
	if err := unix.Mkfifo(path+"2", 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := lock.Brief(path+"2", time.Millisecond); err == nil { // a pipe in its place holds nobody
		l.Release()
	}
}
