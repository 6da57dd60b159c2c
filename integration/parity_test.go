//go:build integration

package integration

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// types are the mailer types; relaying ones get a relay host with every preseed but the empty one.
var types = []string{"No configuration", "Internet Site", "Internet with smarthost", "Satellite system", "Local only"}

// preseeds are the answers that are given besides the type.
var preseeds = map[string]product.Answers{
	"nothing else":    {},
	"mail name":       {"mailname": "corp.example"},
	"destinations":    {"mailname": "mail.corp.example", "destinations": "corp.example, mail.corp.example, localhost"},
	"relay host":      {"relayhost": "[smtp.corp.example]:587"},
	"networks":        {"mynetworks": "127.0.0.0/8 10.0.0.0/8 [::1]/128"},
	"blank networks":  {"mynetworks": "", "recipient_delim": "", "root_address": "NONE"},
	"limits and root": {"mailbox_limit": "51200000", "recipient_delim": "-", "root_address": "anna@corp.example", "protocols": "ipv4"},
	"procmail":        {"procmail": "true", "protocols": "all", "root_address": "anna"},
}

// facts prints all that a configuration means: which parameters main.cf sets, every parameter with what it refers to filled
// in, the services, those of them that are chrooted, and the files beside main.cf.
const facts = `
if [ -e /etc/postfix/main.cf ]; then
	postconf -n | sed -n 's/ =.*/ is set = yes/p'; postconf -x
	postconf -M | sed -E 's/^(([^ ]+ +){4})[^ ]+/master.cf = \1x/'; postconf -M | awk '$5 == "y" { print "master.cf: chrooted = " $1 }'
fi
if [ -e /etc/mailname ]; then echo "/etc/mailname = $(cat /etc/mailname)"; fi
if [ -e /etc/aliases ]; then sed -nE 's/^([^#:]+):/aliases:\1 = /p' /etc/aliases; fi
for f in /etc/aliases.*; do if [ -e $f ]; then echo "$f = made"; fi; done
`

// TestParity installs Debian's package and ours with the same answers on twin hosts and compares what the results mean. A
// difference must stand in parity.md with its reason, and every row there must explain one.
func TestParity(t *testing.T) {
	t.Parallel()
	explained, err := readDifferences("parity.md")
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	t.Cleanup(func() {
		if done < len(releases()) {
			return // a row may be needed by the release that was left out
		}
		for _, row := range explained {
			if !row.used && (row.releases == "any" || slices.ContainsFunc(releases(), func(r string) bool { return among(row.releases, r) })) {
				t.Errorf("parity.md explains a difference that is not there: %s | %s | %s", row.name, row.types, row.preseeds)
			}
		}
	})
	var mu sync.Mutex
	for _, release := range releases() {
		t.Run(release, func(t *testing.T) {
			ctx := scenario(t, 2)
			debian, ours := bare(ctx, t, release, product.Debian), bare(ctx, t, release, product.Ours)
			for _, kind := range types {
				for _, preseed := range slices.Sorted(maps.Keys(preseeds)) {
					answers := maps.Clone(preseeds[preseed])
					answers["main_mailer_type"] = kind
					if relays := kind == types[2] || kind == types[3]; relays && answers["relayhost"] == "" && preseed != "nothing else" {
						answers["relayhost"] = "relay.example.test"
					}
					theirs, mine, err := twins(ctx, debian, ours, answers)
					if err != nil {
						t.Errorf("%s, %s: %v", kind, preseed, err)
						continue
					}
					mu.Lock()
					for _, name := range differing(theirs, mine) {
						// What neither side sets follows from what they set: the program is the same.
						if !stated(theirs, mine, name) {
							continue
						}
						if !explains(explained, name, release, kind, preseed, theirs[name], mine[name]) {
							t.Errorf("%s, %s: %s: Debian %q, ours %q", kind, preseed, name, theirs[name], mine[name])
						}
					}
					mu.Unlock()
				}
			}
			mu.Lock()
			done++
			mu.Unlock()
		})
	}
}

