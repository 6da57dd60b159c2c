package product

import (
	"context"
	"maps"
	"path/filepath"
	"strings"

	"postfix-maint/integration/hosts"
)

// With adds an apt source with more of Debian's packages to the options of a host; nothing of them is installed.
func With(ctx context.Context, s *hosts.Session, opt hosts.Options, name string, packages ...string) (hosts.Options, error) {
	dir, err := s.Packages(ctx, opt.Release, name, packages...)
	if err != nil {
		return opt, err
	}
	top := opt.Release // what is below decides which layer this is
	if len(opt.Layers) > 0 {
		top = filepath.Base(opt.Layers[0])
	}
	binds := maps.Clone(opt.Binds)
	if binds == nil {
		binds = map[string]string{}
	}
	at := place + "-" + name
	binds[dir] = at
	opt.Binds = binds
	return s.Layer(ctx, name+"-"+strings.TrimPrefix(top, "layer-"), opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, `echo 'deb [trusted=yes] file:`+at+` ./' > /etc/apt/sources.list.d/`+name+`.list
			apt-get update -q`)
		return err
	})
}
