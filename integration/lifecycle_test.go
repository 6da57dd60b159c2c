//go:build integration

package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// life is one way of the package through dpkg. It begins on a booted host with what start names, does the shell script do, and
// ends in a state that is checked as a whole: files, modes, owners, units, port 25, a delivered message.
type life struct {
	name  string
	start beginning
	do    string // stops at the first command that fails; see lifeWords
	end   ending
	says  string // regexp: must be in what do printed
	never string // regexp: must not be
	check string // more that must hold at the end: shell conditions, one a line
	only  string // release; "" means all
	until string // the last release on which there is such a way; "" means all
	sid   bool   // on sid every time, and not with -sid alone
	off   bool   // the host is not booted: a build root, or with start ours an image that is worked on
}

// beginning is what is installed when a life begins.
type beginning string

const (
	nothing beginning = "nothing" // not even postfix-maint; the answers are preseeded
	debian  beginning = "debian"
	ours    beginning = "ours"
)

// ending is the state that a life ends in.
type ending string

const (
	works       ending = "works"   // our layer, all instances run, mail is delivered
	worksDebian ending = "debian"  // the same with Debian's layer
	stopped     ending = "stopped" // our layer, nothing runs
	removed     ending = "removed" // no program, no daemon; configuration, mail and accounts are there
	purged      ending = "purged"  // only accounts, aliases and what is not Postfix's own
	inImage     ending = "image"   // our layer in a tree that is not running
	asChecked   ending = "checked" // something else: the check says it all
)

// lives are all ways.
var lives = [][]life{installs, upgrades, moves, removals, changes, surroundings}

// TestLife goes through the tables, each way on a host of its own, on every release.
func TestLife(t *testing.T) {
	t.Parallel()
	var begun sync.Once
	var start time.Time
	var ran atomic.Int32
	t.Cleanup(func() {
		fmt.Printf("  the package's life: %d ways in %.0f s\n", ran.Load(), time.Since(start).Seconds())
	})
	for _, release := range append(hosts.Releases(), hosts.Sid) {
		t.Run(release, func(t *testing.T) {
			t.Parallel()
			for _, table := range lives {
				for _, l := range table {
					if l.only != "" && l.only != release || l.until != "" && release == hosts.Sid || release == hosts.Sid && !l.sid && !*sid {
						continue
					}
					t.Run(l.name, func(t *testing.T) {
						ctx := scenario(t, 1)
						begun.Do(func() { start = time.Now() })
						live(ctx, t, begin(ctx, t, release, l.start), l)
						ran.Add(1)
					})
				}
			}
		})
	}
}

// live goes one way and gives the host.
func live(ctx context.Context, t *testing.T, opt hosts.Options, l life) *hosts.Host {
	t.Helper()
	h := newHost(ctx, t, "mail", opt)
	end := "\n( set +e\n. /usr/local/lib/life\n" + l.end.script() + conditions(l.check) + "\n) > /complaints 2>&1\n"
	if l.off { // what the script starts ends with it
		l.do += end
	} else if err := h.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	said, err := h.Sh(ctx, ". /usr/local/lib/life\n"+l.do)
	if err != nil {
		t.Fatalf("%v\nall of it:\n%s", err, said)
	}
	if l.says != "" && !regexp.MustCompile(l.says).MatchString(said) {
		t.Errorf("nothing says %q:\n%s", l.says, said)
	}
	if l.never != "" && regexp.MustCompile(l.never).MatchString(said) {
		t.Errorf("something says %q:\n%s", l.never, said)
	}
	if !l.off {
		sh(ctx, t, h, end)
	}
	complaints, err := os.ReadFile(filepath.Join(h.Root(), "complaints"))
	if err != nil || len(complaints) > 0 {
		t.Errorf("at the end:\n%s%v\nthe way there:\n%s", complaints, err, said)
	}
	return h
}

// conditions turns each line into a check that prints itself when it does not hold.
func conditions(text string) string {
	var script strings.Builder
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(&script, "( %s\n) >/tmp/holds 2>&1 || { echo 'not so: '%s; cat /tmp/holds; }\n", line, quote(line))
		}
	}
	return script.String()
}