// twins configures both layers with the same answers, side by side.
func twins(ctx context.Context, debian, ours hosts.Options, answers product.Answers) (theirs, mine map[string]string, err error) {
	var wait sync.WaitGroup
	var other error
	wait.Go(func() { theirs, other = configured(ctx, debian, answers) })
	mine, err = configured(ctx, ours, answers)
	wait.Wait()
	if err == nil {
		err = other
	}
	return theirs, mine, err
}

// bare is a host on which nothing of a layer is installed yet but our program, and no service may start.
func bare(ctx context.Context, t *testing.T, release string, l product.Layer) hosts.Options {
	t.Helper()
	opt, err := session.Layer(ctx, "bare-"+release+"-"+string(l), source(ctx, t, release, l), func(h *hosts.Host) error {
		script := "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d\n"
		if l == product.Ours {
			script += "dpkg -i /packages/postfix-maint_*.deb\n"
		}
		_, err := h.Sh(ctx, script)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// configured answers, installs, and gives the resulting meaning.
func configured(ctx context.Context, opt hosts.Options, answers product.Answers) (map[string]string, error) {
	h, err := session.NewHost(ctx, "mail", opt)
	if err != nil {
		return nil, err
	}
	defer h.Remove()
	if err := product.Preseed(ctx, h, answers); err != nil {
		return nil, err
	}
	const install = "dpkg -i /packages/postfix_*.deb > /said 2>&1 || { cat /said; exit 1; }\n"
	if _, err := h.Sh(ctx, install+"{"+facts+"} > /facts 2>/facts.errors"); err != nil {
		return nil, err
	}
	out, err := os.ReadFile(filepath.Join(h.Root(), "facts"))
	if err != nil {
		return nil, err
	}
	return meaning(string(out)), nil
}

// meaning reads what the script facts printed.
func meaning(printed string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(printed) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), " =")
		// A list is the same list with other blanks and commas.
		value = strings.Join(strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(" \t,", r) }), " ")
		if old, ok := found[name]; ok {
			value = old + "\n" + value
		}
		found[name] = value
	}
	return found
}

// stated tells whether a fact is more than the default of a parameter, on either side.
func stated(theirs, mine map[string]string, name string) bool {
	if strings.HasSuffix(name, " is set") {
		return false
	}
	return strings.ContainsAny(name, "/.:") || theirs[name+" is set"] != "" || mine[name+" is set"] != ""
}

// difference is a row of parity.md.
type difference struct {
	name, releases, types, preseeds, debian, ours string
	used                                          bool
}

// readDifferences reads the table of explained differences: | What | Release | Type | Preseed | Debian | Ours | Why |.
func readDifferences(file string) ([]*difference, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []*difference
	for line := range strings.Lines(string(data)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case !strings.HasPrefix(line, "|") || cells[0] == "What" || strings.HasPrefix(cells[0], "--"):
		case len(cells) != 7 || cells[6] == "":
			return nil, fmt.Errorf("%s: a row needs seven cells, the last one the reason: %s", file, line)
		default:
			rows = append(rows, &difference{name: cells[0], releases: cells[1], types: cells[2], preseeds: cells[3], debian: cells[4], ours: cells[5]})
		}
	}
	return rows, nil
}

// explains finds the row that explains a difference, and marks it as used. In a cell, "any" stands for every release, type or
// preseed, commas separate several, "*" in a value for any text, "(none)" for no value.
func explains(rows []*difference, name, release, kind, preseed, debian, ours string) bool {
	for _, r := range rows {
		if r.name == name && among(r.releases, release) && among(r.types, kind) && among(r.preseeds, preseed) && matches(r.debian, debian) && matches(r.ours, ours) {
			r.used = true
			return true
		}
	}
	return false
}

func among(list, item string) bool {
	return list == "any" || slices.Contains(strings.Split(list, ", "), item)
}

func matches(pattern, value string) bool {
	if pattern == "(none)" {
		return value == ""
	}
	// path.Match knows "*", but not across slashes, and brackets mean something to it.
	plain := strings.NewReplacer("/", "\x01", "[", "\x02", "]", "\x03", "\n", " ")
	ok, err := path.Match(plain.Replace(pattern), plain.Replace(value))
	return err == nil && ok
}
