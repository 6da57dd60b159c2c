// Command bench (test helper, outside the rings) measures Debian's layer and ours on twin hosts in one run and prints the
// ratios. "make bench" runs it as root, after the packages are built; arguments choose the releases and the parts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

func main() {
	flag.IntVar(&runs, "runs", runs, "how often each operation is timed")
	only := flag.Bool("show", false, "measure nothing: write the table and the picture of the figures that are kept")
	flag.Parse()
	if *only {
		runs = 0
	}
	if err := bench(flag.Args()); err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// side is one layer's host, and how its programs are called there.
type side struct {
	*hosts.Host
	refresh   string // chroot refresh with nothing to do
	generator string // "" where the layer has none
	report    *report
	release   string
	byName    bool // the refresh takes an instance's name
}

// parts are what is measured, in this order on one pair of hosts.
var parts = []struct {
	name string
	do   func(ctx context.Context, debian, ours side) error
}{
	{"reconfigure", reconfigure}, {"upgrade", upgrade}, {"smarthost", smarthost}, {"create", create}, {"restart", restart},
	{"refresh", refresh}, {"chroots", chroots}, {"generate", generate}, {"scale", scale}, {"running", running},
}

// bench measures what is chosen by name, releases and parts; none named is all. What other runs have found of other parts stays.
func bench(chosen []string) error {
	all := []string{"fresh"}
	for _, p := range parts {
		all = append(all, p.name)
	}
	all = append(all, relayPart)
	releases, chosen := choose(hosts.Releases(), chosen)
	names, chosen := choose(all, chosen)
	if len(chosen) > 0 {
		return fmt.Errorf("there is no release and no part %q", chosen)
	}
	r := &report{}
	err := r.measure(releases, names)
	const dir = "build/bench"
	err = errors.Join(err, r.merge(dir+"/"+figuresFile, hosts.Releases(), all))
	for _, line := range r.misses() {
		fmt.Println("missed:", line)
	}
	fmt.Printf("... keeping all figures in %s: bench.md, bench.svg\n", dir)
	return errors.Join(err, r.write(dir))
}

// measure does so; with no runs nothing is done.
func (r *report) measure(releases, names []string) error {
	if runs == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	s, err := hosts.Open(func(format string, a ...any) { fmt.Printf("... "+format+"\n", a...) })
	if err != nil {
		return err
	}
	defer s.Close()
	for _, release := range releases {
		if err := benchRelease(ctx, s, r, release, names); err != nil {
			return err
		}
	}
	return nil
}

// benchRelease measures the chosen parts: most on a pair of hosts, one on hosts of its own.
func benchRelease(ctx context.Context, s *hosts.Session, r *report, release string, names []string) error {
	if !slices.Equal(names, []string{relayPart}) {
		if err := benchPair(ctx, s, r, release, names); err != nil {
			return err
		}
	}
	if !slices.Contains(names, relayPart) {
		return nil
	}
	r.begin(release, relayPart)
	if err := relayed(ctx, s, r, release); err != nil {
		return r.broken(err)
	}
	return nil
}

// benchPair measures parts on a pair of hosts.
func benchPair(ctx context.Context, s *hosts.Session, r *report, release string, names []string) error {
	fmt.Printf("... preparing two hosts of %s\n", release)
	debian, ours, err := pair(ctx, s, release)
	if err != nil {
		return err
	}
	debian.report, ours.report, ours.release = r, r, release
	if slices.Contains(names, "fresh") {
		r.begin(release, "fresh")
		if err := fresh(ctx, s, r, release); err != nil {
			return r.broken(err)
		}
	}
	for _, p := range parts {
		if !slices.Contains(names, p.name) {
			continue
		}
		start := time.Now()
		r.begin(release, p.name)
		if err := p.do(ctx, debian, ours); err != nil {
			return r.broken(err)
		}
		fmt.Printf("... took %.0f s\n", time.Since(start).Seconds())
	}
	for _, h := range []side{debian, ours} {
		if err := h.Remove(); err != nil {
			return err
		}
	}
	return nil
}

// broken drops the figures of a part that did not end.
func (r *report) broken(err error) error {
	r.rows = slices.DeleteFunc(r.rows, func(l row) bool { return l.Release == r.release && l.Part == r.part })
	return fmt.Errorf("cannot measure %s of %s: %w", r.part, r.release, err)
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
	debian.byName = release == "bookworm"
	if debian.byName { // later Postfix calls the script with its parameters exported, and a generator is no more
		debian.generator = "/lib/systemd/system-generators/postfix-instance-generator"
	}
	debian.refresh = debian.refreshOne()
	return debian, ours, nil
}

// inTurn times two commands, one run of each in turn, so that what else the machine does meets both; it gives the medians. What comes before
// each run is not timed.
func inTurn(ctx context.Context, n int, before string, a *hosts.Host, commandA string, b *hosts.Host, commandB string) ([2]time.Duration, error) {
	var all [2][]time.Duration
	for range n {
		for i, h := range []*hosts.Host{a, b} {
			if _, err := h.Sh(ctx, before); err != nil {
				return [2]time.Duration{}, err
			}
			times, err := measure.Time(ctx, h, 1, []string{commandA, commandB}[i])
			if err != nil {
				return [2]time.Duration{}, err
			}
			all[i] = append(all[i], times...)
		}
	}
	return [2]time.Duration{measure.Median(all[0]), measure.Median(all[1])}, nil
}
