//go:build integration

// Package integration runs scenarios on booted Debian hosts, with the packages that "make debs" built. It needs root.
package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/product"
)

var (
	session *hosts.Session
	results tally
)

// nightly adds what takes long and changes seldom: what shows the failures of Debian's layer is played with that layer as well, whose packages
// change with a point release and not with ours; what fleets use runs on each release.
var nightly = flag.Bool("nightly", false, "TestFailures, TestPreseedFiles: with Debian's layer as well; TestFleet...: on each release")

// sid runs every scenario that runs on each release on what becomes Debian 14 as well, which changes by the day and not with us.
var sid = flag.Bool("sid", false, "scenarios that run on each release: on sid as well")

// releases are those on which each scenario runs.
func releases() []string {
	if *sid {
		return append(hosts.Releases(), hosts.Sid)
	}
	return hosts.Releases()
}

// layers are those with which a test is played that shows what Debian's layer does, and ours does not.
func layers() []product.Layer {
	if *nightly {
		return []product.Layer{product.Debian, product.Ours}
	}
	return []product.Layer{product.Ours}
}

// tally counts the scenarios for the closing line.
type tally struct {
	mu             sync.Mutex
	passed, failed int
}

func (r *tally) add(name string, failed bool, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	word := "ok    "
	if failed {
		word = "FAILED"
		r.failed++
	} else {
		r.passed++
	}
	fmt.Printf("  %s %-40s %5.1f s\n", word, name, took.Seconds())
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

// run opens the session, runs the scenarios and says how many passed and failed.
func run(m *testing.M) int {
	start := time.Now()
	var err error
	session, err = hosts.Open(func(format string, a ...any) { fmt.Printf("  "+format+"\n", a...) })
	if err != nil {
		fmt.Println(err)
		return 1
	}
	// The test binary's own timeout ends the process without a word to us: be earlier.
	if limit := flag.Lookup("test.timeout").Value.(flag.Getter).Get().(time.Duration); limit > time.Minute {
		time.AfterFunc(limit-20*time.Second, func() {
			fmt.Printf("%d passed, %d failed, the rest did not end within %v\n", results.passed, results.failed, limit)
			_ = session.Close()
			os.Exit(1)
		})
	}
	code := m.Run()
	if err := session.Close(); err != nil {
		fmt.Println(err)
		code = 1
	}
	fmt.Printf("%d passed, %d failed, %.0f s\n", results.passed, results.failed, time.Since(start).Seconds())
	return code
}

// scenario marks a test as one line of the result: it runs beside others as soon as n hosts may run.
func scenario(t *testing.T, n int) context.Context {
	t.Helper()
	t.Parallel()
	release, err := session.Reserve(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute) // without the wait for a place
	t.Cleanup(cancel)
	start := time.Now()
	t.Cleanup(func() {
		release()
		results.add(t.Name(), t.Failed(), time.Since(start))
	})
	return ctx
}

// newHost lays a host that is removed when the test ends.
func newHost(ctx context.Context, t *testing.T, name string, opt hosts.Options) *hosts.Host {
	t.Helper()
	h, err := session.NewHost(ctx, name, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Remove(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// boot lays and boots a host that is removed when the test ends.
func boot(ctx context.Context, t *testing.T, name string, opt hosts.Options) *hosts.Host {
	t.Helper()
	h := newHost(ctx, t, name, opt)
	if err := h.Boot(ctx); err != nil {
		t.Fatal(err)
	}
	return h
}

// newNetwork makes a network that is removed when the test ends, after its hosts.
func newNetwork(ctx context.Context, t *testing.T) *hosts.Network {
	t.Helper()
	n, err := session.NewNetwork(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Remove(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// source gives the options of a host with a layer's packages as its apt source.
func source(ctx context.Context, t *testing.T, release string, l product.Layer) hosts.Options {
	t.Helper()
	opt, err := product.Options(ctx, session, release, l)
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// installed gives the options of a host on which a layer's packages are installed with plain answers, shut down again.
func installed(ctx context.Context, t *testing.T, release string, l product.Layer) hosts.Options {
	t.Helper()
	opt, err := product.Installed(ctx, session, release, l)
	if err != nil {
		t.Fatal(err)
	}
	return opt
}

// sh runs a script that must succeed and gives what it said.
func sh(ctx context.Context, t *testing.T, h *hosts.Host, script string) string {
	t.Helper()
	out, err := h.Sh(ctx, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// tableWords tell the type of this release's tables, and how the name of their index ends.
const tableWords = "type=$(postconf -h default_database_type); suffix=$type; [ $type != hash ] || suffix=db\n"

// indexName is how the name of a table's index ends on a host.
func indexName(ctx context.Context, t *testing.T, h *hosts.Host) string {
	t.Helper()
	return strings.TrimSpace(sh(ctx, t, h, tableWords+"echo $suffix"))
}

// await waits for a condition in a host.
func await(ctx context.Context, t *testing.T, h *hosts.Host, meaning, condition string) {
	t.Helper()
	if err := product.Await(ctx, h, meaning, condition); err != nil {
		t.Fatal(err)
	}
}

// eachRelease runs a scenario on n hosts for every release of Debian, beside all other scenarios: a test that is not parallel itself
// keeps the next one waiting until its last release is through.
func eachRelease(t *testing.T, n int, do func(ctx context.Context, t *testing.T, release string)) {
	onReleases(t, releases(), n, do)
}

// sidToo is eachRelease for the few scenarios that run on sid every time: what a day's change there breaks first.
func sidToo(t *testing.T, n int, do func(ctx context.Context, t *testing.T, release string)) {
	onReleases(t, append(hosts.Releases(), hosts.Sid), n, do)
}

// onReleases is that for a list of releases.
func onReleases(t *testing.T, list []string, n int, do func(ctx context.Context, t *testing.T, release string)) {
	t.Parallel()
	for _, release := range list {
		t.Run(release, func(t *testing.T) { do(scenario(t, n), t, release) })
	}
}

// existing keeps the directories that the host has.
func existing(h *hosts.Host, dirs []string) []string {
	var there []string
	for _, dir := range dirs {
		if _, err := os.Stat(h.Root() + dir); err == nil {
			there = append(there, dir)
		}
	}
	return there
}
