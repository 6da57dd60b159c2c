package setup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/chroot"
	"postfix-maint/internal/dynamicmaps"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/transaction"
)

// mapRegistry plans dynamicmaps.cf where the release keeps one there (Debian 14 moves it below /usr/share/postfix): the
// official line of each map type whose module is installed. Lines of others are never touched, and a file without a word, as the removal of
// Debian 13's package leaves behind, counts as missing.
func (p *Plan) mapRegistry(context.Context) error {
	if moved, err := p.d.Root.Exists(paths.DynamicMapsD); moved && err == nil {
		return p.dropRegistry()
	} else if err != nil {
		return err
	}
	have, err := p.d.Root.ReadFile(paths.DynamicMaps)
	if !errors.Is(err, fs.ErrNotExist) && (err != nil || len(bytes.TrimSpace(have)) > 0) {
		return nil // what is wrong with it, Postfix says when it needs it
	}
	p.saw(paths.DynamicMaps, err != nil, have)
	known, err := p.d.Root.ReadFile(paths.DynamicMapsTemplate)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read %q: %w", paths.DynamicMapsTemplate, err)
	}
	var failed error
	out := dynamicmaps.Remove(known, func(e dynamicmaps.Entry) bool {
		there, err := p.d.Root.Exists(paths.LibDir + "/" + e.Library)
		failed = cmp.Or(failed, err)
		return !there
	})
	if failed != nil {
		return failed
	}
	return p.write(paths.DynamicMaps, out, sysroot.Attr{Mode: 0o644}, paths.DynamicMapsTemplate, known)
}

// dropRegistry takes the registry of Debian 13 away on the way up, which nothing reads any more. What is in it of others than Debian goes
// into a file of its own at the new place, where nobody else has registered the type.
func (p *Plan) dropRegistry() error {
	if p.req.Old == "" || !upstreamLess(p.req.Old, registryMoved) || upstreamLess(p.req.Package, registryMoved) {
		return nil
	}
	seen, err := p.d.Root.See(paths.DynamicMaps)
	if err != nil {
		p.warn("cannot read %q, which Postfix reads no more: %v", paths.DynamicMaps, err)
		return nil
	}
	if seen.Missing {
		return nil
	}
	var others []dynamicmaps.Entry
	dynamicmaps.Remove(seen.Data, func(e dynamicmaps.Entry) bool {
		if _, err := dynamicmaps.Debian(e.Type, ""); err == nil && !e.IsDebian() { // the type names a file
			others = append(others, e)
		}
		return false
	})
	for _, e := range others {
		known, home, err := registered(p.d.Root, e.Type)
		if err != nil {
			return err
		}
		if !known {
			if err := p.write(home, dynamicmaps.Add(nil, e), sysroot.Attr{Mode: 0o644}, paths.DynamicMaps, nil); err != nil {
				return err
			}
		}
	}
	p.add(Change{What: "remove " + paths.DynamicMaps + ", which Postfix reads no more", Path: paths.DynamicMaps, do: func(context.Context) error {
		return transaction.Write(p.d.Root, transaction.File{Path: paths.DynamicMaps, Seen: seen})
	}})
	return nil
}

// registryMoved is the release of Postfix with which Debian moved meta_directory out of /etc/postfix (3.11.2-4).
const registryMoved = "3.11"

// templates plans the files that are copied from the package as they are: master.cf where there is none, and the
// prototypes that postmulti makes instances from (#838528) where the release does not ship them as conffiles.
func (p *Plan) templates(context.Context) error {
	if err := p.masterCF(); err != nil {
		return err
	}
	if !p.h.release.protos {
		return p.dropMakedefs()
	}
	for _, file := range [][2]string{{paths.MainDist, paths.MainProto}, {paths.MasterTemplate, paths.MasterProto}} {
		if err := p.proto(file[0], file[1]); err != nil {
			return err
		}
	}
	if ok, err := p.d.Root.Exists(paths.MakedefsLink); err != nil || ok {
		return err
	}
	if _, err := p.d.Root.Lstat(paths.MakedefsLink); err == nil {
		return nil // a dangling link is still the administrator's
	}
	p.add(Change{What: "link " + paths.MakedefsLink + " to " + paths.Makedefs, Path: paths.MakedefsLink, do: func(context.Context) error {
		_, err := p.d.Root.Symlink(paths.Makedefs, paths.MakedefsLink)
		return err
	}})
	return nil
}

// dropMakedefs takes the link of Debian 12's scripts away, which "postfix check" of later releases complains of.
func (p *Plan) dropMakedefs() error {
	to, err := p.d.Root.Readlink(paths.MakedefsLink)
	if err != nil || to != paths.Makedefs { // none, or a file or link of an administrator's
		return nil
	}
	p.add(Change{What: "remove link " + paths.MakedefsLink, Path: paths.MakedefsLink, do: func(context.Context) error {
		_, err := p.d.Root.Remove(paths.MakedefsLink)
		return err
	}})
	return nil
}

