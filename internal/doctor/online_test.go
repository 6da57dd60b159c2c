package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"postfix-maint/internal/dns"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/sysroot/sysroottest"
)

// onlineCases are those of the rows that need the network.
func onlineCases() map[string]broken {
	says := func(o Online) breaks {
		return func(f *Facts, i *Instance) { f.Online, i.Online = true, &o }
	}
	return map[string]broken{
		"greeting-unknown":      {says(Online{Greeting: "mx.example.com", Line: 1, Nameless: true}), main + ":1", "in the DNS"},
		"reverse-name":          {says(Online{Nobodys: []string{"198.51.100.1 has no name"}}), "", "provider"},
		"greeting-differs":      {says(Online{Line: 7, Others: []string{"a is b"}}), main + ":7", "smtp_helo_name"},
		"destination-elsewhere": {says(Online{Elsewhere: []string{"a.example: its mail goes to b"}}), main, "take the domain out"},
		"port-25-blocked":       {says(Online{Blocked: "nothing answers"}), "", "port 587"},
		"resolvers-silent":      {says(Online{Resolv: "/q/etc/resolv.conf", Servers: 1, Silent: []string{"192.0.2.53"}}), "/q/etc/resolv.conf", "answers"},
		"resolver-silent":       {says(Online{Resolv: "/etc/resolv.conf", Servers: 2, Silent: []string{"192.0.2.53"}}), "/etc/resolv.conf", "take it out"},
		"relay-fails":           {says(Online{Relay: "the login is refused", Advice: "set another password"}), main, "another password"},
	}
}

// world is a network that answers what it has.
type world struct {
	records map[string][]string // by kind and name; what is not there there is not, "fails" fails
	dead    []string            // name servers and ports that do not answer
	out     map[string]string
	own     []netip.Addr
	relay   string
	asked   atomic.Int32
}

func (w *world) Lookup(_ context.Context, kind dns.Kind, name string) ([]string, error) {
	w.asked.Add(1)
	key := fmt.Sprintf("%s %s", map[dns.Kind]string{dns.A: "A", dns.AAAA: "AAAA", dns.MX: "MX", dns.PTR: "PTR"}[kind], name)
	found := w.records[key]
	switch {
	case len(found) == 0:
		return nil, dns.ErrNone
	case found[0] == "fails":
		return nil, errors.New("it fails")
	}
	return found, nil
}

func (w *world) Answers(_ context.Context, server string) error { return w.reach(server) }

func (w *world) Connects(_ context.Context, address string) error { return w.reach(address) }

func (w *world) reach(to string) error {
	w.asked.Add(1)
	if slices.Contains(w.dead, to) {
		return errors.New("no answer")
	}
	return nil
}

func (w *world) Outward(network string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(w.out[network])
	return a, err == nil
}

func (w *world) Own() []netip.Addr { return w.own }

func (w *world) Relay(context.Context, instance.Instance) (problem, advice string, err error) {
	w.asked.Add(1)
	if w.relay == "fails" {
		return "", "", errors.New("the relay cannot be tried")
	}
	return w.relay, "", nil
}

// good is a network in which a host called mx.example.com is all right.
func good() *world {
	return &world{
		records: map[string][]string{
			"A mx.example.com": {"198.51.100.1"}, "PTR 1.100.51.198.in-addr.arpa": {"mx.example.com"}, "MX example.com": {"mx.example.com"},
			"MX debian.org": {"mail.debian.org"}, "A mail.debian.org": {"203.0.113.1"}, "MX gmail.com": {"g"}, "A g": {"203.0.113.2"},
			"MX elsewhere.example": {"other.example"}, "A other.example": {"203.0.113.9"}, "MX nat.example": {"alias.example"}, "A alias.example": {"198.51.100.1"},
		},
		out: map[string]string{"udp4": "198.51.100.1"}, own: []netip.Addr{netip.MustParseAddr("198.51.100.1")},
	}
}

