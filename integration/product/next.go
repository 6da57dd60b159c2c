package product

import (
	"context"

	"postfix-maint/integration/hosts"
)

// NextVersion is a function for shell scripts in hosts: "next DEB DIR" writes a package into DIR under a version that no archive has yet,
// with a 9 at its end, and so depending on packages of the same version. It sorts above the version itself and above the adopted one of it.
const NextVersion = `
next() {
	dpkg-deb -R "$1" /tmp/next
	version=$(dpkg-deb -f "$1" Version)
	sed -i "/^Version:/s/\$/9/; s/(= $version)/(= ${version}9)/" /tmp/next/DEBIAN/control
	dpkg-deb --root-owner-group -Znone -b /tmp/next "$2" >/dev/null
	rm -r /tmp/next
}
`

// Upgradable is Installed with two versions of the layer's packages at hand, those that are installed in /old, the next ones in /new.
func Upgradable(ctx context.Context, s *hosts.Session, release string, l Layer) (hosts.Options, error) {
	opt, err := Installed(ctx, s, release, l)
	if err != nil {
		return opt, err
	}
	return s.Layer(ctx, "upgradable-"+release+"-"+string(l), opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, NextVersion+`mkdir /old /new
			for p in `+place+`/postfix-maint_*.deb `+place+`/postfix_*.deb; do
				if [ -e $p ]; then name=$(basename $p); cp $p /old/${name%%_*}.deb; next $p /new; mv /new/*_*.deb /new/${name%%_*}.deb; fi
			done`)
		return err
	})
}
