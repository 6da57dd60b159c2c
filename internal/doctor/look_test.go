package doctor

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"postfix-maint/internal/aliases"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/sysroot/sysroottest"
)

// look gathers what is said of a host with these files; programs play their part.
func look(t *testing.T, files map[string]string, programs postfix) (*Facts, string) {
	t.Helper()
	for name, text := range map[string]string{"etc/postfix/main.cf": "myhostname = a.example\n", "etc/postfix/master.cf": "smtp inet n - y - - smtpd\n"} {
		if _, given := files[name]; !given {
			files[name] = text
		}
	}
	root := sysroottest.New(t, files)
	f := &Facts{All: true, Instances: []Instance{{
		Instance: instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q", DataDir: "/d"},
		Unit:     "postfix@-.service", Load: "loaded", Started: time.Unix(1000, 0), TLS: "may",
	}}}
	Gather(t.Context(), Host{Root: root, Run: programs}, f)
	return f, root.Dir()
}

// Only lines count that Postfix's own programs wrote, with an account of Postfix's, in this unit, since its start.
func TestJournal(t *testing.T) {
	line := func(text, uid, unit, program string, at int64) string {
		return fmt.Sprintf(`{"MESSAGE":%s,"SYSLOG_IDENTIFIER":"postfix/smtpd","_UID":%q,"_SYSTEMD_UNIT":%q,"_EXE":%q,"__REALTIME_TIMESTAMP":"%d"}`+"\n",
			text, uid, unit, program, at*1_000_000)
	}
	const unit, smtpd = "postfix@-.service", "/usr/lib/postfix/sbin/smtpd"
	said := line(`"fatal: of a user"`, "1000", unit, smtpd, 1002) + line(`"fatal: elsewhere"`, "0", "user@0.service", smtpd, 1002) +
		line(`"fatal: of a setuid program"`, "0", unit, "/usr/bin/sudo", 1002) + line(`"fatal: before"`, "0", unit, smtpd, 999) +
		line(`"warning: less"`, "0", unit, smtpd, 1002) + line(`[102,97]`, "0", unit, smtpd, 1002) + "no JSON\n" +
		line(`"fatal: newest"`, "0", unit, smtpd, 1002) + line(`"fatal: newest"`, "77", unit, smtpd, 1001) + line(`"panic: older"`, "77", unit, smtpd, 1001) +
		line(`"fatal: a script"`, "0", unit, "/usr/sbin/postlog", 1001) + line(`"fatal: a fourth"`, "0", unit, smtpd, 1001)
	f, _ := look(t, map[string]string{"etc/passwd": "postfix:x:77:77::/:/bin/false\n"}, postfix{"journalctl": said})
	var got []string
	for _, e := range f.Instances[0].Fatal {
		got = append(got, fmt.Sprint(e.Program, " ", e.Text, " ", e.Times, " ", e.Last.Unix()))
	}
	if want := []string{"smtpd fatal: newest 2 1002", "smtpd panic: older 1 1001", "smtpd fatal: a script 1 1001"}; !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// What the gate does not look at is not gathered for it.
func TestGateGathersLess(t *testing.T) {
	root := sysroottest.New(t, map[string]string{"etc/postfix/main.cf": "  lonely\nmyorigin = /none\n", "etc/postfix/master.cf": ""})
	for _, gate := range []bool{false, true} {
		f := &Facts{Instances: []Instance{{Instance: instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q"}, Load: "loaded", Unit: "u", Started: time.Now()}}}
		said := postfix{"journalctl": `{"MESSAGE":"fatal: x","_UID":"0","_SYSTEMD_UNIT":"u","_EXE":"/usr/lib/postfix/sbin/smtpd","__REALTIME_TIMESTAMP":"99999999999999999"}`}
		Gather(t.Context(), Host{Root: root, Run: said, Gate: gate}, f)
		if i := f.Instances[0]; (len(i.Ignored) > 0) == gate || (len(i.Fatal) > 0) == gate || i.NoOrigin == "" {
			t.Errorf("gate %v: %+v, %+v, %q", gate, i.Ignored, i.Fatal, i.NoOrigin)
		}
	}
}

func TestCircles(t *testing.T) {
	for text, want := range map[string]string{
		"a: b\nb: c\nc: d\n":                   "",
		"a: a\n":                               "",
		"a: b\nb: a\n":                         "a b",
		"x: a\na: B+x\nb: |p, c\nc: a@here\n":  "a b c",
		"a: \\b\nb: a\n":                       "",
		"a: b@there\nb: a\n":                   "",
		"a: b\nb: b, c\nc: /f\n":               "",
		"\"a\": b\nb: \"|x a\", :include:/a\n": "",
	} {
		table, err := aliases.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range circles(table, text, "+", []string{"here"}) {
			got = append(got, strings.Join(c, " "))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestIgnoredLines(t *testing.T) {
	f, _ := look(t, map[string]string{
		"etc/postfix/main.cf": "# first\n  lonely = text\n\nalias_maps = hash:/etc/aliases\nvirtual_alias_maps = hash:/v, regexp:/r, cidr:/none\ntransport_maps = texthash:/t\n",
		"etc/aliases":         "# x\na: b\nwithout\nA: again\nc@d: e\n\"q q\": r,\n  s\nempty:\n",
		"v":                   "\t# a comment\n\tlonely too\nkey value\nkey2\nkey2\n value2\nKEY other\n\n# c\nkey3  value\r\n", "r": "/x/ y\n",
		"t": "a b\nc d\n", "etc/postfix/master.cf": " lonely\n",
	}, postfix{"postmap": "postmap: warning: regexp map /r, line 4: ignoring unrecognized request\npostmap: warning: regexp map /r, line 5: other\n"})
	var got []string
	for _, l := range f.Instances[0].Ignored {
		got = append(got, fmt.Sprintf("%s:%d %.12s", l.File, l.Line, l.Why))
	}
	want := []string{
		"/etc/postfix/main.cf:2 it begins wi", "/etc/postfix/master.cf:1 it begins wi", "/etc/aliases:3 it is no ali", "/etc/aliases:4 the name sta", "/etc/aliases:5 it is no ali",
		"/etc/aliases:8 it is no ali", "/v:2 it begins wi", "/v:4 a name witho", "/v:5 the name sta", "/v:7 the name sta", "/r:4 it is no rul",
	}
	if len(got) != len(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for n := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[n], want[n]) {
			t.Errorf("got %q, want %q", got[n], want[n])
		}
	}
}

func TestMissing(t *testing.T) {
	for _, c := range []struct{ main, origin, program, spool string }{
		{"myorigin = /m\nmailbox_command = /p x\n", "/m", "/p", ""},
		{"myorigin = /n\n", "/n", "", "/var/mail"},
		{"myorigin = /o\nhome_mailbox = Maildir/\nmailbox_command = p -a\n", "", "", ""},
		{"myorigin = a.example\nmailbox_transport = x\n", "", "", ""},
		{"mail_spool_directory = /q/\n", "", "", ""},
		{"mailbox_command = /p|x\n", "", "", ""},
	} {
		f, _ := look(t, map[string]string{"etc/postfix/main.cf": c.main, "n": "\na.example\n", "o": "a.example\n", "q/x": ""}, postfix{})
		if i := f.Instances[0]; i.NoOrigin != c.origin || i.NoProgram != c.program || i.NoSpool != c.spool {
			t.Errorf("%q: %q %q %q", c.main, i.NoOrigin, i.NoProgram, i.NoSpool)
		}
	}
}

// Users' mail gets into the queue by a group, unless the administrator has decided otherwise.
func TestGroups(t *testing.T) {
	group := "postdrop:x:" + strconv.Itoa(os.Getegid()) + ":\n"
	const drop, queue = "usr/sbin/postdrop", "usr/sbin/postqueue"
	for _, c := range []struct {
		group, overrides string
		setgid           fs.FileMode
		maildrop         fs.FileMode
		want             int
	}{
		{group, "", fs.ModeSetgid, 0o730, 0},
		{group, "", 0, 0o730, 2},
		{group, "root postdrop 2555 /usr/sbin/postdrop\nroot root 755 /usr/sbin/postqueue\n", 0, 0o730, 1},
		{group, "", fs.ModeSetgid, 0o755, 1},
		{group, "", fs.ModeSetgid, 0o731, 1},
		{"postdrop:x:4242:\n", "", fs.ModeSetgid, 0o730, 4},
		{"", "", 0, 0o700, 0},
	} {
		root := sysroottest.New(t, map[string]string{drop: "", queue: "", "q/maildrop/": "", "q/public/": "", "etc/group": c.group,
			"var/lib/dpkg/statoverride": c.overrides, "etc/postfix/main.cf": ""})
		for name, mode := range map[string]fs.FileMode{drop: c.setgid | 0o555, queue: c.setgid | 0o555, "q/maildrop": c.maildrop, "q/public": 0o710} {
			if err := os.Chmod(root.Dir()+"/"+name, mode); err != nil {
				t.Fatal(err)
			}
		}
		f := &Facts{Instances: []Instance{{Instance: instance.Instance{Name: "-", ConfigDir: "/etc/postfix", QueueDir: "/q"}}}}
		Gather(t.Context(), Host{Root: root, Run: postfix{}}, f)
		if i := f.Instances[0]; len(i.NoSetgid)+len(i.Groups) != c.want {
			t.Errorf("%+v: %q, %+v", c, i.NoSetgid, i.Groups)
		}
	}
}

func TestDropIns(t *testing.T) {
	files := map[string]string{
		"etc/systemd/system/postfix.service.d/a.conf": "[Service]\nRestart=always\n", "etc/systemd/system/postfix.service.d/b.conf": "[Unit]\nAfter=x\n",
		"etc/systemd/system/postfix.service.d/c": "[Service]\n", "etc/systemd/system/postfix@-.service.d/a.conf": "[Service]\n",
		"etc/systemd/system/postfix@gone.service.d/a.conf": "[Service]\n", "etc/systemd/system/postfix@.service.d/a.conf": "[Service]\n",
	}
	f, _ := look(t, files, postfix{})
	var got []string
	for _, d := range f.DropIns {
		got = append(got, d.Unit+" "+d.To)
	}
	if want := []string{"postfix.service /etc/systemd/system/postfix@-.service.d", "postfix@gone.service "}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// certificate makes a key and a certificate for it, of an issuer that is itself or another one.
func certificate(t *testing.T, issuer string, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	leaf, parent := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: names}, &x509.Certificate{SerialNumber: big.NewInt(2)}
	leaf.Subject.CommonName, parent.Subject.CommonName = "leaf", issuer
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}))
}

func TestCertificates(t *testing.T) {
	own, key := certificate(t, "leaf")
	issued, other := certificate(t, "issuer", "a.example")
	for _, c := range []struct{ main, want string }{
		{"smtpd_tls_cert_file = /own\nsmtpd_tls_key_file = /key\n", "[] false false"},
		{"smtpd_tls_cert_file = /own\nsmtpd_tls_key_file = /other\n", "[] false true"},
		{"smtpd_tls_cert_file = /issued\nsmtpd_tls_key_file = /other\n", "[a.example] true false"},
		{"smtpd_tls_cert_file = /both\n", "[a.example] true false"},
		{"smtpd_tls_cert_file = /none\n", ""},
		{"smtpd_tls_cert_file = /own\nsmtpd_tls_key_file = /own\n", "there is no key in /own"},
		{"smtpd_tls_cert_file = /text\nsmtpd_tls_key_file = /key\n", "there is no certificate in /text"},
		{"smtpd_tls_chain_files = /both\nsmtpd_tls_cert_file = /own\n", ""},
	} {
		f, _ := look(t, map[string]string{"etc/postfix/main.cf": c.main, "own": own, "key": key, "issued": issued, "other": other, "both": issued + other, "text": "garbage"}, postfix{})
		got := ""
		for _, x := range f.Instances[0].Certs {
			got += cmp.Or(x.Unusable, fmt.Sprintf("%v %v %v", x.Names, x.Issued, x.Apart))
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.main, got, c.want)
		}
	}
}

func TestNoMechanisms(t *testing.T) {
	if f, _ := look(t, map[string]string{"usr/lib/x86_64-linux-gnu/sasl2/libsasldb.so": ""}, postfix{}); !f.NoMechanisms {
		t.Error("there is none")
	}
	if f, _ := look(t, map[string]string{"usr/lib/x86_64-linux-gnu/sasl2/libplain.so": ""}, postfix{}); f.NoMechanisms {
		t.Error("there is one")
	}
}

// What another account may write takes no long time to look through.
func TestCirclesAmongManyNames(t *testing.T) {
	var text strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&text, "a%d: a%d\n", n, n+1)
	}
	table, err := aliases.Parse([]byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	if found := circles(table, text.String(), "+", nil); len(found) > 0 { // quadratic, it would take minutes
		t.Errorf("circles: %v", found)
	}
}