// What the network says is judged right.
func TestOnline(t *testing.T) {
	const plain = "myhostname = mx.example.com\n"
	record := func(key string, values ...string) func(*world) { return func(w *world) { w.records[key] = values } }
	both := func(all ...func(*world)) func(*world) {
		return func(w *world) {
			for _, do := range all {
				do(w)
			}
		}
	}
	cases := map[string]struct {
		main string
		do   func(*world)
		want string // identifier and what was seen, " | " between two
		not  string // not seen
	}{
		"all right":                      {plain + "mydestination = $myhostname, example.com, localhost.example.com, localhost, nat.example\n", nil, "", ""},
		"no such name":                   {plain, record("A mx.example.com"), "greeting-unknown mx.example.com is not in the DNS | reverse-name 198.51.100.1 is called mx.example.com, which is no name of that address", ""},
		"a name of the sixth version":    {plain, both(record("A mx.example.com"), record("AAAA mx.example.com", "2001:db8::1"), func(w *world) { w.out = nil }), "", "no route"},
		"an address without a name":      {plain, record("PTR 1.100.51.198.in-addr.arpa"), "reverse-name 198.51.100.1 has no name", ""},
		"another name":                   {plain, both(record("PTR 1.100.51.198.in-addr.arpa", "v1.example"), record("A v1.example", "198.51.100.1")), "greeting-differs 198.51.100.1 is called v1.example, and the greeting says mx.example.com", ""},
		"behind a router":                {plain, both(record("PTR 1.100.51.198.in-addr.arpa"), func(w *world) { w.out["udp4"] = "192.168.1.1" }), "", ""},
		"of a provider's router":         {plain, both(record("PTR 1.100.51.198.in-addr.arpa"), func(w *world) { w.out["udp4"] = "100.64.3.1" }), "", ""},
		"a bound address":                {plain + "smtp_bind_address = 198.51.100.7\n", nil, "reverse-name 198.51.100.7 has no name", ""},
		"the fourth version is not used": {plain + "inet_protocols = ipv6\n", record("PTR 1.100.51.198.in-addr.arpa"), "", ""},
		"a short name":                   {"myhostname = box\nsmtp_helo_name = box\n", nil, "greeting-differs 198.51.100.1 is called mx.example.com, and the greeting says box | name-not-full myhostname = box", ""},
		"a domain of another host":       {plain + "mydestination = elsewhere.example\n", nil, "destination-elsewhere elsewhere.example: its mail goes to other.example", ""},
		"of one with our address":        {plain + "mydestination = elsewhere.example\nproxy_interfaces = 203.0.113.9\n", nil, "", ""},
		"a backup":                       {plain + "mydestination = elsewhere.example\n", record("MX elsewhere.example", "other.example", "mx.example.com"), "", ""},
		"a domain without mail":          {plain + "mydestination = elsewhere.example\n", record("MX elsewhere.example", ""), "", ""},
		"whose host nobody knows":        {plain + "mydestination = elsewhere.example\n", record("A other.example", "fails"), "", "cannot look up other.example: it fails"},
		"tables are no domains":          {plain + "mydestination = hash:/elsewhere.example, !a.example, /elsewhere.example\n", record("MX a.example", "g"), "", ""},
		"port 25 is closed":              {plain, func(w *world) { w.dead = []string{"203.0.113.1:25", "203.0.113.2:25"} }, "port-25-blocked port 25 does not answer at mail.debian.org, nor at g", ""},
		"one of them is down":            {plain, func(w *world) { w.dead = []string{"203.0.113.1:25"} }, "", ""},
		"closed, and there is a relay":   {plain + "relayhost = r.example\n", func(w *world) { w.dead = []string{"203.0.113.1:25", "203.0.113.2:25"} }, "", ""},
		"closed, and a table decides":    {plain + "transport_maps = texthash:/t\n", func(w *world) { w.dead = []string{"203.0.113.1:25", "203.0.113.2:25"} }, "", ""},
		"nothing goes out":               {plain + "default_transport = error:no\n", record("A mx.example.com"), "", ""},
		"nobody knows names":             {plain, both(record("MX debian.org", "fails"), record("MX gmail.com", "fails")), "", "cannot look up debian.org: it fails | cannot look up gmail.com: it fails"},
		"a name server is silent":        {plain, func(w *world) { w.dead = []string{"192.0.2.1:53"} }, "resolver-silent silent: 192.0.2.1", ""},
		"all are":                        {plain, func(w *world) { w.dead = []string{"192.0.2.1:53", "[2001:db8::53]:53"} }, "resolvers-silent silent: 192.0.2.1 [2001:db8::53]", ""},
		"the relay fails":                {plain + "relayhost = r.example\n", func(w *world) { w.relay = "the login is refused" }, "relay-fails the login is refused", ""},
		"it cannot be tried":             {plain, func(w *world) { w.relay = "fails" }, "", "the relay cannot be tried"},
	}
	for what, c := range cases {
		f, w := healthy(t), good()
		set(t, f, c.main)
		setMaster(t, f, "smtp unix - - y - - smtp\n")
		if c.do != nil {
			c.do(w)
		}
		root := sysroottest.New(t, map[string]string{"etc/resolv.conf": "nameserver 192.0.2.9\n", "q/etc/resolv.conf": "nameserver 192.0.2.1\nnameserver 2001:db8::53\n"})
		greeting, _ := f.Instances[0].param("myhostname")
		h := Host{Root: root, Run: postfix{"postconf": greeting + "\n"}, Net: w}
		f.Online = true
		h.online(t.Context(), f)
		r := Run(f, false)
		var got []string
		for _, found := range r.Findings {
			got = append(got, found.ID+" "+found.Seen)
		}
		slices.Sort(got)
		slices.Sort(r.Unseen)
		if said := strings.Join(got, " | "); said != c.want {
			t.Errorf("%s: %s, want %s", what, said, c.want)
		}
		if not := strings.Join(r.Unseen, " | "); not != c.not && (c.not == "" || !strings.Contains(not, c.not)) {
			t.Errorf("%s: not seen: %s, want %s", what, not, c.not)
		}
	}
}

