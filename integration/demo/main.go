// Command demo shows the main job on two throw-away hosts: a satellite is preseeded and installed, and its first message
// goes out through a relay. "make demo" runs it as root, after the packages are built.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

const release = "bookworm"

func main() {
	file := flag.String("picture", "build/demo.svg", "leave a picture of it in this `FILE`")
	flag.Parse()
	start := time.Now()
	if err := demo(*file); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("\nDone in %d s; nothing of it is left but the cached base system.\n", int(time.Since(start).Seconds()))
}

func demo(file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	progress := func(format string, a ...any) { fmt.Printf("... "+format+"\n", a...) }
	s, err := hosts.Open(progress)
	if err != nil {
		return err
	}
	defer s.Close()
	satellite, relay, err := boot(ctx, s, progress)
	if err != nil {
		return err
	}
	var seen picture
	for _, step := range steps(satellite, relay) {
		out, err := show(ctx, step.title, step.host, step.run)
		if err != nil {
			return err
		}
		if step.typed != "" {
			seen.add(step.title, step.typed, out, step.from, step.most)
		}
	}
	if err := product.Await(ctx, relay, "the message in anna's mailbox", "grep -q 'Subject: first mail' /var/mail/anna"); err != nil {
		return err
	}
	const title, log = "The delivery in the relay's log", "grep -E 'smtpd|local' /var/log/mail.log | grep -v disconnect"
	out, err := show(ctx, title, relay, log)
	if err != nil {
		return err
	}
	_, line, _ := strings.Cut(out, "postfix/local")
	seen.add("A message from there, in the relay's log", "grep postfix/local /var/log/mail.log", "postfix/local"+line, "", 1)
	if err := seen.keep(file); err != nil {
		return err
	}
	fmt.Printf("\n... a picture of it is in %s\n", file)
	return nil
}

// step is one thing that the demo does.
type step struct {
	title string
	host  *hosts.Host
	run   string
	typed string // as a person does; "" is not in the picture
	from  string // a line of what is said begins so, which is the first one in the picture
	most  int    // lines of it there
}

// steps are all but the end of it.
func steps(satellite, relay *hosts.Host) []step {
	return []step{
		{"The relay: Debian's own package, an Internet Site that relays for the test network", relay,
			`useradd -m -s /bin/sh anna
			postconf -e myhostname=relay.example.test mydestination=relay.example.test,example.test 'mynetworks = 127.0.0.0/8 10.0.0.0/8'
			systemctl restart postfix; systemctl is-active postfix@-`, "", "", 0},
		{"The satellite is preseeded", satellite, `debconf-set-selections <<'ANSWERS'
postfix postfix/main_mailer_type select Satellite system
postfix postfix/mailname string satellite.example.test
postfix postfix/relayhost string [relay.example.test]
postfix postfix/root_address string anna@example.test
ANSWERS
			debconf-get-selections | grep '^postfix'`, "debconf-set-selections answers; debconf-get-selections | grep ^postfix", "", 4},
		{"apt-get install postfix postfix-maint: what the set-up says, main.cf as a diff", satellite,
			"apt-get install -y --no-install-recommends postfix-maint postfix 2>&1 | sed -n '/^accounts/,$p'", "apt-get install postfix postfix-maint", "main.cf: ", 24},
		{"The answers in debconf's database", satellite, "debconf-show postfix", "", "", 0},
		{"systemctl status 'postfix*'", satellite, "systemctl status --no-pager 'postfix*' || true", "", "", 0},
		{"The mail system on one screen", satellite, "postfix-maint status", "postfix-maint status", "", 14},
		{"What is wrong with it", satellite, "postfix-maint doctor || true", "postfix-maint doctor", "", 8},
		{"The chroot, and the root directory of a chrooted daemon", satellite,
			`cd /var/spool/postfix; find etc usr -maxdepth 3 | sort | head -20; find etc usr -type f | wc -l | sed 's/$/ files in all/'
			echo "pickup runs in $(readlink /proc/$(pgrep -x pickup)/root)"`, "", "", 0},
		{"A message from the satellite", satellite, "printf 'Subject: first mail\\n\\nhello\\n' | sendmail anna@example.test", "", "", 0},
	}
}

// boot brings up both hosts on a network of their own.
func boot(ctx context.Context, s *hosts.Session, progress func(string, ...any)) (satellite, relay *hosts.Host, err error) {
	lan, err := s.NewNetwork(ctx)
	if err != nil {
		return nil, nil, err
	}
	progress("preparing the base system (built once, then cached)")
	fresh, err := product.Options(ctx, s, release, product.Ours)
	if err != nil {
		return nil, nil, err
	}
	progress("preparing the relay's system")
	stock, err := product.Installed(ctx, s, release, product.Debian)
	if err != nil {
		return nil, nil, err
	}
	up := func(name string, opt hosts.Options) (*hosts.Host, error) {
		opt.Network = lan
		h, err := s.NewHost(ctx, name, opt)
		if err != nil {
			return nil, err
		}
		progress("booting %s", name)
		return h, h.Boot(ctx)
	}
	if relay, err = up("relay", stock); err != nil {
		return nil, nil, err
	}
	satellite, err = up("satellite", fresh)
	return satellite, relay, err
}

// show runs a script in a host under a heading.
func show(ctx context.Context, title string, h *hosts.Host, script string) (string, error) {
	fmt.Printf("\n=== %s\n", title)
	out, err := h.Sh(ctx, script)
	if err != nil {
		return "", err
	}
	if out = strings.TrimRight(out, "\n"); out != "" {
		fmt.Println(out)
	}
	return out, nil
}
