package setup

import (
	"fmt"
	"strings"

	"postfix-maint/internal/notes"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/note"
)

// sayRenamed tells which settings still hold the name that the host had when they were made. They are a person's to change: other
// mail systems may know the host by the old one.
func (p *Plan) sayRenamed() {
	if p.h.state == nil || p.h.state.Host == "" {
		return
	}
	r := notes.Rename{Old: p.h.state.Host, New: p.req.Facts.FQDN, Mailname: p.h.mailname}
	if r.Doubtful() {
		p.oldName = r.Old
		return
	}
	mailname, params := r.Places(p.h.main)
	var places []string
	if mailname {
		places = append(places, paths.Mailname)
	}
	for _, name := range params {
		places = append(places, name+" in "+paths.MainCF)
	}
	if len(places) == 0 {
		return
	}
	p.oldName = r.Old
	p.Notes = append(p.Notes, fmt.Sprintf("this host was renamed from %s to %s, and the old name still stands in %s: change it there "+
		"(\"dpkg-reconfigure postfix\", \"postconf -e\") unless mail systems shall go on using it", r.Old, r.New, strings.Join(places, ", ")))
}

// Renamed is the host's name as it was when the settings were made, and as it is. Nothing is told where nothing of ours was applied, or
// what was applied can't be read: postinst says that.
func Renamed(root *sysroot.Root, fqdn string) notes.Rename {
	s := &State{}
	_, _ = note.Load(root, paths.Applied, s, nil)
	mailname, _ := firstLine(root, paths.Mailname)
	return notes.Rename{Old: s.Host, New: fqdn, Mailname: mailname}
}