// A service outside of the chroot asks the host's name servers.
func TestResolvConf(t *testing.T) {
	f := healthy(t)
	var err error
	if f.Instances[0].Master, err = mastercf.Parse([]byte("smtp unix - - n - - smtp\n")); err != nil {
		t.Fatal(err)
	}
	w := good()
	w.dead = []string{"192.0.2.9:53"}
	root := sysroottest.New(t, map[string]string{"etc/resolv.conf": "nameserver 192.0.2.9\n", "q/etc/resolv.conf": "nameserver 192.0.2.1\n"})
	Host{Root: root, Run: postfix{"postconf": "mx.example.com"}, Net: w}.online(t.Context(), f)
	if o := f.Instances[0].Online; o.Resolv != "/etc/resolv.conf" || !reflect.DeepEqual(o.Silent, []string{"192.0.2.9"}) {
		t.Errorf("%+v", o)
	}
}

// Many instances ask the same once.
func TestAskedOnce(t *testing.T) {
	f, w := healthy(t), good()
	root := sysroottest.New(t, map[string]string{"q/etc/resolv.conf": "nameserver 192.0.2.1\n"})
	h := Host{Root: root, Run: postfix{"postconf": "mx.example.com"}, Net: w}
	h.online(t.Context(), f)
	one := w.asked.Load()
	for range 50 {
		f.Instances = append(f.Instances, f.Instances[0])
	}
	w.asked.Store(0)
	h.online(t.Context(), f)
	if many := w.asked.Load(); one < 5 || many != one+50 { // each relay is another one
		t.Errorf("%d, and of 51 instances %d", one, many)
	}
}

// Nothing is asked where nobody wants it.
func TestOffline(t *testing.T) {
	f := healthy(t)
	Gather(t.Context(), Host{Root: sysroottest.New(t, map[string]string{"q/": ""}), Run: postfix{}}, f)
	if f.Online || f.Instances[0].Online != nil {
		t.Errorf("%+v", f.Instances[0].Online)
	}
	for id := range maps.Keys(onlineCases()) {
		f, c := healthy(t), onlineCases()[id]
		c.do(f, &f.Instances[0])
		f.Online = false
		if r := Run(f, false); len(r.Findings) > 0 {
			t.Errorf("%s: %+v", id, r.Findings)
		}
	}
}

// A real connection to this machine; nothing leaves it.
func TestInternet(t *testing.T) {
	n := Internet{Servers: []string{"127.0.0.1:1"}}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := n.Connects(ctx, "127.0.0.1:1"); err == nil {
		t.Error("something listens on port 1")
	}
	if err := n.Answers(ctx, "127.0.0.1:1"); err == nil {
		t.Error("a name server on port 1")
	}
	if !slices.Contains(n.Own(), netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("%v", n.Own())
	}
}
