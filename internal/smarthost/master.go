package smarthost

import (
	"fmt"
	"slices"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// Services of ours for senders whose relay begins TLS in another way than the relay for all mail: smtp_tls_wrappermode holds for a whole
// client, and no entry of smtp_tls_policy_maps changes it (TLS_README, "Client-side SMTPS support").
const (
	wrapperService  = "smtp-wrapper"
	startTLSService = "smtp-starttls"
)

// oauthService is the client for senders whose relay logs in by OAuth 2.0: it alone logs in without TLS, at the port of the OAuth relay.
// In main.cf that would hold for every account.
const oauthService = "smtp-oauth"

// serviceFor is the client of ours that an account's mail goes through, where the usual one is not for it.
func serviceFor(a Account) string {
	switch {
	case a.OAuth != nil:
		return oauthService
	case *a.Wrapper:
		return wrapperService
	}
	return startTLSService
}

// serviceArgs are the arguments of a service of ours. Its level is that of mail for which no policy says otherwise.
func serviceArgs(name string) []string {
	yes := map[bool]string{true: "yes", false: "no"}[name == wrapperService]
	args := []string{"-o", "smtp_tls_wrappermode=" + yes, "-o", "smtp_tls_security_level=verify"}
	if name == oauthService {
		args = append(args, "-o", "smtp_sasl_security_options=noanonymous", "-o", "smtp_sasl_mechanism_filter=plain")
	}
	return args
}

// masterEdit is what becomes of master.cf.
type masterEdit struct {
	path     string
	old, new []byte
	adds     bool
}

func (m *masterEdit) change() Change {
	return Change{What: "change " + m.path, Path: m.path, Diff: maincf.Diff(m.path, m.old, m.new)}
}

// planMaster sees to the services that the senders need, and takes out those of ours that nobody needs any more. It gives those that are ours.
func (p *Plan) planMaster(need []string) (ours []string, err error) {
	var had []string
	if p.old.Senders != nil {
		had = p.old.Senders.Services
	}
	if len(need)+len(had) == 0 {
		return nil, nil
	}
	name := p.h.file("master.cf")
	old, err := p.h.d.Root.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the services: %w", err)
	}
	f, err := mastercf.Parse(old)
	if err != nil {
		return nil, fmt.Errorf("cannot parse %q: %w", name, err)
	}
	edit := &masterEdit{path: name, old: old}
	for _, service := range []string{wrapperService, startTLSService, oauthService} {
		there, same := hasService(f, service)
		switch {
		case slices.Contains(need, service) && there && !same:
			return nil, fmt.Errorf("cannot give a sender's relay a client of its own: the service %q in %s is not as postfix-maint "+
				"makes it (%q): take it out, or give it another name", service, name, serviceArgs(service))
		case slices.Contains(need, service) && !there:
			if err := f.AddService(serviceLine(f, service)); err != nil {
				return nil, err
			}
			edit.adds, ours = true, append(ours, service)
		case slices.Contains(need, service) && slices.Contains(had, service):
			ours = append(ours, service)
		case !slices.Contains(need, service) && slices.Contains(had, service) && there && !same:
			p.warn("the service %q in %s was changed since \"smarthost add\" made it: it stays", service, name)
		case !slices.Contains(need, service) && slices.Contains(had, service) && there:
			if err := f.RemoveService(service, "unix"); err != nil {
				return nil, err
			}
		}
	}
	if edit.new = f.Bytes(); string(edit.new) != string(old) {
		p.master = edit
	}
	return ours, nil
}

// hasService tells whether a service is there, and whether it is as ours are; chrooted or not, and how many at once, is the host's.
func hasService(f *mastercf.File, name string) (there, same bool) {
	all := f.Services()
	i := slices.IndexFunc(all, func(s mastercf.Service) bool { return s.Name == name && s.Type == "unix" })
	if i < 0 {
		return false, false
	}
	return true, all[i].Command == "smtp" && slices.Equal(all[i].Args, serviceArgs(name))
}

// serviceLine is a service of ours, chrooted or not as smtp is.
func serviceLine(f *mastercf.File, name string) string {
	chroot := "-"
	for _, s := range f.Services() {
		if s.Name == "smtp" && s.Type == "unix" {
			chroot = s.Chroot
		}
	}
	line := fmt.Sprintf("%-9s unix  -       -       %s       -       -       smtp", name, chroot)
	for option := range slices.Chunk(serviceArgs(name), 2) {
		line += "\n  " + option[0] + " " + option[1]
	}
	return line
}

// addMaster adds master.cf to the transaction: a new service is there before main.cf names it, one that goes is until main.cf does not. The
// master reads neither before the reload that ends the change.
func (p *Plan) addMaster(t *transaction.Transaction) error {
	if p.master == nil {
		return nil
	}
	f := transaction.File{
		Path: p.master.path, Seen: &sysroot.Seen{Data: p.master.old}, New: p.master.new, Attr: sysroot.Attr{Mode: 0o644, Settled: true},
	}
	if p.master.adds {
		t.Files = append(t.Files, f)
	} else {
		t.Later = append(t.Later, f)
	}
	return nil
}
