package multi

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"postfix-maint/internal/maincf"
)

func TestFullName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ name, want string }{
		"the prefix comes before it":               {"out", "postfix-out"},
		"it has the prefix":                        {"postfix-out", "postfix-out"},
		"only the prefix":                          {"postfix-", "postfix-"},
		"every character that postmulti(1) allows": {"aZ0!@%-_=+:.", "postfix-aZ0!@%-_=+:."},
		"none":                                {"", ""},
		"the primary one's":                   {"-", ""},
		"a slash":                             {"a/b", ""},
		"a blank":                             {"a b", ""},
		"what the shell would read":           {"a$b", ""},
		"a letter that postmulti(1) refuses":  {"ü", ""},
		"as long as a unit's name may be":     {strings.Repeat("a", 255-len("postfix@.servicepostfix-")), "postfix-" + strings.Repeat("a", 231)},
		"longer than that":                    {strings.Repeat("a", 232), ""},
		"longer than that once it is escaped": {strings.Repeat("%", 100), ""},
		"the unit of a dot needs no escape in the name": {"..", "postfix-.."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := fullName(c.name)
			if got != c.want || (err == nil) != (c.want != "") {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{
		"etc/postfix/main.cf": "inet_interfaces = 10.0.0.1\nmulti_instance_enable = yes\nmulti_instance_wrapper = x\n" +
			"multi_instance_directories = /etc/postfix-old /srv/off\n",
		"etc/postfix-old/main.cf":   "multi_instance_name = postfix-old\nmulti_instance_enable=yes\ninet_interfaces=10.0.0.3\nqueue_directory=/q/old\ndata_directory=/d/old\n",
		"etc/postfix-old/master.cf": smtpLine,
		"srv/off/main.cf":           "multi_instance_name = off\ninet_interfaces=10.0.0.4\nqueue_directory=/q/off\ndata_directory=/d/off\n",
		"srv/off/master.cf":         smtpLine,
		"srv/half/main.cf":          "",
		"srv/whole/main.cf":         "multi_instance_name = postfix-whole\nqueue_directory=/q/whole\ndata_directory=/d/whole\n",
		"srv/whole/master.cf":       "",
	})
	before := f.tree()
	on := func(address string) []string {
		return []string{"master_service_disable=", "inet_interfaces=" + address}
	}
	for name, c := range map[string]struct {
		req  Request
		want string
	}{
		"a name in use":                       {Request{Name: "old", ConfigDir: "/etc/x"}, `instance "postfix-old" already`},
		"a directory in use":                  {Request{Name: "x", ConfigDir: "/etc/postfix-old/"}, "an instance's directory already"},
		"another one's queue":                 {Request{Name: "x", QueueDir: "/q/old"}, `belongs to instance "postfix-old"`},
		"the host's directory":                {Request{Name: "x", QueueDir: "/etc"}, `holds the host's directory "/etc`},
		"the primary one's data":              {Request{Name: "x", DataDir: "/var/lib/postfix"}, `belongs to instance "-"`},
		"one directory for two things":        {Request{Name: "x", DataDir: "/var/spool/postfix-x"}, "must be three"},
		"a relative directory":                {Request{Name: "x", ConfigDir: "etc"}, "absolute"},
		"a directory with a blank":            {Request{Name: "x", QueueDir: "/var/a b"}, "absolute"},
		"half a configuration":                {Request{Name: "x", ConfigDir: "/srv/half"}, "half"},
		"a copy over a configuration":         {Request{Name: "whole", ConfigDir: "/srv/whole", From: "old"}, "--from"},
		"a configuration of another name":     {Request{Name: "x", ConfigDir: "/srv/whole"}, `called "postfix-whole"`},
		"a configuration with its own queue":  {Request{Name: "whole", ConfigDir: "/srv/whole", QueueDir: "/q/x"}, "its own queue"},
		"a parameter with an option":          {Request{Name: "x", Set: []string{"queue_directory=/q"}}, "--queue-dir"},
		"a parameter of the primary one":      {Request{Name: "x", Set: []string{"multi_instance_wrapper=x"}}, "primary"},
		"no parameter":                        {Request{Name: "x", Set: []string{"inet_interfaces"}}, "name=value"},
		"a name with a blank":                 {Request{Name: "x", Set: []string{"a b=c"}}, "not a parameter name"},
		"a value that main.cf cannot hold":    {Request{Name: "x", Set: []string{"a=b\nc=d"}}, "newline"},
		"a group with a blank":                {Request{Name: "x", Group: "a b"}, "group"},
		"nobody to copy from":                 {Request{Name: "x", From: "nobody"}, "nobody"},
		"the primary one's address":           {Request{Name: "x", Set: on("10.0.0.1")}, "service smtp (10.0.0.1:25 of inet_interfaces = 10.0.0.1) of instance -"},
		"all addresses":                       {Request{Name: "x", Set: on("all")}, "service smtp (10.0.0.3:25 of inet_interfaces = 10.0.0.3) of instance postfix-old"},
		"the address of the copied one":       {Request{Name: "x", From: "old"}, "of instance postfix-old"},
		"the address of what is there":        {Request{Name: "whole", ConfigDir: "/srv/whole", Set: []string{"master_service_disable=inet", "queue_directory=/x"}}, "--queue-dir"},
		"what the wrong option has to be for": {Request{Name: "x", Set: []string{"multi_instance_enable=no"}}, "--disabled"},
	} {
		if _, err := f.survive(create(c.req)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if diff := cmp.Diff(before, f.tree()); diff != "" || len(f.calls) > 0 {
		t.Errorf("it calls %q and changes\n%s", f.calls, diff)
	}
	// An instance that is not enabled holds no address, and one that is not to be enabled needs none.
	must(t, f, create(Request{Name: "x", Set: on("10.0.0.4")}))
	must(t, f, create(Request{Name: "y", Set: on("10.0.0.1"), Disabled: true}))
}

func TestCreateFromAnInstance(t *testing.T) {
	t.Parallel()
	f := newFake(t, map[string]string{
		"etc/postfix/main.cf": "# kept\ninet_interfaces = 10.0.0.1\nsyslog_name = postfix\nmulti_instance_wrapper = x\nmulti_instance_enable = yes\n" +
			"transport_maps = hash:$config_directory/maps/transport\nsmtp_tls_session_cache_database = btree:/var/lib/postfix/smtp\n",
		"etc/postfix/master.cf":             smtpLine + relay + "x unix - - n - - smtp -o smtp_sasl_password_maps=hash:${config_directory}/secret\n",
		"etc/postfix/maps/transport":        "a b:",
		"etc/postfix/maps/transport.db":     "db",
		"etc/postfix/maps/unreferred":       "",
		"etc/postfix/secret":                "password",
		"etc/postfix-in/secret.not":         "mine",
		"etc/postfix/../outside":            "",
		"etc/postfix/dynamicmaps.cf":        "",
		"etc/postfix/maps/transport.broken": "",
	})
	if err := os.Chmod(f.path("/etc/postfix/secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, f, create(Request{Name: "in", From: "-", Set: []string{"inet_interfaces = 10.0.0.2"}}))
	tree := f.tree()
	for name, want := range map[string]string{
		"etc/postfix-in/maps/transport": "file 0644", "etc/postfix-in/maps/transport.db": "file 0644", "etc/postfix-in/maps/unreferred": "",
		"etc/postfix-in/secret": "file 0600", "etc/postfix-in/secret.not": "file 0644", "etc/postfix-in/dynamicmaps.cf": "",
	} {
		if !strings.HasPrefix(tree[name], want) || want == "" && tree[name] != "" {
			t.Errorf("%s is %q, want %q", name, tree[name], want)
		}
	}
	main, _ := f.root.ReadFile("/etc/postfix-in/main.cf")
	want := "# kept\ninet_interfaces = 10.0.0.2\nmulti_instance_enable = yes\ntransport_maps = hash:$config_directory/maps/transport\n" +
		"smtp_tls_session_cache_database = btree:/var/lib/postfix/smtp\nqueue_directory = /var/spool/postfix-in\n" +
		"data_directory = /var/lib/postfix-in\nmulti_instance_name = postfix-in\n"
	if got := strings.Split(string(main), "\n"); len(got) != len(strings.Split(want, "\n")) {
		t.Errorf("main.cf is\n%s\nwant the lines of\n%s", main, want)
	}
	file, err := maincf.Parse(main)
	if err != nil {
		t.Fatal(err)
	}
	if _, set := file.Get("syslog_name"); set {
		t.Error("it logs under the name of its source")
	}
	if text := strings.Join(f.warned, "\n"); !strings.Contains(text, "smtp_tls_session_cache_database") {
		t.Errorf("it does not say that a cache is shared: %q", f.warned)
	}
}

func TestReferred(t *testing.T) {
	t.Parallel()
	got := referred([]string{
		"hash:$config_directory/a, regexp:${config_directory}/b/c", "$(config_directory)/d}", "$config_directory/../up", "$config_directory/./a",
		"$config_directory", "/etc/postfix/x", "static:{$config_directory/e}",
	})
	if diff := cmp.Diff([]string{"a", "b/c", "d", "e"}, got); diff != "" {
		t.Error(diff)
	}
}
