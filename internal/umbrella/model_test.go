package umbrella_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"postfix-maint/internal/systemd"
	"postfix-maint/internal/umbrella"
)

// model is a systemd whose instances change at any moment while the watch works: before each look, and while each job of
// postfix.service runs.
type model struct {
	fake
	own       string
	instances map[string]string // what at says of each
	event     func()
}

func (m *model) Look(context.Context, ...string) ([]systemd.Unit, error) {
	m.event()
	now := at(m.own, m.instances[a], m.instances[b])
	return append([]systemd.Unit{now.own}, now.units...), nil
}

// start is a job of postfix.service: what it sees is what was when it looked, and the instances go on.
func (m *model) start() error {
	now := at(m.own, m.instances[a], m.instances[b])
	down := umbrella.Snapshot{Instances: now.units[:2]}.Down()
	m.event()
	if m.own = "active"; len(down) > 0 {
		m.own = "failed"
		return &systemd.JobError{Job: "start", Unit: umbrella.Unit, Result: "failed"}
	}
	return nil
}
func (m *model) StartAlone(context.Context, string) error   { return m.start() }
func (m *model) RestartAlone(context.Context, string) error { return m.start() }
func (m *model) StopAlone(context.Context, string) error {
	m.event()
	m.own = "inactive"
	return nil
}

func (m *model) ResetFailed(context.Context, string) error {
	m.own = "inactive"
	return nil
}

// Whatever happens while one look works: the look that its last event makes leaves postfix.service as its instances are.
func TestWatchFollows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		states := rapid.SampledFrom([]string{runs, failed, retries, stopped, starts, ends, runs + " stop", retries + " stop", stopped + " start"})
		m := &model{own: rapid.SampledFrom([]string{"active", "inactive", "failed"}).Draw(t, "own"), instances: map[string]string{}}
		m.wants, m.moments = []string{a, b}, []moment{{}}
		settle := func() { // what is on its way arrives
			for name, is := range m.instances {
				switch is {
				case starts, stopped + " start":
					m.instances[name] = rapid.SampledFrom([]string{runs, failed}).Draw(t, "started")
				case ends, runs + " stop", retries + " stop":
					m.instances[name] = stopped
				}
			}
		}
		for _, name := range []string{a, b} {
			m.instances[name] = states.Draw(t, "first")
		}
		events := rapid.IntRange(0, 12).Draw(t, "events")
		m.event = func() {
			if events--; events < 0 {
				settle()
			} else if rapid.Bool().Draw(t, "changes") {
				m.instances[rapid.SampledFrom([]string{a, b}).Draw(t, "which")] = states.Draw(t, "becomes")
			}
		}
		h := umbrella.Host{Systemd: m, Stderr: new(strings.Builder), Sleep: func(context.Context, time.Duration) error { return nil }}
		if err := h.Do(context.Background(), "watch"); err != nil && events > 0 {
			t.Logf("gave up: %v", err) // with so many changes meanwhile
		}
		events = 0
		settle()
		if err := h.Do(context.Background(), "watch"); err != nil {
			t.Fatalf("the last look: %v", err)
		}
		up, down := m.instances[a] == runs || m.instances[b] == runs, false
		for _, is := range m.instances {
			down = down || is == failed || is == retries
		}
		want := map[bool]string{true: "active", false: "inactive"}[up]
		if down && (up || m.own != "inactive") {
			want = "failed"
		}
		if m.own != want {
			t.Fatalf("postfix.service is %s with %v, want %s", m.own, m.instances, want)
		}
	})
}
