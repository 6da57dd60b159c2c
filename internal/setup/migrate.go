package setup

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// migration states in main.cf what a release of Debian stopped compiling in, so that an upgrade across it changes nothing; or takes out
// what names a place that it has left.
type migration struct {
	since string // upstream version of the first package that needs it
	name  string
	value string // for a parameter that nobody set
	gone  string // the value with which a parameter goes
}

var migrations = []migration{
	{since: "3.9", name: "cyrus_sasl_config_path", value: paths.SASLDir}, // 3.9.0-3; Debian policy wants it below /etc
	// 3.11.0-3: else "postmap /etc/postfix/virtual" made an index that hash:/etc/postfix/virtual does not read, and no alias was found.
	{since: "3.11", name: "default_database_type", value: "hash"},
	{since: registryMoved, name: "meta_directory", gone: paths.ConfigDir}, // there is neither postfix-files nor a registry there
}

// migrationEdits are those due in f: the upgrade crosses the version, and nobody set the parameter.
func (p *Plan) migrationEdits(f *maincf.File) (edits []maincf.Edit) {
	if p.req.Old == "" || p.req.Package == "" || f == nil {
		return nil
	}
	for _, m := range migrations {
		if !upstreamLess(p.req.Old, m.since) || upstreamLess(p.req.Package, m.since) {
			continue
		}
		switch v, set := f.Get(m.name); {
		case !set && m.gone == "":
			edits = append(edits, maincf.Set(m.name, m.value))
		case set && m.gone != "" && path.Clean(strings.TrimSpace(v)) == m.gone:
			edits = append(edits, maincf.Unset(m.name))
		}
	}
	return edits
}

// otherInstances plans the migrations in the main.cf of each instance but the primary one, whose file is written with the
// answers: an instance that is forgotten loses SMTP AUTH (I03). One that can't be read is left alone.
func (p *Plan) otherInstances() error {
	if p.req.Old == "" || p.req.Reconfigure {
		return nil
	}
	insts, errs := instance.List(p.d.Root)
	if len(errs) > 0 && p.h.main != nil {
		p.warn("not every instance could be looked at: %v", errors.Join(errs...))
	}
	for _, i := range slices.DeleteFunc(insts, instance.Instance.IsPrimary) {
		path := i.ConfigDir + "/main.cf"
		data, err := p.d.Root.ReadFile(path)
		if err != nil {
			return fmt.Errorf("cannot read %q: %w", path, err)
		}
		p.saw(path, false, data)
		f, err := maincf.Parse(data)
		if err != nil {
			continue // instance.List said so
		}
		if _, err := f.Apply(p.migrationEdits(f)...); err != nil {
			return err
		}
		if err := p.write(path, f.Bytes(), sysroot.Attr{Mode: 0o644}, "", nil); err != nil {
			return err
		}
	}
	return nil
}
