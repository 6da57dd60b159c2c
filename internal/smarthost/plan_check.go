package smarthost

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/smarthost/table"
	"postfix-maint/internal/sysroot"
)

// check refuses, before anything is changed, what could not work or would send a password in clear, and warns of what the
// administrator may not expect.
func (p *Plan) check(ctx context.Context, o Options, r relay, f facts) error {
	for _, step := range []func() error{
		func() error { return p.checkCA(o, f) },
		func() error { return p.checkTypes(o) },
		func() error { return p.checkSASL(o) },
		func() error { return p.checkForeignAccount(ctx, o, r, f) },
		func() error { return p.checkNames(o, r) },
		func() error { return p.checkPolicy(ctx, o, r, f) },
		func() error { return p.checkServices(o, r, f) },
		func() error { return p.checkLocal(o, f) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	p.warnOfDetours(o, r, f)
	return nil
}

// CheckCAFile refuses a file of CAs that somebody else than root can write, or exchange by its name: whose certificates count would be theirs to say.
func CheckCAFile(root *sysroot.Root, name string) error {
	for _, trusted := range []func(string) error{root.TrustedPlace, root.Trusted} {
		if err := trusted(name); errors.As(err, new(*sysroot.UntrustedError)) {
			return fmt.Errorf("cannot trust CAs that others than root may exchange: %w; %s is a place for them", err, paths.LocalCerts)
		}
	}
	return nil // one that is not there is said where it is read
}

// checkCA reads the file of CAs that will be in force.
func (p *Plan) checkCA(o Options, f facts) error {
	if o.CAFile != "" && !path.IsAbs(o.CAFile) {
		return fmt.Errorf("cannot check certificates: %q is not an absolute path", o.CAFile)
	}
	if o.CAFile != "" {
		if err := CheckCAFile(p.h.d.Root, o.CAFile); err != nil {
			return err
		}
	}
	if o.TLS != "verify" && o.TLS != "secure" {
		return nil
	}
	name := caFile(o, f.base)
	if name == "" {
		value, _ := f.base.Get("smtp_tls_CAfile")
		var err error
		if name, err = p.expand(f.base, value); err != nil {
			return err
		}
	}
	pem, err := p.h.d.Root.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist) && name == paths.CABundle:
		return fmt.Errorf("cannot check certificates: %q is missing; install the package ca-certificates, or name another file with --ca-file", name)
	case err != nil:
		return fmt.Errorf("cannot check certificates: %w", err)
	case !x509.NewCertPool().AppendCertsFromPEM(pem):
		return fmt.Errorf("cannot check certificates: %q holds no certificate in PEM form", name)
	}
	return nil
}

func (p *Plan) expand(f *maincf.File, value string) (string, error) {
	return instance.Expand(f, p.h.inst.ConfigDir, value)
}

// checkTypes refuses a table type whose package is missing.
func (p *Plan) checkTypes(o Options) error {
	if o.Rewrite.Type != "" {
		return p.h.checkType(o.Rewrite.Type)
	}
	return nil
}

// checkSASL looks for the plug-ins of the mechanisms that relays offer. Without them Postfix says "no worthy mechs found" (T01).
func (p *Plan) checkSASL(o Options) error {
	if o.User == "" {
		return nil
	}
	dirs := []string{paths.SASLPlugins}
	entries, err := p.h.d.Root.ReadDir(paths.LibPrefix)
	if err != nil {
		return fmt.Errorf("cannot look for SASL plug-ins: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			dirs = append(dirs, path.Join(paths.LibPrefix, e.Name(), "sasl2"))
		}
	}
	for _, dir := range dirs {
		if ok, _ := p.h.d.Root.Exists(path.Join(dir, "libplain.so")); ok {
			return nil
		}
	}
	return errors.New("cannot log in at a relay: the package libsasl2-modules is missing; install it")
}

// checkForeignAccount refuses to loosen TLS where a password table that is none of ours has an entry for the relay.
func (p *Plan) checkForeignAccount(ctx context.Context, o Options, r relay, f facts) error {
	if enabled, _ := f.base.Get("smtp_sasl_auth_enable"); o.User != "" || enabled != "yes" || o.TLS != "may" && o.TLS != "none" {
		return nil
	}
	elements, err := p.h.tables(f.base, "smtp_sasl_password_maps")
	if err != nil {
		return err
	}
	for _, element := range elements {
		for _, key := range []string{r.host, r.dest} {
			if _, found, err := p.h.query(ctx, element, key); err != nil {
				return fmt.Errorf("cannot tell whether smtp_sasl_password_maps has a password for %s, which TLS level %q could send in clear: %w", key, o.TLS, err)
			} else if found {
				return fmt.Errorf("smtp_sasl_password_maps has a password for %s already, and TLS level %q could send it in clear: "+
					"use encrypt, verify or secure", key, o.TLS)
			}
		}
	}
	return nil
}

// hostEntry tells whether an entry for the relay's bare name would be found before ours: the client looks for that first, in all
// tables (smtp_sasl_passwd_lookup in Postfix's sources). Then ours needs one as well.
func (h *host) hostEntry(ctx context.Context, r relay, base *maincf.File) (bool, error) {
	text, err := h.read(h.current(passwordTable))
	if err != nil {
		return false, err
	}
	if text, err = table.Strip(text); err != nil {
		return false, fmt.Errorf("%q: %w", h.file(passwordTable), err)
	}
	if _, found := table.Lookup(text, r.host); found {
		return true, nil
	}
	elements, err := h.tables(base, "smtp_sasl_password_maps")
	if err != nil {
		return false, err
	}
	for _, element := range elements {
		if refers(element, h.file(passwordTable)) {
			continue
		}
		if _, found, err := h.queryIfAble(ctx, element, r.host); err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// warnOfDetours tells what mail the relay will not get, and where the new TLS settings reach further than the relay.
func (p *Plan) warnOfDetours(o Options, r relay, f facts) {
	for _, param := range []string{"transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps"} {
		if v, _ := f.base.Get(param); v != "" {
			p.warn("%s = %s: mail with an entry there goes another way than over the relay; the TLS settings hold for it as well", param, v)
		}
	}
	if v, _ := f.base.Get("default_transport"); !slices.Contains([]string{"", "smtp", "error", answers.Waiting()["default_transport"]}, v) {
		p.warn("default_transport = %s: mail goes to the relay only if that leads to the smtp client", v)
	}
	checked := o.TLS == "verify" || o.TLS == "secure"
	switch {
	case checked && r.address():
		p.warn("the relay is given by its address: a certificate rarely has one; use the name that is in the certificate")
	case o.TLS == "verify" && !r.literal:
		p.warn("without [ ] around it, %s is looked up as a mail domain, and its certificate is checked for whatever host the DNS names: "+
			"use [%s], or the TLS level secure", r.host, r.host)
	case o.TLS == "encrypt" && o.User != "":
		p.warn("TLS level encrypt does not check the relay's certificate: somebody in between could get the password")
	}
}
