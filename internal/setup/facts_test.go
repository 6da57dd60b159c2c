package setup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot/sysroottest"
)

// deadResolver never answers and tells who asks it.
type deadResolver chan string

func (d deadResolver) LookupCNAME(ctx context.Context, host string) (string, error) {
	d <- host
	<-ctx.Done()
	return "", errors.New("no answer")
}

// D15: Debian's scripts ask up to seven times and wait for each time-out.
func TestADeadResolverCostsOneBoundedLookup(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/hosts": "127.0.0.1 localhost\n", "etc/hostname": "box\n"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	dead := make(deadResolver, 10)
	facts := setup.ReadFacts(ctx, root, "box", "", dead)
	if asked := <-dead; len(dead) > 0 || asked != "box" || facts.FQDN != "box" {
		t.Errorf("asked for %s and %d more, the name is %q", asked, len(dead), facts.FQDN)
	}
}

// stuck is a resolver that never looks at the context: Go's own while it reads its files.
type stuck chan struct{}

func (s stuck) LookupCNAME(context.Context, string) (string, error) {
	<-s
	return "", nil
}

func TestAResolverThatLooksAtNoDeadline(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/resolv.conf": "search example.test\n"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	res := make(stuck)
	done := make(chan string, 1)
	go func() {
		defer func() { _ = recover() }()
		done <- setup.ReadFacts(ctx, root, "box", "", res).FQDN
	}()
	select {
	case name := <-done:
		if name != "box.example.test" {
			t.Errorf("the name is %q", name)
		}
	case <-time.After(time.Minute):
		t.Error("it is waited for")
	}
	close(res)
}
