package setup_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
)

const (
	sid     = "3.11.7-1+a0.2.0"
	trixie  = "3.10.13-0+deb13u1+a0.2.0"
	oldMaps = "/etc/postfix/dynamicmaps.cf"
)

// sidFiles are what the package of sid has otherwise than that of Debian 12.
func sidFiles(more map[string]string) map[string]string {
	files := map[string]string{
		"usr/share/postfix/main.cf.debian":           "default_database_type = cdb\ndefault_cache_db_type = lmdb\nalias_maps = $alias_database\nalias_database = cdb:/etc/aliases\n",
		"usr/share/postfix/main.cf.tls":              "smtpd_tls_security_level = may\nsmtp_tls_session_cache_database = btree:${data_directory}/smtp_scache\n",
		"usr/share/postfix/master.cf.dist":           "smtp inet n - n - - smtpd\npickup unix n - n 60 1 pickup\nlocal unix - n n - - local\n",
		"usr/share/postfix/dynamicmaps.cf":           "cdb\tpostfix-cdb.so\tdict_cdb_open\tmkmap_cdb_open\n",
		"usr/share/postfix/dynamicmaps.cf.d/pcre.cf": "pcre\tpostfix-pcre.so\tdict_pcre_open\n",
	}
	for p, c := range more {
		files[p] = c
	}
	return files
}

// configured goes through one configuration of a version, after another one.
func configured(t *testing.T, root *sysroot.Root, old, version string) []string {
	t.Helper()
	p, err := setup.NewPlan(context.Background(), setup.Deps{Root: root, Run: noRunner{}}, setup.Request{
		Answers: answers.Answers{answers.MailerType: {Value: "Internet Site", Answered: true}}, Package: version, Old: old,
		Facts: setup.ReadFacts(context.Background(), root, "box", version, nil),
	})
	if err != nil {
		t.Fatal(err)
	}
	var did []string
	if err := p.Apply(context.Background(), func(c setup.Change) { did = append(did, c.What) }, settled); err != nil {
		t.Fatal(err)
	}
	return did
}

// A new host of sid has the release's types for every table, none of Berkeley DB, and is chrooted as on the releases before.
func TestNewHostOfSid(t *testing.T) {
	for name, tls := range map[string]bool{"with a key for TLS": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			root := host(t, sidFiles(nil))
			if !tls {
				if _, err := root.Remove("/etc/ssl/private/ssl-cert-snakeoil.key"); err != nil {
					t.Fatal(err)
				}
			}
			configured(t, root, "", sid)
			main := read(t, root, "/etc/postfix/main.cf")
			for _, line := range []string{"alias_maps = cdb:/etc/aliases", "alias_database = cdb:/etc/aliases",
				"smtp_tls_session_cache_database = lmdb:${data_directory}/smtp_scache"} {
				if !slices.Contains(strings.Split(main, "\n"), line) {
					t.Errorf("no line %q in\n%s", line, main)
				}
			}
			if strings.Contains(main, "hash:") || strings.Contains(main, "btree:") || strings.Contains(main, "smtpd_tls_security_level") != tls {
				t.Errorf("main.cf is\n%s", main)
			}
			if got, want := read(t, root, "/etc/postfix/master.cf"), "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\nlocal unix - n n - - local\n"; got != want {
				t.Errorf("master.cf is %q, want %q", got, want)
			}
			if fi, err := root.Stat("/var/spool/postfix/etc"); err != nil || !fi.IsDir() || fi.Mode().Perm() != 0o755 {
				t.Errorf("the queue's etc: %v, %v", fi, err)
			}
			if ok, _ := root.Exists(oldMaps); ok {
				t.Errorf("%s was made", oldMaps)
			}
		})
	}
}

// An upgrade from Debian 13 to sid changes no meaning: the type that was compiled in is written down, the place of the registry follows, and
// a type that an administrator registered in the old one is known at the new one.
func TestUpgradeToSid(t *testing.T) {
	const own = "mine\t/opt/mine.so\tdict_mine_open"
	debian := "# dict-type\npcre\tpostfix-pcre.so\tdict_pcre_open\n"
	for name, c := range map[string]struct {
		old, main, maps string
		want, absent    string // lines of main.cf
		kept            bool   // the old registry is there at the end
		mine            string // of the type of an administrator's at the new place, "" for no file
	}{
		"13 to sid":                      {old: trixie, maps: debian, want: "default_database_type = hash"},
		"12 to sid":                      {old: "3.7.11-0+deb12u1", maps: debian, want: "default_database_type = hash"},
		"with a type of its own":         {old: trixie, main: "default_database_type = lmdb\n", maps: debian, absent: "default_database_type = hash"},
		"with the old place by its name": {old: trixie, main: "meta_directory = /etc/postfix/\n", maps: debian, absent: "meta_directory"},
		"with a place of its own":        {old: trixie, main: "meta_directory = /srv/meta\n", maps: debian, want: "meta_directory = /srv/meta"},
		"with a map type of its own":     {old: trixie, maps: debian + own + "\n../odd\t/opt/odd.so\tf\n", mine: own + "\n"},
		"within sid":                     {old: "3.11.2-4", maps: debian, absent: "default_database_type", kept: true},
	} {
		t.Run(name, func(t *testing.T) {
			root := host(t, sidFiles(map[string]string{
				"etc/postfix/main.cf": "alias_maps = hash:/etc/aliases\n" + c.main, "etc/postfix/master.cf": "smtp inet n - n - - smtpd\n", "etc/aliases": "",
				"etc/aliases.db": "x", oldMaps[1:]: c.maps,
			}))
			configured(t, root, c.old, sid)
			main := read(t, root, "/etc/postfix/main.cf")
			if !strings.Contains(main, c.want) || c.absent != "" && strings.Contains(main, c.absent) {
				t.Errorf("main.cf is\n%swant %q and not %q", main, c.want, c.absent)
			}
			if got := read(t, root, "/etc/postfix/master.cf"); !strings.Contains(got, "smtp inet n - n") {
				t.Errorf("master.cf was changed: %q", got)
			}
			if kept, _ := root.Exists(oldMaps); kept != c.kept {
				t.Errorf("the old registry is there: %v, want %v", kept, c.kept)
			}
			mine, _ := root.ReadFile("/usr/share/postfix/dynamicmaps.cf.d/mine.cf")
			if string(mine) != c.mine {
				t.Errorf("the administrator's type is registered as %q, want %q", mine, c.mine)
			}
			if did := configured(t, root, sid, sid); len(did) > 0 {
				t.Errorf("the second run did %q", did)
			}
		})
	}
}
