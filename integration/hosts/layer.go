package hosts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// layer is a kept upper directory, made once per session.
type layer struct {
	once sync.Once
	dir  string
	err  error
}

// Layer gives the options of a host with one more layer: what build did to a host made with opt. It is built once per session
// and name; others that want it wait.
func (s *Session) Layer(ctx context.Context, name string, opt Options, build func(h *Host) error) (Options, error) {
	s.mu.Lock()
	l := s.layers[name]
	if l == nil {
		l = &layer{}
		s.layers[name] = l
	}
	s.mu.Unlock()
	l.once.Do(func() { l.dir, l.err = s.buildLayer(ctx, name, opt, build) })
	if l.err != nil {
		return opt, fmt.Errorf("cannot build the layer %s: %w", name, l.err)
	}
	opt.Layers = append([]string{l.dir}, opt.Layers...)
	return opt, nil
}

func (s *Session) buildLayer(ctx context.Context, name string, opt Options, build func(h *Host) error) (string, error) {
	h, err := s.NewHost(ctx, name, opt)
	if err != nil {
		return "", err
	}
	if err := build(h); err != nil {
		return "", errors.Join(err, h.Remove())
	}
	dir := filepath.Join(s.dir, "layer-"+name)
	if err := h.save(dir); err != nil {
		return "", errors.Join(err, h.Remove())
	}
	return dir, h.Remove()
}

// save shuts the host down and moves its upper directory to dir. What NewHost writes anew for each host is left in it.
func (h *Host) save(dir string) error {
	if err := h.Stop(); err != nil {
		return err
	}
	if err := unmountBelow(h.dir); err != nil {
		return err
	}
	return os.Rename(h.Changes(), dir)
}
