package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strings"

	"postfix-maint/internal/dynamicmaps"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// Maps registers map types and takes them out again, for the maintainer scripts of Debian's map packages (postfix-pcre and so
// on), which come here through their postinst.functions, and for an administrator.
type Maps struct {
	Deps
	Say  func(text string) // told of each thing that is done
	Warn func(text string)
	// Dpkg is set in a maintainer script: Postfix reads its configuration again when all packages of the run are configured.
	Dpkg bool
	// Dry says what would be done, and does nothing.
	Dry bool
}

// Add registers a type that is not registered yet, with Debian's own line where there is one; build is the function to build
// a table, "" for the usual one. A line that somebody wrote stays. An alias database of this type is made where it is due
// (R12); that this fails is only said.
func (m Maps) Add(ctx context.Context, typ, build string) error {
	e, err := dynamicmaps.Debian(typ, build)
	if err != nil {
		return err
	}
	var f *transaction.File
	if err := transaction.One(m.Root, func() (_ *transaction.File, err error) {
		f, err = m.register(e)
		return m.meant(f), err
	}); err != nil {
		return err
	}
	m.aliasDatabase(ctx, typ)
	if used := m.users(typ); f != nil && !m.Dry && len(used) > 0 && m.Root.IsHost() {
		m.reload(ctx)
	}
	return nil
}

// Remove takes a type out that is registered with the library of Debian's package. Who still uses it is warned.
func (m Maps) Remove(typ string) error {
	if _, err := dynamicmaps.Debian(typ, ""); err != nil {
		return err
	}
	return transaction.One(m.Root, func() (*transaction.File, error) {
		f, err := m.remove(typ)
		return m.meant(f), err
	})
}

// meant is the file that is to be written: none where that is only shown.
func (m Maps) meant(f *transaction.File) *transaction.File {
	if m.Dry {
		return nil
	}
	return f
}

// remove plans to take a type out.
func (m Maps) remove(typ string) (*transaction.File, error) {
	_, file, err := registry(m.Root, typ)
	if err != nil {
		return nil, err
	}
	seen, err := m.Root.See(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", file, err)
	}
	data := dynamicmaps.Remove(seen.Data, func(e dynamicmaps.Entry) bool { return e.Type == typ && e.IsDebian() })
	if len(data) == len(seen.Data) {
		return nil, nil
	}
	m.Say(fmt.Sprintf("taking map type %s out of %s", typ, file))
	if used := m.users(typ); len(used) > 0 {
		m.Warn(fmt.Sprintf("%s still names tables of type %s: mail that needs one is deferred until it does not, or the type is back",
			strings.Join(used, ", "), typ))
	}
	if len(data) == 0 && file != paths.DynamicMaps {
		data = nil
	}
	return &transaction.File{Path: file, Seen: seen, New: data}, nil
}

// registry gives the files that Postfix reads, dynamicmaps.cf and dynamicmaps.cf.d/*.cf in its meta_directory, and the one that a
// type belongs in. Debian moved meta_directory below /usr/share with 3.11.2-4, where each type has a file of its own.
func registry(root *sysroot.Root, typ string) (files []string, home string, err error) {
	main, dir := paths.DynamicMaps, paths.DynamicMaps+".d"
	moved, err := root.Exists(paths.DynamicMapsD)
	if err != nil {
		return nil, "", err
	}
	home = main
	if moved {
		main, dir = paths.DynamicMapsTemplate, paths.DynamicMapsD
		home = dir + "/" + typ + ".cf"
	}
	files = []string{main}
	found, err := root.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("cannot read %q: %w", dir, err)
	}
	for _, f := range found {
		if strings.HasSuffix(f.Name(), ".cf") {
			files = append(files, dir+"/"+f.Name())
		}
	}
	return files, home, nil
}

