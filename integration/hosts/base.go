package hosts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sid is what becomes Debian 14. Its base tree is built when a test first asks for it.
const Sid = "sid"

// Releases are the releases of Debian on which all tests run.
func Releases() []string { return []string{"bookworm", "trixie"} }

// packages of the base trees: systemd and what a mail server stands beside, every package that Postfix depends on (so that
// installing it needs no network), and the tools of the tests. The key is a release, or "" for all.
var packages = map[string]string{
	"": `systemd-sysv dbus iproute2 procps apt-utils ca-certificates rsyslog ssl-cert netbase adduser cpio e2fsprogs procmail
		libsasl2-modules libsasl2-2 libnsl2 liblmdb0 python3-minimal lsb-release debconf-utils perl openssl
		strace tmux whiptail libterm-readline-gnu-perl dnsmasq-base netcat-openbsd expect`,
	"bookworm": "libicu72 libdb5.3",
	"trixie":   "libicu76 libdb5.3t64 libtlsrpt0",
	Sid:        "libicu78 libdb5.3t64 libtlsrpt0 libcdb1 libnsl3",
}

// without are packages of the list for all that a release's Postfix does not depend on: it must do without them.
var without = map[string]string{Sid: "adduser"}

// options are mmdebstrap's for a release; what they say to apt stays in the tree.
var options = map[string][]string{
	Sid: {`--aptopt=Acquire::Check-Valid-Until "false"`}, // a mirror that lags behind only makes the tree older
}

// TreeOptions are mmdebstrap's for a tree of a release that is not one of ours.
func TreeOptions(release string) []string { return slices.Clone(options[release]) }

// Base gives the tree of a release, building it first where the cache does not hold it for exactly this list of packages.
func (s *Session) Base(ctx context.Context, release string) (string, error) {
	list := slices.DeleteFunc(strings.Fields(packages[""]+" "+packages[release]), func(p string) bool {
		return slices.Contains(strings.Fields(without[release]), p)
	})
	recipe := append([]string{"--variant=minbase", "--include=" + strings.Join(list, ",")}, options[release]...)
	recipe = append(recipe, release)
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(recipe, " "))))[:12]
	return s.cached("base-"+release, key, func(dir string) error {
		s.logf("building the base tree of %s (once, about half a minute)", release)
		cmd := exec.CommandContext(ctx, "mmdebstrap", append(recipe, dir)...)
		cmd.Env = cleanEnv()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build the base tree of %s: %w: %s", release, err, tail(out))
		}
		return nil
	})
}

// Stock gives a folder with Debian's own Postfix packages of a release and a Packages index.
func (s *Session) Stock(ctx context.Context, release string) (string, error) {
	return s.Archive(ctx, release, "stock", "apt-get download -q postfix postfix-pcre postfix-lmdb")
}

// Packages gives a folder with more packages of a release, each with all that it needs beyond the base tree, and a Packages index:
// an apt source for the scenarios that need them. A name is the list's place in the cache.
func (s *Session) Packages(ctx context.Context, release, name string, packages ...string) (string, error) {
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(packages, " "))))[:8] // another list is another folder
	script := ""
	for _, p := range packages { // one by one: some exclude each other
		script += "apt-get install -q -y --no-install-recommends --download-only " + p + "\n"
	}
	return s.Archive(ctx, release, name+"-"+key, script+"mv /var/cache/apt/archives/*.deb .")
}

// Archive gives a folder with what a shell script took from Debian's archive: it runs as root in a throw-away tree of the release, over
// the machine's network, with the release's package lists at hand; the files in its working directory are kept, and a Packages index is
// added. It is run once a day, since a stable update of Debian must reach the tests; without a network the last folder serves on.
func (s *Session) Archive(ctx context.Context, release, name, script string) (string, error) {
	kind := name + "-" + release
	dir, err := s.cached(kind, time.Now().UTC().Format("20060102"), func(dir string) error {
		return s.fetch(ctx, release, name, script, dir)
	})
	if err == nil {
		return dir, nil
	}
	if old, _ := filepath.Glob(filepath.Join(s.cache, kind+"-????????")); len(old) > 0 {
		s.logf("%v; going on with %s", err, filepath.Base(old[len(old)-1]))
		return old[len(old)-1], nil
	}
	return "", err
}

func (s *Session) fetch(ctx context.Context, release, name, script, dir string) error {
	s.logf("fetching %s of %s from Debian's archive (once a day)", name, release)
	h, err := s.NewHost(ctx, "fetch-"+release, Options{Release: release})
	if err != nil {
		return err
	}
	defer h.Remove()
	cmd := exec.CommandContext(ctx, "chroot", h.Root(), "sh", "-ec", "apt-get update -q; mkdir /fetched; cd /fetched\n"+script)
	cmd.Env = cleanEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot fetch %s of %s: %w: %s", name, release, err, tail(out))
	}
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(h.Root(), "fetched"))); err != nil {
		return fmt.Errorf("cannot fetch %s of %s: %w", name, release, err)
	}
	return index(ctx, dir)
}

// index writes the Packages file that makes a folder an apt source.
func index(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "dpkg-scanpackages", "-m", ".", "/dev/null")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("cannot index %q: %w", dir, err)
	}
	return os.WriteFile(filepath.Join(dir, "Packages"), out, 0o644)
}

// cached gives the directory KIND-KEY of the cache, made by build where it is missing. It appears under its name only when it is
// whole; others that want it wait; older keys of the kind are removed when nobody uses them.
func (s *Session) cached(kind, key string, build func(dir string) error) (string, error) {
	name := filepath.Join(s.cache, kind+"-"+key)
	lock, err := takeLock(filepath.Join(s.cache, kind+".lock"), unix.LOCK_EX)
	if err != nil {
		return "", fmt.Errorf("cannot lock %s: %w", kind, err)
	}
	defer lock.Close()
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	part := name + ".part"
	if err := os.RemoveAll(part); err != nil {
		return "", err
	}
	if err := build(part); err != nil {
		return "", err
	}
	if err := os.Rename(part, name); err != nil {
		return "", err
	}
	return name, s.dropOld(kind, name)
}

// dropOld removes the trees that keep was built to replace, unless another session runs that may have mounted them.
func (s *Session) dropOld(kind, keep string) error {
	sessions, err := filepath.Glob(filepath.Join(s.cache, "run", "pm*"))
	if err != nil || len(sessions) > 1 {
		return err
	}
	old, err := filepath.Glob(filepath.Join(s.cache, kind+"-*"))
	if err != nil {
		return err
	}
	for _, dir := range old {
		if dir == keep {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("cannot remove the old %q: %w", dir, err)
		}
	}
	return nil
}
