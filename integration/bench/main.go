// Command bench (test helper, outside the rings) measures Debian's layer and ours on twin hosts in one run and prints the
// ratios. "make bench" runs it as root, after the packages are built; arguments choose the releases and the parts.
package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

func main() {
	if err := bench(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// side is one layer's host, and how its programs are called there.
type side struct {
	*hosts.Host
	refresh   string // chroot refresh with nothing to do
	generator string // "" where the layer has none
	byName    bool   // the refresh takes an instance's name
}

// parts are what is measured, in this order on one pair of hosts.
var parts = []struct {
	name string
	do   func(ctx context.Context, debian, ours side) error
}{{"reconfigure", reconfigure}, {"upgrade", upgrade}, {"refresh", refresh}, {"chroots", chroots}, {"generate", generate}, {"instances", instances}}

// bench measures what is chosen by name, releases and parts; none named is all.
func bench(chosen []string) error {
	names := []string{"fresh"}
	for _, p := range parts {
		names = append(names, p.name)
	}
	releases, chosen := choose(hosts.Releases(), chosen)
	names, chosen = choose(names, chosen)
	if len(chosen) > 0 {
		return fmt.Errorf("there is no release and no part %q", chosen)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	s, err := hosts.Open(func(format string, a ...any) { fmt.Printf("... "+format+"\n", a...) })
	if err != nil {
		return err
	}
	defer s.Close()
	for _, release := range releases {
		fmt.Printf("... preparing two hosts of %s\n", release)
		debian, ours, err := pair(ctx, s, release)
		if err != nil {
			return err
		}
		fmt.Printf("\n%-46s %12s %12s %8s   %s\n", release, "Debian", "ours", "ratio", "asked for")
		if slices.Contains(names, "fresh") {
			if err := fresh(ctx, s, release); err != nil {
				return err
			}
		}
		for _, p := range parts {
			if !slices.Contains(names, p.name) {
				continue
			}
			if err := p.do(ctx, debian, ours); err != nil {
				return err
			}
		}
		fmt.Println()
		for _, h := range []side{debian, ours} {
			if err := h.Remove(); err != nil {
				return err
			}
		}
	}
	return nil
}

// choose gives those of all that are chosen, or all if none is, and what else was chosen.
func choose(all, chosen []string) (some, others []string) {
	for _, name := range chosen {
		if slices.Contains(all, name) {
			some = append(some, name)
		} else {
			others = append(others, name)
		}
	}
	if len(some) == 0 {
		some = all
	}
	return some, others
}

// ourTools are the programs that replace the scripts of both releases.
const ourTools = "/usr/libexec/postfix-maint/"

// pair boots a host with each layer; their disks are as slow as real ones.
func pair(ctx context.Context, s *hosts.Session, release string) (debian, ours side, err error) {
	up := func(l product.Layer) (*hosts.Host, error) {
		opt, err := product.Upgradable(ctx, s, release, l)
		if err != nil {
			return nil, err
		}
		opt.Durable = true
		h, err := s.NewHost(ctx, string(l), opt)
		if err != nil {
			return nil, err
		}
		if err := h.Boot(ctx); err != nil {
			return nil, err
		}
		return h, product.Await(ctx, h, "a greeting", "timeout 5 bash -c 'read -r line < /dev/tcp/127.0.0.1/25'")
	}
	if debian.Host, err = up(product.Debian); err != nil {
		return debian, ours, err
	}
	if ours.Host, err = up(product.Ours); err != nil {
		return debian, ours, err
	}
	ours.refresh, ours.generator = ourTools+"configure-instance -", ourTools+"postfix-instance-generator"
	debian.refresh, debian.generator = "/usr/lib/postfix/configure-instance.sh -", "/lib/systemd/system-generators/postfix-instance-generator"
	debian.byName = release == "bookworm"
	if !debian.byName { // there Postfix calls the script with its parameters exported, and a generator is no more
		debian.refresh = "env MAIL_CONFIG=/etc/postfix config_directory=/etc/postfix command_directory=/usr/sbin" +
			" daemon_directory=/usr/lib/postfix/sbin queue_directory=/var/spool/postfix mail_owner=postfix" +
			" /usr/lib/postfix/configure-instance.sh"
		debian.generator = ""
	}
	return debian, ours, nil
}

// inTurn times two commands, one run of each in turn, so that what else the machine does meets both; it gives the medians.
func inTurn(ctx context.Context, n int, a *hosts.Host, commandA string, b *hosts.Host, commandB string) ([2]time.Duration, error) {
	var all [2][]time.Duration
	for range n {
		for i, h := range []*hosts.Host{a, b} {
			times, err := measure.Time(ctx, h, 1, []string{commandA, commandB}[i])
			if err != nil {
				return [2]time.Duration{}, err
			}
			all[i] = append(all[i], times...)
		}
	}
	return [2]time.Duration{measure.Median(all[0]), measure.Median(all[1])}, nil
}

// refresh measures the refresh of a chroot in which nothing is stale.
func refresh(ctx context.Context, debian, ours side) error {
	var execs, bytes [2]int
	for i, h := range []side{debian, ours} {
		args := []string{"sh", "-c", "exec " + h.refresh} // the shell becomes the program: no exec of its own is counted
		if _, err := h.Run(ctx, args...); err != nil {
			return err
		}
		programs, err := measure.Execs(ctx, h.Host, args...)
		if err != nil {
			return err
		}
		execs[i] = len(programs) - 1
		if _, bytes[i], err = measure.Writes(ctx, h.Host, args...); err != nil {
			return err
		}
	}
	times, err := inTurn(ctx, 21, debian.Host, debian.refresh, ours.Host, ours.refresh)
	if err != nil {
		return err
	}
	postconf, err := inTurn(ctx, 21, ours.Host, "postconf", ours.Host, ours.refresh)
	if err != nil {
		return err
	}
	fmt.Println("chroot refresh, nothing to do")
	span("  wall time, median of 21", times[0], times[1], "")
	span("  beside one postconf run (left column)", postconf[0], postconf[1], "at most 2.00")
	count("  programs executed, itself included", execs[0], execs[1], "at most 2")
	count("  bytes written", bytes[0], bytes[1], "0")
	return nil
}

// addInstances makes 20 instances as files, quicker than postmulti.
const addInstances = `dirs=
for i in $(seq 20); do
	mkdir /etc/postfix-m$i
	printf 'multi_instance_name = m%s\nmulti_instance_enable = yes\nqueue_directory = /var/spool/postfix-m%s\ndata_directory = /var/lib/postfix-m%s\n' \
		$i $i $i > /etc/postfix-m$i/main.cf
	cp /etc/postfix/master.cf /etc/postfix-m$i/
	dirs="$dirs /etc/postfix-m$i"
done
postconf -e multi_instance_enable=yes "multi_instance_directories=$dirs"
`

// generate measures the generator of units with one instance and with 21.
func generate(ctx context.Context, debian, ours side) error {
	fmt.Println("generator of instance units")
	for _, n := range []int{1, 21} {
		if n > 1 {
			for _, h := range []side{debian, ours} {
				if _, err := h.Sh(ctx, addInstances); err != nil {
					return err
				}
			}
		}
		run := func(s side) string {
			return "{ rm -rf /run/gen; mkdir /run/gen; }; " + s.generator + " /run/gen /run/gen /run/gen"
		}
		empty := "{ rm -rf /run/gen; mkdir /run/gen; }; true"
		asked := map[int]string{1: "", 21: "ours at most 5 ms"}[n]
		label := fmt.Sprintf("  with %d, median of 21", n)
		if debian.generator == "" {
			times, err := inTurn(ctx, 21, ours.Host, empty, ours.Host, run(ours))
			if err != nil {
				return err
			}
			fmt.Printf("%-46s %12s %12s %8s   %s\n", label, "-", millis(times[1]-times[0]), "", asked)
			continue
		}
		base, err := inTurn(ctx, 21, debian.Host, empty, ours.Host, empty)
		if err != nil {
			return err
		}
		times, err := inTurn(ctx, 21, debian.Host, run(debian), ours.Host, run(ours))
		if err != nil {
			return err
		}
		span(label, times[0]-base[0], times[1]-base[1], asked)
	}
	return nil
}

func count(label string, debian, ours int, asked string) {
	fmt.Printf("%-46s %12d %12d %8s   %s\n", label, debian, ours, ratio(float64(debian), float64(ours)), asked)
}

func span(label string, debian, ours time.Duration, asked string) {
	fmt.Printf("%-46s %12s %12s %8s   %s\n", label, millis(debian), millis(ours), ratio(float64(debian), float64(ours)), asked)
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}

func ratio(debian, ours float64) string {
	if debian == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", ours/debian)
}
