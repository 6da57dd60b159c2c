//go:build integration

package integration

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

// mapTypes are Debian's packages of map types, in the order of the alphabet: postfix-TYPE.
func mapTypes(release string) []string {
	types := []string{"cdb", "ldap", "lmdb", "mysql", "pcre", "pgsql", "sqlite"}
	if release != "bookworm" {
		types = slices.Insert(types, 3, "mongodb")
	}
	return types
}

// mapPackages are the packages of the types.
func mapPackages(types []string) string { return "postfix-" + strings.Join(types, " postfix-") }

// TestMapPackages takes Debian's own, unchanged map packages through their life with our layer, while mail flows that needs them.
func TestMapPackages(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		types := mapTypes(release)
		h := boot(ctx, t, "host", mapHost(ctx, t, release, product.Ours))
		sh(ctx, t, h, mapTables)

		said := sh(ctx, t, h, "apt-get install -y --no-install-recommends "+mapPackages(types))
		for _, typ := range types { // on sid each package has a file of the registry
			if release != hosts.Sid && !strings.Contains(said, "registering map type "+typ) {
				t.Errorf("%s was not registered", typ)
			}
		}
		sh(ctx, t, h, "printf 'third\\tthird.so\\tdict_third_open\\n' >> /etc/postfix/dynamicmaps.cf")
		lookUp(ctx, t, h, types)
		await(ctx, t, h, "the mail that waited for the type", "postqueue -f; grep -rqs '^Subject: early' /var/mail /home/bert")

		if said := sh(ctx, t, h, mapUpgrade); strings.Contains(said, "map type") || strings.Contains(said, "newaliases") {
			t.Errorf("an upgrade touched the registry or the aliases:\n%s", said)
		}
		lookUp(ctx, t, h, types)
		await(ctx, t, h, "every message that was sent during the upgrade",
			"postqueue -f; grep -rhs '^Subject: flow' /var/mail /home/bert | cut -d' ' -f3 | grep -vxFf - /root/sent && exit 1; [ -s /root/sent ]")
		if lines := sh(ctx, t, h, "tail -n +$(($(cat /root/logged) + 1)) /var/log/mail.log | grep 'unsupported dictionary type' || true; sort -u /root/lost"); lines != "" {
			t.Errorf("a map was lost during the upgrade:\n%s", lines)
		}
		if release != hosts.Sid { // there the packages have no scripts, and so nothing of a registry that goes with them
			mapsGo(ctx, t, h, types)
		}
	})
}

