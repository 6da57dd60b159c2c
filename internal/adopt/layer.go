package adopt

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// action says what happens at one path of the package.
type action int

const (
	put    action = iota // our file: in place of Debian's, or new where Debian has none
	extend               // our text appended to Debian's file
	link                 // a symbolic link to a program of the package postfix-maint
	drop                 // Debian's file goes: nothing of ours uses it
	insert               // our line put into Debian's post-install, see withCall
	pack                 // as put, compressed
	enter                // our entry on top of Debian's changelog
)

// item is one path of the adopted package that differs from Debian's.
type item struct {
	to    string // path in the package; UNITS and GENERATORS stand for the release's directories
	do    action
	from  string // the layer's file; for a link the program that it leads to
	mode  fs.FileMode
	stock string // the releases whose own package has this path, where it must then be; "*" is every one, "" none
}

// layerItems is the layer: all that an adopted package has otherwise than Debian's, next to its control fields.
func layerItems() []item {
	hook := func(to, stock string) item { return item{to, put, "debian/postfix.hook", 0o755, stock} }
	return []item{
		// dpkg and debconf
		{"DEBIAN/config", put, "debian/postfix.config", 0o755, "*"},
		{"DEBIAN/preinst", put, "debian/postfix.preinst", 0o755, "*"},
		{"DEBIAN/postinst", put, "debian/postfix.postinst", 0o755, "*"},
		{"DEBIAN/prerm", put, "debian/postfix.prerm", 0o755, "*"},
		{"DEBIAN/postrm", put, "debian/postfix.postrm", 0o755, "*"},
		{"DEBIAN/templates", extend, "debian/postfix.templates", 0o644, "*"},
		{"DEBIAN/triggers", put, "debian/postfix.triggers", 0o644, "trixie sid"},

		// services
		{"UNITSpostfix.service", put, "systemd/postfix.service", 0o644, "*"},
		{"UNITSpostfix@.service", put, "systemd/postfix@.service", 0o644, "*"},
		{"UNITSpostfix-watch-look.service", put, "systemd/postfix-watch-look.service", 0o644, ""},
		{"UNITSpostfix-watch.service", put, "systemd/postfix-watch.service", 0o644, ""},
		{"UNITSpostfix-takeover.path", put, "systemd/postfix-takeover.path", 0o644, ""},
		{"UNITSpostfix-takeover-look.service", put, "systemd/postfix-takeover-look.service", 0o644, ""},
		{"UNITSpostfix-takeover.service", put, "systemd/postfix-takeover.service", 0o644, ""},
		{"UNITSpostfix-resolvconf.path", put, "systemd/postfix-resolvconf.path", 0o644, "*"},
		{"UNITSpostfix-resolvconf-watch.service", put, "systemd/postfix-resolvconf-watch.service", 0o644, ""},
		{"UNITSpostfix-resolvconf.service", put, "systemd/postfix-resolvconf.service", 0o644, "*"},
		{"GENERATORSpostfix-instance-generator", link, paths.InstanceGenerator, 0, "bookworm"},
		{"etc/init.d/postfix", put, "debian/postfix.init", 0o755, "*"},
		{"etc/rsyslog.d/postfix.conf", put, "rsyslog/postfix.conf", 0o644, "*"},

		// the chroot: the entry point that post-install calls at every start, and 13's helper, which only Debian's used
		{"usr/lib/postfix/configure-instance.sh", put, "debian/postfix.configure-instance", 0o755, "*"},
		{"usr/lib/postfix/sbin/post-install", insert, "debian/postfix.post-install", 0o755, "*"},
		{"usr/lib/postfix/syncfiles.pl", drop, "", 0, "trixie sid"},

		// resolv.conf: everyone who changes it or the network
		hook("etc/network/if-up.d/postfix", "*"),
		hook("etc/network/if-down.d/postfix", "*"),
		hook("etc/ppp/ip-up.d/postfix", "*"),
		hook("etc/ppp/ip-down.d/postfix", "*"),
		hook("etc/resolvconf/update-libc.d/postfix", "*"),
		hook("usr/lib/networkd-dispatcher/routable.d/postfix", "*"),
		hook("usr/lib/networkd-dispatcher/off.d/postfix", "*"),
		hook("usr/lib/NetworkManager/dispatcher.d/postfix", "trixie sid"),

		// Debian's map packages source this in their own maintainer scripts
		{"usr/share/postfix/postinst.functions", put, "debian/postfix.functions", 0o644, "*"},
		{"usr/share/doc/postfix/copyright", extend, "debian/postfix.copyright", 0o644, "*"},
		{"usr/share/doc/postfix/README.Debian.gz", pack, "debian/postfix.README.Debian", 0o644, "*"},
		{"usr/share/doc/postfix/changelog.Debian.gz", enter, "", 0o644, "*"},
		{"usr/share/lintian/overrides/postfix", extend, "debian/postfix.lintian-overrides", 0o644, "*"},
	}
}