// masterCF plans master.cf where there is none: Debian's, with its services in the chroot, which its own has outside from 3.10.6-4 on.
func (p *Plan) masterCF() error {
	const from, to = paths.MasterTemplate, paths.MasterCF
	if ok, err := p.d.Root.Exists(to); ok || err != nil || dangles(p.d.Root, to) {
		return err
	}
	data, err := p.d.Root.ReadFile(from)
	if err != nil {
		return fmt.Errorf("cannot read %q (re-install the package postfix): %w", from, err)
	}
	master, err := mastercf.Parse(data)
	if err != nil {
		return fmt.Errorf("cannot understand template %q: %w", from, err)
	}
	if _, err := chroot.Move(master, "3.6", true); err != nil { // from that level on a column without a word means n
		return fmt.Errorf("cannot use template %q: %w", from, err)
	}
	p.saw(to, true, nil)
	return p.write(to, master.Bytes(), sysroot.Attr{Mode: 0o644}, from, data)
}

// proto copies a prototype; one that is still what an earlier version of ours copied follows the package (#991513), an edited one stays.
func (p *Plan) proto(from, to string) error {
	want, err := p.d.Root.ReadFile(from)
	if err != nil {
		return fmt.Errorf("cannot read %q (re-install the package postfix): %w", from, err)
	}
	have, err := p.d.Root.ReadFile(to)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read %q: %w", to, err)
	}
	mine := err != nil || sum(have) == sum(want)
	if p.h.state != nil && p.h.state.Protos[to] == sum(have) {
		mine = true
	}
	if !mine {
		return nil
	}
	p.h.protos[to] = sum(want)
	p.saw(to, err != nil, have)
	return p.write(to, want, sysroot.Attr{Mode: 0o644}, from, want)
}

func sum(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// mailname plans /etc/mailname, the host's mail name for all programs (Debian policy 11.6).
func (p *Plan) mailname(context.Context) error {
	v, write := p.wish(answers.Mailname)
	if p.h.nameLost {
		if write {
			p.Waiting = append(p.Waiting, answers.Mailname)
		}
		return nil
	}
	if p.lostOrigin() {
		return p.restoreMailname()
	}
	// An interrupted run may have written the file and not yet what main.cf says of it.
	write = write || p.resumed && p.effected[answers.Mailname].Changed
	if p.mailerType() == answers.NoConfiguration || p.Held || !write {
		return nil
	}
	v = answers.Resolve(answers.Mailname, v, p.req.Facts)
	given := p.effected[answers.Mailname].Answered || p.effected[answers.Mailname].Changed
	if p.h.mailname != "" && !given { // a person's, whatever we think of it
		v = p.h.mailname
	}
	if err := answers.CheckOrigin(v); err != nil {
		p.warn("the mail name can't be used: %v: %s is left alone and mail is sent from $myhostname", err, paths.Mailname)
		return nil
	}
	if answers.CheckHostname(v) != nil {
		p.warn("the mail name %q has a character that other mail systems may refuse in an address: it is used all the same", v)
	}
	p.h.mailnameAfter, p.origin = v, true
	if strings.EqualFold(v, p.h.mailname) {
		return nil
	}
	return p.write(paths.Mailname, []byte(v+"\n"), sysroot.Attr{Mode: 0o644}, "", nil)
}

// lostOrigin tells whether main.cf takes the origin from a mail name's file that is gone or empty: Postfix refuses to start
// then (#322602), and no other program finds the name either.
func (p *Plan) lostOrigin() bool {
	return p.h.main != nil && p.h.mailname == "" && value(p.h.main, "myorigin", "") == paths.Mailname
}

// restoreMailname plans the name that was applied last, else what the host's name says.
func (p *Plan) restoreMailname() error {
	for _, v := range []string{p.effected[answers.Mailname].Value, p.h.state.Base()[answers.Mailname], p.req.Facts.FQDN} {
		if v = answers.Resolve(answers.Mailname, v, p.req.Facts); answers.CheckOrigin(v) == nil {
			p.h.mailnameAfter = v
			p.effected[answers.Mailname] = answers.Answer{Value: p.h.mailnameAfter}
			p.warn("%s, which myorigin refers to, had no name in it: it says %s now", paths.Mailname, p.h.mailnameAfter)
			return p.write(paths.Mailname, []byte(p.h.mailnameAfter+"\n"), sysroot.Attr{Mode: 0o644}, "", nil)
		}
	}
	p.warn("%[1]s, which myorigin refers to, has no name in it, and Postfix does not start until it has: write the domain of this "+
		"host's senders into %[1]s, as in: echo mail.example.com > %[1]s", paths.Mailname)
	return nil
}