// registered tells whether Postfix knows the type from its registry.
func registered(root *sysroot.Root, typ string) (known bool, home string, err error) {
	files, home, err := registry(root, typ)
	if err != nil {
		return false, "", err
	}
	for _, file := range files {
		data, err := root.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, "", fmt.Errorf("cannot read %q: %w", file, err)
		}
		if _, known := dynamicmaps.Find(data, typ); known {
			return true, home, nil
		}
	}
	return false, home, nil
}

// register plans to register a type, nil where it is registered.
func (m Maps) register(e dynamicmaps.Entry) (*transaction.File, error) {
	known, home, err := registered(m.Root, e.Type)
	if err != nil || known {
		return nil, err
	}
	if official, err := m.Root.ReadFile(paths.DynamicMapsTemplate); err == nil {
		if line, ok := dynamicmaps.Find(official, e.Type); ok {
			e = line
		}
	}
	seen, err := m.Root.See(home)
	if err != nil {
		return nil, fmt.Errorf("cannot read %q: %w", home, err)
	}
	data := seen.Data
	if seen.Missing && home == paths.DynamicMaps {
		data = []byte(dynamicmaps.Head)
	}
	m.Say(fmt.Sprintf("registering map type %s in %s", e.Type, home))
	return &transaction.File{Path: home, Seen: seen, New: dynamicmaps.Add(data, e), Attr: sysroot.Attr{Mode: 0o644}}, nil
}

// aliasDatabase makes the alias database if main.cf has one of this type and it is due.
func (m Maps) aliasDatabase(ctx context.Context, typ string) {
	main, err := readMainCF(m.Root)
	if err != nil || main == nil || !m.Root.IsHost() {
		return // postinst of the package postfix speaks of a main.cf that can't be read
	}
	for _, t := range aliasTables(main, TableType(m.Root)) {
		if t[0] != typ || aliasSuffix[typ] == "" {
			continue
		}
		if due, err := olderThan(m.Root, t[1]+aliasSuffix[typ], t[1]); err != nil || !due {
			continue
		}
		m.Say("running newaliases")
		if m.Dry {
			return
		}
		if err := m.Run.Run(ctx, paths.Newaliases); err != nil {
			m.Warn(fmt.Sprintf("the alias database could not be made: %v; run \"newaliases\" when the cause is mended", err))
		}
		return
	}
}

// users lists the main.cf and master.cf files that name a table of the type.
func (m Maps) users(typ string) (files []string) {
	insts, _ := instance.List(m.Root) // of one that can't be read no daemon runs with what is asked here
	word := regexp.MustCompile(`(?m)^[^#\n]*\b` + typ + `:`)
	for _, i := range insts {
		for _, name := range []string{"/main.cf", "/master.cf"} {
			if data, err := m.Root.ReadFile(i.ConfigDir + name); err == nil && word.Match(data) {
				files = append(files, i.ConfigDir+name)
			}
		}
	}
	return files
}

// reload lets running daemons learn of a type that their configuration named all along.
func (m Maps) reload(ctx context.Context) {
	var err error
	if m.Dpkg {
		err = m.Run.Run(ctx, "dpkg-trigger", "--no-await", ReloadTrigger)
	} else {
		err = m.Service.ActAll(ctx, "reload")
	}
	if err != nil {
		m.Warn(fmt.Sprintf("cannot reload Postfix: %v", err))
	}
}

// missingModule gives the package that a map type needs and this host lacks, "" if nothing is known to be missing.
func missingModule(root *sysroot.Root, typ string) (pkg string, err error) {
	official, err := root.ReadFile(paths.DynamicMapsTemplate)
	if err != nil {
		return "", nil // the step "map registry" fails if it matters
	}
	line, dynamic := dynamicmaps.Find(official, typ)
	if !dynamic {
		return "", nil
	}
	known, home, err := registered(root, typ)
	if err != nil || known {
		return "", err
	}
	made, err := root.Exists(home)
	if err == nil && !made { // this run makes the registry, with every type whose library is there
		known, err = root.Exists(paths.LibDir + "/" + line.Library)
	}
	if err != nil || known {
		return "", err
	}
	return "postfix-" + typ, nil
}
