package chroot

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const pemKey = "-----BEGIN PRIVATE KEY-----\nMIIEsEcReT\n-----END PRIVATE KEY-----\n"

func TestCertificates(t *testing.T) {
	t.Parallel()
	trusted := strings.ReplaceAll(pemCA, "CERTIFICATE", "TRUSTED CERTIFICATE")
	for name, c := range map[string]struct{ in, out string }{
		"one":                           {pemCA, pemCA},
		"several, of all kinds":         {pemCA + trusted, pemCA + trusted},
		"lines of another system":       {strings.ReplaceAll(pemCA, "\n", "\r\n"), strings.ReplaceAll(pemCA, "\n", "\r\n")},
		"no end of the last line":       {strings.TrimSpace(pemCA), strings.TrimSpace(pemCA)},
		"a key behind":                  {pemCA + pemKey, pemCA},
		"a key before":                  {pemKey + pemCA, pemCA},
		"a key between":                 {pemCA + pemKey + trusted, pemCA + trusted},
		"a key alone":                   {pemKey, ""},
		"a key in a block without end":  {"-----BEGIN CERTIFICATE-----\n" + pemKey + pemCA, pemCA},
		"a key that another's end ends": {"-----BEGIN CERTIFICATE-----\nMIIB\n" + strings.Replace(pemKey, "END PRIVATE KEY", "END CERTIFICATE", 1), ""},
		"a block that ends otherwise":   {strings.Replace(pemCA, "END CERTIFICATE", "END TRUSTED CERTIFICATE", 1), ""},
		"words":                         {"Subject: sEcReT\n" + pemCA + "password sEcReT\n", pemCA},
		"a block that begins anew":      {"-----BEGIN CERTIFICATE-----\nsEcReT\n" + pemCA, pemCA},
		"a request, a list of revoked":  {strings.ReplaceAll(pemCA, "CERTIFICATE", "CERTIFICATE REQUEST") + strings.ReplaceAll(pemCA, "CERTIFICATE", "X509 CRL"), ""},
		"an encrypted key":              {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nsEcReT\n-----END RSA PRIVATE KEY-----\n" + pemCA, pemCA},
		"nothing":                       {"", ""},
		"no text":                       {"\x30\x82\x00\xff", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := string(certificates([]byte(c.in))); got != c.out {
				t.Errorf("got %q, want %q", got, c.out)
			}
		})
	}
}

func FuzzCertificates(f *testing.F) {
	f.Add([]byte(pemCA + pemKey + pemCA))
	f.Fuzz(func(t *testing.T, data []byte) {
		if once := certificates(data); string(certificates(once)) != string(once) {
			t.Errorf("%q becomes %q", once, certificates(once))
		}
	})
}

// TestKeysStayOutside shows that of a directory of CAs only certificates are copied, that a key which an earlier version copied is taken
// out again, and that it is said once.
func TestKeysStayOutside(t *testing.T) {
	t.Parallel()
	const certs = "etc/ssl/certs/"
	root := host(t, map[string]string{
		"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtp_tls_CApath=/etc/ssl/certs\n",
		"etc/ssl/server.pem":  pemCA + pemKey, "etc/ssl/key.pem": pemKey,
		certs + "0a775a30.0": "-> ../server.pem", certs + "0a775a31.0": "-> ../key.pem", certs + "0a775a32.0": pemCA,
	})
	first := apply(t, root)
	warned(t, first, `a private key in "/etc/ssl/certs/0a775a30.0" stays outside`, `a private key in "/etc/ssl/certs/0a775a31.0"`)
	copied := func() (names []string) {
		for _, name := range inQueue(t, root) {
			if strings.HasPrefix(name, certs) {
				if text := get(t, root, queueDir+"/"+name); text != pemCA {
					t.Errorf("%s holds %q", name, text)
				}
				names = append(names, name)
			}
		}
		return names
	}
	both := []string{certs + "0a775a30.0", certs + "0a775a32.0"}
	want(t, "copied", copied(), both)

	for _, name := range []string{"0a775a30.0", "0a775a31.0"} { // as an earlier version left them, with a list that trusts their time stamps
		put(t, root, queueDir+"/"+certs+name, get(t, root, certs+name))
	}
	k := `{"queue_directory":"/var/spool/postfix","files":{`
	for n, name := range []string{"0a775a30.0", "0a775a31.0"} {
		line := func(file string) string {
			fi, err := os.Stat(filepath.Join(root.Dir(), file))
			if err != nil {
				t.Fatal(err)
			}
			return signatureOf(fi).String()
		}
		k += fmt.Sprintf(`%s"%s": "%s %s %s"`, strings.Repeat(",", n), certs+name, sum([]byte(get(t, root, certs+name))), line(certs+name), line(queueDir+"/"+certs+name))
	}
	put(t, root, "var/lib/postfix-maint/chroot/-", k+"}}")
	r := apply(t, root)
	want(t, "changed", r.Changed, both[:1])
	want(t, "removed", r.Removed, []string{certs + "0a775a31.0"})
	want(t, "copied", copied(), both)
}

// TestTroubleOfManyIsSaidOnce shows that hundreds of files that nothing can be done with give one line for each directory, and that the
// result names each.
func TestTroubleOfManyIsSaidOnceNeedsRoot(t *testing.T) {
	t.Parallel()
	needRoot(t)
	const certs = "etc/ssl/certs/"
	files := map[string]string{"etc/postfix/main.cf": "compatibility_level=2\nmyhostname=a.example\nsmtp_tls_CApath=/etc/ssl/certs\n"}
	for n := range 150 {
		files[fmt.Sprintf("%s%08x.0", certs, n)] = pemCA
	}
	root := host(t, files)
	apply(t, root)
	real := filepath.Join(root.Dir(), queueDir)
	if err := unix.Mount(real, real, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(real, unix.MNT_DETACH) })
	if err := unix.Mount("", real, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	put(t, root, "etc/postfix/main.cf", "compatibility_level=2\nmyhostname=a.example\n")
	r := apply(t, root)
	warned(t, r, `cannot remove 150 files in "etc/ssl/certs" ("00000000.0" first) in the queue directory`, `cannot remove "etc/ssl/certs"`, `cannot remove "etc/ssl"`)
	if len(r.Undone) != 152 || len(r.Removed) > 0 {
		t.Errorf("undone: %d, removed: %q", len(r.Undone), r.Removed)
	}
	put(t, root, "etc/hosts", "new\n")
	if r := apply(t, root); len(r.Undone) != 153 || len(r.Changed) > 0 {
		t.Errorf("undone: %q, changed: %q", r.Undone, r.Changed)
	}
}
