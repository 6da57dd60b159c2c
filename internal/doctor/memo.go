package doctor

import (
	"context"
	"fmt"
	"sync"

	"postfix-maint/internal/dns"
)

// memo asks the same question once, however many instances have it, and so many at a time.
type memo struct {
	Network
	slots chan struct{}
	mu    sync.Mutex
	known map[string]func() ([]string, error)
}

// once gives what ask has found, for a key.
func (m *memo) once(key string, ask func() ([]string, error)) ([]string, error) {
	m.mu.Lock()
	if m.known == nil {
		m.known = map[string]func() ([]string, error){}
	}
	if m.known[key] == nil {
		m.known[key] = sync.OnceValues(func() ([]string, error) {
			m.slots <- struct{}{}
			defer func() { <-m.slots }()
			return ask()
		})
	}
	do := m.known[key]
	m.mu.Unlock()
	return do()
}

// Lookup is Network's.
func (m *memo) Lookup(ctx context.Context, kind dns.Kind, name string) ([]string, error) {
	return m.once(fmt.Sprintf("%d %s", kind, name), func() ([]string, error) { return m.Network.Lookup(ctx, kind, name) })
}

// Answers is Network's.
func (m *memo) Answers(ctx context.Context, server string) error {
	_, err := m.once("server "+server, func() ([]string, error) { return nil, m.Network.Answers(ctx, server) })
	return err
}

// Connects is Network's.
func (m *memo) Connects(ctx context.Context, address string) error {
	_, err := m.once("to "+address, func() ([]string, error) { return nil, m.Network.Connects(ctx, address) })
	return err
}
