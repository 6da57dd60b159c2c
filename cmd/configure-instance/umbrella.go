package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	manager "postfix-maint/internal/systemd"
	"postfix-maint/internal/umbrella"
)

// stand does what postfix.service asks for by a word, or looks for strays.
func (t task) stand(root *sysroot.Root, stderr io.Writer) int {
	ctx := context.Background() // each way has an end of its own
	text := func(name string) string {
		text, _ := root.ReadFile(name) // none before the first daemon-reload, and where there is nothing to complain about
		return string(text)
	}
	host := umbrella.Host{Complaints: func() string { return text(paths.InstanceComplaints) }, Stderr: stderr, Sleep: sleep}
	var err error
	if t.strays {
		if systemd(root) == nil {
			return 0
		}
		err = umbrella.Search{
			Host: host, Dial: reach,
			Table:      func() string { return text(paths.InstanceTable) },
			Master:     func(queue string) int { return chroot.Master(chroot.Deps{Root: root}, queue) },
			Supervised: umbrella.Supervised,
		}.Strays(ctx)
	} else {
		var end func()
		if host.Systemd, end, err = reach(ctx); err == nil {
			defer end()
			err = host.Do(ctx, t.umbrella)
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

// reach connects to the system's systemd.
func reach(ctx context.Context) (umbrella.Manager, func(), error) {
	m, err := manager.DialDirect(ctx)
	if err != nil {
		return nil, nil, err
	}
	return m, m.Close, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