// mapHost gives a host with Postfix, whose apt source has Debian's map packages as well; /next is an apt source with the next version of
// everything: the package of today under another number.
func mapHost(ctx context.Context, t *testing.T, release string, l product.Layer) hosts.Options {
	t.Helper()
	list := append(strings.Fields(mapPackages(mapTypes(release))), "sqlite3")
	maps, err := session.Packages(ctx, release, "maps", list...)
	if err != nil {
		t.Fatal(err)
	}
	opt := installed(ctx, t, release, l)
	opt.Binds[maps] = "/maps"
	opt, err = session.Layer(ctx, "maps-"+release+"-"+string(l), opt, func(h *hosts.Host) error {
		_, err := h.Sh(ctx, nextMaps)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

const nextMaps = product.NextVersion + `
mkdir /next
for deb in /maps/postfix-*.deb /maps/postfix_*.deb; do next $deb /next; done
if [ -d /usr/share/postfix-maint ]; then
	stock=$(echo /next/postfix_*.deb)
	postfix-maint adopt --output /next $stock >/dev/null
	rm $stock
fi
cd /next; apt-ftparchive packages . > Packages 2>/dev/null
echo 'deb [trusted=yes] file:/maps ./' >> /etc/apt/sources.list
apt-get update -q
apt-get install -y sqlite3
useradd -m bert
`

// mapTables names tables of types that are not there yet, so a first message has to wait. Every message is read by a new process.
const mapTables = `
printf '/^pcre@x$/ bert\n' > /etc/postfix/t.pcre
for t in lmdb cdb; do echo "$t@x bert" > /etc/postfix/t; done
postconf -e max_use=1 minimal_backoff_time=1s virtual_alias_maps=pcre:/etc/postfix/t.pcre
systemctl reload postfix
printf 'Subject: early\n\nx\n' | sendmail pcre@x
`

// noServer is what is said of a table that would be asked of a server, which is not there: its library was loaded and tried. MongoDB's
// takes that for "not found" and only tells, when it is asked to be verbose, that the table was opened.
const noServer = "server|LDAP|dict_open: mongodb:"

// lookUp asks tables of every type: those without a server for a value, the others get as far as their server.
func lookUp(ctx context.Context, t *testing.T, h *hosts.Host, types []string) {
	t.Helper()
	for _, typ := range types {
		out, err := h.Sh(ctx, "cd /root; postconf -m | grep -qx "+typ+"\n"+map[string]string{
			"pcre":    "postmap -q pcre@x pcre:/etc/postfix/t.pcre",
			"cdb":     "echo 'cdb@x bert' > t; postmap cdb:t; postmap -q cdb@x cdb:t",
			"lmdb":    "echo 'lmdb@x bert' > t; postmap lmdb:t; postmap -q lmdb@x lmdb:t",
			"sqlite":  sqliteTable + "postmap -q sqlite@x sqlite:/root/t.cf",
			"ldap":    "printf 'server_host = ldap://127.0.0.1\nsearch_base = dc=x\n' > t.cf; postmap -q k ldap:/root/t.cf",
			"mysql":   "printf 'hosts = 127.0.0.1\nuser = u\npassword = p\ndbname = d\nquery = SELECT 1\n' > t.cf; postmap -q k mysql:/root/t.cf",
			"pgsql":   "printf 'hosts = 127.0.0.1\nuser = u\npassword = p\ndbname = d\nquery = SELECT 1\n' > t.cf; postmap -q k pgsql:/root/t.cf",
			"mongodb": "printf 'uri = mongodb://127.0.0.1/?serverSelectionTimeoutMS=500\ndbname = d\ncollection = c\nquery_filter = {\"k\": \"%%s\"}\nresult_attribute = v\n' > t.cf; postmap -v -q k mongodb:/root/t.cf",
		}[typ])
		switch typ {
		case "ldap", "mysql", "pgsql", "mongodb":
			if err == nil || !regexp.MustCompile(noServer).MatchString(out) {
				t.Errorf("%s does not say that its server is missing, but %q, %v", typ, out, err)
			}
		default:
			if err != nil || out != "bert\n" {
				t.Errorf("%s gives %q, %v", typ, out, err)
			}
		}
	}
}

const sqliteTable = `[ -e t.sqlite ] || sqlite3 t.sqlite "create table a (k, v); insert into a values ('sqlite@x', 'bert')"
echo "dbpath = /root/t.sqlite
query = SELECT v FROM a WHERE k = '%s'" > t.cf
`

// mapUpgrade upgrades everything with apt while mail comes in and somebody looks at the registry all the time.
const mapUpgrade = `
keep=$(cat /etc/postfix/dynamicmaps.cf); wc -l < /var/log/mail.log > /root/logged
echo 'deb [trusted=yes] file:/next ./' > /etc/apt/sources.list; apt-get update -q >/dev/null
( sent=0; while [ ! -e /run/upgraded ]; do
	sent=$((sent + 1)); printf "Subject: flow $sent\n\nx\n" | sendmail pcre@x; echo $sent >> /root/sent; sleep 0.1; done ) &
( while [ ! -e /run/upgraded ]; do
	[ "$(cat /etc/postfix/dynamicmaps.cf)" = "$keep" ] || echo "the registry changed"; done > /root/lost ) &
apt-get dist-upgrade -y --no-install-recommends
touch /run/upgraded; wait
(! dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' 'postfix*' | grep ^ii | grep -vE '[0-9]9(\+a[0-9a-z.~]+)?$' | grep -v postfix-maint)
[ -z "$(dpkg --audit)" ]
`

// mapsGo removes the packages, in each of the ways.
func mapsGo(ctx context.Context, t *testing.T, h *hosts.Host, types []string) {
	t.Helper()
	said := sh(ctx, t, h, "apt-get remove -y "+mapPackages(types))
	if !strings.Contains(said, "main.cf still names tables of type pcre") {
		t.Errorf("nobody is told that pcre is still needed:\n%s", said)
	}
	if left := sh(ctx, t, h, "grep -v '^#' /etc/postfix/dynamicmaps.cf"); left != "third\tthird.so\tdict_third_open\n" {
		t.Errorf("the registry keeps:\n%s", left)
	}
	sh(ctx, t, h, `postconf -e virtual_alias_maps=; systemctl reload postfix
		for t in `+strings.Join(types, " ")+`; do (! postconf -m | grep -qx $t); done
		[ -z "$(dpkg --audit)" ]
		apt-get purge -y `+mapPackages(types)+`; (! ls /etc/postfix/postfix-files.d/*.files)
		systemctl is-active postfix`)

	t.Log("by hand, and when postfix-maint has gone first")
	sh(ctx, t, h, `apt-get install -y --no-install-recommends postfix-pcre postfix-lmdb
		sed -i /pcre/d /etc/postfix/dynamicmaps.cf; (! postconf -m | grep -qx pcre)
		postfix-maint dynamicmap add pcre; postconf -m | grep -qx pcre; postfix-maint dynamicmap remove pcre; (! postconf -m | grep -qx pcre)
		dpkg --force-depends -P postfix-maint; dpkg -r postfix-lmdb postfix-pcre; (! grep lmdb /etc/postfix/dynamicmaps.cf); grep third /etc/postfix/dynamicmaps.cf`)
}
