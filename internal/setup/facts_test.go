package setup_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot/sysroottest"
)

// deadResolver never answers and counts who asks it.
type deadResolver struct{ asked int }

func (d *deadResolver) LookupCNAME(ctx context.Context, _ string) (string, error) {
	d.asked++
	<-ctx.Done()
	return "", errors.New("no answer")
}

// D15: Debian's scripts ask up to seven times and wait for each time-out.
func TestADeadResolverCostsOneBoundedLookup(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/hosts": "127.0.0.1 localhost\n", "etc/hostname": "box\n"})
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	dead := &deadResolver{}
	facts := setup.ReadFacts(ctx, root, "box", "", dead)
	if dead.asked != 1 || facts.FQDN != "box" {
		t.Errorf("asked %d times, the name is %q", dead.asked, facts.FQDN)
	}
}
