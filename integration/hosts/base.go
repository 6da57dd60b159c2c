package hosts

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Releases are the releases of Debian that the tests boot.
func Releases() []string { return []string{"bookworm", "trixie"} }

// packages of the base trees: systemd and what a mail server stands beside, every package that Postfix depends on (so that
// installing it needs no network), and the tools of the tests. The key is a release, or "" for all.
var packages = map[string]string{
	"": `systemd-sysv dbus iproute2 procps apt-utils ca-certificates rsyslog ssl-cert netbase adduser cpio e2fsprogs procmail
		libsasl2-modules libsasl2-2 libnsl2 liblmdb0 python3-minimal lsb-release debconf-utils perl openssl
		strace tmux whiptail libterm-readline-gnu-perl dnsmasq-base netcat-openbsd expect`,
	"bookworm": "libicu72 libdb5.3",
	"trixie":   "libicu76 libdb5.3t64 libtlsrpt0",
}

// Base gives the tree of a release, building it first where the cache does not hold it for exactly this list of packages.
func (s *Session) Base(ctx context.Context, release string) (string, error) {
	list := strings.Fields(packages[""] + " " + packages[release])
	recipe := append([]string{"--variant=minbase", "--include=" + strings.Join(list, ",")}, release)
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

// Stock gives a folder with Debian's own Postfix packages of a release and a Packages index. It is fetched once a day, since a
// stable update of Debian must reach the comparison; without a network the last one serves on.
func (s *Session) Stock(ctx context.Context, release string) (string, error) {
	kind := "stock-" + release
	dir, err := s.cached(kind, time.Now().UTC().Format("20060102"), func(dir string) error {
		return s.fetch(ctx, release, dir)
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

// fetch downloads Debian's Postfix packages inside a tree of the release, over the machine's network.
func (s *Session) fetch(ctx context.Context, release, dir string) error {
	s.logf("fetching Debian's Postfix of %s (once a day)", release)
	debs, err := s.download(ctx, release, dir, "cd /tmp && apt-get download -q postfix postfix-pcre postfix-lmdb")
	if err == nil && debs != 3 {
		err = fmt.Errorf("cannot fetch Debian's Postfix: %d packages came", debs)
	}
	return err
}

// Packages gives a folder with more packages of a release, each with all that it needs beyond the base tree, and a Packages index:
// an apt source for the scenarios that need them. It is fetched once for each list; a name is the list's place in the cache.
func (s *Session) Packages(ctx context.Context, release, name string, packages ...string) (string, error) {
	key := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(packages, " "))))[:12]
	return s.cached(name+"-"+release, key, func(dir string) error {
		s.logf("fetching %s of %s (once)", name, release)
		script := ""
		for _, p := range packages { // one by one: some exclude each other
			script += "apt-get install -q -y --no-install-recommends --download-only " + p + "\n"
		}
		_, err := s.download(ctx, release, dir, script+"mv /var/cache/apt/archives/*.deb /tmp")
		return err
	})
}

// download runs a script in a tree of the release, over the machine's network, makes an apt source in dir of the packages that
// it leaves in /tmp, and counts them.
func (s *Session) download(ctx context.Context, release, dir, script string) (int, error) {
	h, err := s.NewHost(ctx, "fetch-"+release, Options{Release: release})
	if err != nil {
		return 0, err
	}
	defer h.Remove()
	cmd := exec.CommandContext(ctx, "chroot", h.Root(), "sh", "-ec", "apt-get update -q\n"+script)
	cmd.Env = cleanEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("cannot fetch packages of %s: %w: %s", release, err, tail(out))
	}
	debs, err := filepath.Glob(filepath.Join(h.Root(), "tmp", "*.deb"))
	if err != nil {
		return 0, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return 0, err
	}
	for _, deb := range debs {
		data, err := os.ReadFile(deb)
		if err != nil {
			return 0, err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(deb)), data, 0o644); err != nil {
			return 0, err
		}
	}
	return len(debs), index(ctx, dir)
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
