package smarthost

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
)

// deciders are the services by whose settings a locally submitted message goes to the relay, besides its client, and what each of them
// decides: pickup(8) chooses the filter, trivial-rewrite(8) transport and next hop (resolve_addr() in Postfix's trivial-rewrite/resolve.c).
var deciders = []struct {
	service string
	decides []string
}{
	{"pickup", []string{"content_filter"}},
	{"rewrite", []string{"relayhost", "default_transport"}},
}

// override puts what master.cf says otherwise for the test's message (-o NAME=VALUE) into the effective settings, and gives it for the
// screen. The client is the service that default_transport names; relayhost beside it there changes nothing, as it does in Postfix.
func (h *host) override() (shown []string, err error) {
	name := h.file("master.cf")
	data, err := h.d.Root.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("cannot read the services: %w", err)
	}
	services, err := mastercf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", name, err)
	}
	take := func(service string, params []string) error {
		i := slices.IndexFunc(services.Services(), func(s mastercf.Service) bool { return s.Name == service })
		if i < 0 {
			return nil
		}
		s := services.Services()[i]
		for _, param := range params {
			value, there := s.Option(param)
			if !there {
				continue
			}
			if h.effective[param], err = instance.Expand(h.live, h.inst.ConfigDir, value); err != nil {
				return fmt.Errorf("cannot understand -o %s of the service %q in %q: %w", param, s.Name, name, err)
			}
			shown = append(shown, fmt.Sprintf("%s has -o %s", s.Name, maincf.Show(param, value)))
		}
		return nil
	}
	for _, d := range deciders {
		if h.routed && d.service == "rewrite" { // a sender's own relay comes before relayhost, wherever that stands
			continue
		}
		if err := take(d.service, d.decides); err != nil {
			return nil, err
		}
	}
	client, _, _ := strings.Cut(h.effective["default_transport"], ":")
	return shown, take(client, clientParams())
}

// clientParams are the parameters that smtp(8) itself reads.
func clientParams() []string {
	return slices.DeleteFunc(slices.Clone(deciding), func(param string) bool {
		return !strings.HasPrefix(param, "smtp_") && param != "inet_protocols" && param != "tls_append_default_CA"
	})
}