// quote makes a word of the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// begin gives the options of a host in the state that lives begin in.
func begin(ctx context.Context, t *testing.T, release string, start beginning) hosts.Options {
	t.Helper()
	opt, err := lifeDebs(ctx, release)
	if err == nil {
		opt, err = session.Layer(ctx, "life-"+release+"-"+string(start), opt, func(h *hosts.Host) error { return prepare(ctx, h, start) })
	}
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// prepare brings a fresh host into the state.
func prepare(ctx context.Context, h *hosts.Host, start beginning) error {
	answers := product.Answers{"main_mailer_type": "Internet Site", "mailname": "mail.example.test", "root_address": "anna"}
	if err := product.Preseed(ctx, h, answers); err != nil {
		return err
	}
	install := map[beginning]string{
		debian: "dpkg -i /debs/d1/postfix.deb",
		ours:   "dpkg -i /debs/m1/postfix-maint.deb; dpkg -i /debs/o1/postfix.deb",
	}[start]
	if install == "" {
		return nil
	}
	if err := h.Boot(ctx); err != nil {
		return err
	}
	_, err := h.Sh(ctx, install)
	return err
}

// lifeDebs gives a host with the packages of every version that the lives install, in /debs:
//
//	d1, d2        Debian's as it is, and its next security update (the same under the next version)
//	o1, o2        both of them adopted
//	o1b           d1 adopted by a later version of the layer
//	m1, m2        postfix-maint and its next version
//	broken        o1b, and d2 as debian.deb, with a file that belongs to another package: their unpacking fails
//
// A version that is in no archive yet is the package of today under another number.
func lifeDebs(ctx context.Context, release string) (hosts.Options, error) {
	opt, err := product.Options(ctx, session, release, product.Ours)
	if err != nil {
		return opt, err
	}
	stock, err := session.Stock(ctx, release)
	if err != nil {
		return opt, err
	}
	opt.Binds[stock] = "/stock"
	return session.Layer(ctx, "life-debs-"+release, opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, makeDebs+"\nmkdir -p /usr/local/lib; cat > /usr/local/lib/life <<'LIFE'\n"+lifeWords+"\nLIFE\n"+
			"useradd -m anna; useradd -m bert")
		return err
	})
}

const makeDebs = `
# again DEB TREE: builds the package in TREE as DEB
again() { mkdir -p "$(dirname "$1")"; dpkg-deb --root-owner-group -Znone -b "$2" "$1" >/dev/null; rm -r "$2"; }
# next DEB FROM TO NEW: the same package, with version FROM now called TO
next() {
	dpkg-deb -R "$1" /tmp/deb
	sed -i "/^Version:/s/$2\$/$3/; s/(= \([^)]*\)$2)/(= \1$3)/" /tmp/deb/DEBIAN/control
	again "$4" /tmp/deb
}
mkdir -p /debs/d1 /debs/o1 /debs/m1
version=$(dpkg-deb -f /stock/postfix_*.deb Version)
for p in postfix postfix-pcre postfix-lmdb; do
	cp /stock/${p}_*.deb /debs/d1/$p.deb
	next /debs/d1/$p.deb "$version" "${version}9" /debs/d2/$p.deb
done
cp /packages/postfix-maint_*.deb /debs/m1/postfix-maint.deb
cp /packages/postfix_*.deb /debs/o1/postfix.deb
own=$(dpkg-deb -f /debs/o1/postfix.deb Version); own=+a${own##*+a}
next /debs/o1/postfix.deb "$own" "$own.1" /debs/o1b/postfix.deb
next /debs/m1/postfix-maint.deb "$(dpkg-deb -f /debs/m1/postfix-maint.deb Version)" 99 /debs/m2/postfix-maint.deb
dpkg-deb -R /debs/o1b/postfix.deb /tmp/broken
mkdir -p /tmp/broken/usr/bin; echo mine > /tmp/broken/usr/bin/strace
again /debs/broken/postfix.deb /tmp/broken
dpkg-deb -R /debs/d2/postfix.deb /tmp/broken
mkdir -p /tmp/broken/usr/bin; echo mine > /tmp/broken/usr/bin/strace
again /debs/broken/debian.deb /tmp/broken
dpkg-deb -x /debs/m1/postfix-maint.deb /tmp/maint
/tmp/maint/usr/sbin/postfix-maint adopt --layer /tmp/maint/usr/share/postfix-maint/layer --output /debs/o2 /debs/d2/postfix.deb
mv /debs/o2/postfix_*.deb /debs/o2/postfix.deb
rm -r /tmp/maint
`