// ofLayer tells whether what goes there is a file of ours.
func (i item) ofLayer() bool { return i.do != link && i.do != drop && i.do != enter }

// in tells whether Debian's package of the release has the path.
func (i item) in(rel release) bool {
	return i.stock == "*" || slices.Contains(strings.Fields(i.stock), rel.name)
}

// itemsOf is the table for one release: directories filled in, what Debian's package lacks not dropped.
func itemsOf(rel release) []item {
	var items []item
	for _, i := range layerItems() {
		if i.do == drop && !i.in(rel) {
			continue
		}
		i.to = strings.NewReplacer("UNITS", rel.units, "GENERATORS", rel.generators).Replace(i.to)
		items = append(items, i)
	}
	return items
}

// layer is our side of an adoption, read from disk.
type layer struct {
	items      []item
	data       map[string][]byte // by item.from
	version    string            // of postfix-maint: what the adopted package depends on
	maintainer string            // who answers for the layer
}

// changelogHead and changelogTail are the first and the last line of an entry (deb-changelog(5)).
var (
	changelogHead = regexp.MustCompile(`(?m)^postfix-maint \(([^)\s]+)\) `)
	changelogTail = regexp.MustCompile(`(?m)^ -- (.+ <.+>)  `)
)

// readLayer reads all files that the release's table names.
func readLayer(dir string, rel release) (*layer, error) {
	root, err := sysroot.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the layer: %w", err)
	}
	l := &layer{items: itemsOf(rel), data: map[string][]byte{}}
	for _, i := range l.items {
		if !i.ofLayer() {
			continue
		}
		if l.data[i.from], err = root.ReadFile(path.Join("/", i.from)); err != nil {
			return nil, fmt.Errorf("cannot read the layer: %w", err)
		}
	}
	l.version, l.maintainer, err = identify(root)
	return l, err
}

// identify tells the layer's version and who answers for it from its changelog.
func identify(root *sysroot.Root) (version, maintainer string, err error) {
	changelog, err := root.ReadFile("/debian/changelog")
	if err != nil {
		return "", "", fmt.Errorf("cannot tell the layer's version: %w", err)
	}
	head, tail := changelogHead.FindSubmatch(changelog), changelogTail.FindSubmatch(changelog)
	if head == nil || tail == nil {
		return "", "", fmt.Errorf("cannot tell the layer's version: %q is no changelog of postfix-maint", "debian/changelog")
	}
	return string(head[1]), string(tail[1]), nil
}

// layerVersion is the version of the layer in dir, "" meaning DefaultLayer.
func layerVersion(dir string) (string, error) {
	if dir == "" {
		dir = DefaultLayer
	}
	root, err := sysroot.Open(dir)
	if err != nil {
		return "", fmt.Errorf("cannot read the layer: %w", err)
	}
	version, _, err := identify(root)
	return version, err
}
