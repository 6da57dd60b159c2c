package setup

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strconv"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// Resolver looks a host name up: net.Resolver is one. It is asked once, with the context's deadline: a broken name
// service must not delay an installation seven times (#259097).
type Resolver interface {
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// ReadFacts looks at the host for the guesses behind the questions. hostname is what gethostname(2) says, "" in a tree that is not
// running: its /etc/hostname counts then, and what that does not say would be the builder's. Nothing here fails:
// what can't be found out is left empty, for config must also work before the package is unpacked, without /proc and without DNS.
func ReadFacts(ctx context.Context, root *sysroot.Root, hostname, version string, res Resolver) answers.Facts {
	f := answers.Facts{Chattr: releaseOf(version).chattr}
	domain := searchDomain
	if hostname == "" {
		hostname = rootsName(root)
		domain = func(*sysroot.Root) string { return "" } // resolv.conf is the builder's
	}
	f.FQDN = fqdn(ctx, root, hostname, res, domain)
	if _, domain, ok := strings.Cut(f.FQDN, "."); ok {
		f.Domain = domain
	}
	f.Computed = hostname
	// Postfix judges the name before it adds a domain: with a number for a name nothing runs (M02).
	if hostname != "" && !strings.Contains(hostname, ".") && answers.CheckHostname(hostname) == nil {
		f.Computed = hostname + ".localdomain" // postconf(5), mydomain
	}
	f.Mailname, _ = firstLine(root, paths.Mailname)
	f.HasMainCF, _ = root.Exists(paths.MainCF)
	f.Procmail, _ = root.Exists(paths.Procmail)
	f.Protocols = protocols(root)
	f.FirstUser = firstUser(root)
	return f
}

// fqdn is hostname(1)'s --fqdn: the canonical name of the host's own name, from /etc/hosts, else from DNS; a name without a
// domain gets the resolver's (resolv.conf(5): the last search or domain line counts). A trailing dot is dropped (#991950).
func fqdn(ctx context.Context, root *sysroot.Root, hostname string, res Resolver, domain func(*sysroot.Root) string) string {
	name := strings.TrimSuffix(strings.TrimSpace(hostname), ".")
	if name == "" {
		return ""
	}
	if canonical := inHosts(root, name); canonical != "" {
		name = canonical
	} else if res != nil && !strings.Contains(name, ".") {
		if c := canonicalName(ctx, res, name); c != "" {
			name = strings.TrimSuffix(c, ".")
		}
	}
	if !strings.Contains(name, ".") {
		if d := domain(root); d != "" {
			name += "." + d
		}
	}
	return strings.TrimSuffix(name, ".")
}

// canonicalName asks the name service, "" if it does not know or does not answer in time. Go's own resolver looks at the context only when it
// has read its files, of which one may be a named pipe.
func canonicalName(ctx context.Context, res Resolver, name string) string {
	done := make(chan string, 1)
	go func() {
		canonical := ""
		defer func() {
			_ = recover() // then it is not known
			done <- canonical
		}()
		if c, err := res.LookupCNAME(ctx, name); err == nil {
			canonical = c
		}
	}()
	select {
	case c := <-done:
		return c
	case <-ctx.Done():
		return ""
	}
}

// rootsName is what /etc/hostname says (hostname(5): comments and blank lines are skipped).
func rootsName(root *sysroot.Root) string {
	data, err := root.ReadFile(paths.Hostname)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return line
		}
	}
	return ""
}

// inHosts gives the canonical name of the first line of /etc/hosts that has name (hosts(5)).
func inHosts(root *sysroot.Root, name string) string {
	data, err := root.ReadFile(paths.Hosts)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for i := 1; i < len(fields); i++ {
			if strings.EqualFold(fields[i], name) {
				return fields[1]
			}
		}
	}
	return ""
}

func searchDomain(root *sysroot.Root) (domain string) {
	data, err := root.ReadFile(paths.ResolvConf)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) > 1 && (f[0] == "search" || f[0] == "domain") {
			domain = strings.Trim(f[1], ".")
		}
	}
	return domain
}

// protocols guesses inet_protocols from the kernel; without /proc nothing is known and Postfix's "all" is right (K01).
func protocols(root *sysroot.Root) string {
	v4, err4 := root.Exists(paths.ProcNetV4)
	v6, err6 := root.Exists(paths.ProcNetV6)
	switch {
	case err4 != nil || err6 != nil:
	case v4 && !v6:
		return "ipv4"
	case v6 && !v4:
		return "ipv6"
	}
	return "all"
}

// firstUser is the first human account: the lowest uid from 1000 up to 59999 (Debian policy 9.2.2). Postfix's own, which local(8)
// delivers nothing to, may have such a number from another host.
func firstUser(root *sysroot.Root) (user string) {
	data, err := root.ReadFile(paths.Passwd)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	owner := mailOwner
	if main, err := readMainCF(root); err == nil && main != nil {
		owner = value(main, "mail_owner", owner)
	}
	lowest := 60000
	for s := bufio.NewScanner(bytes.NewReader(data)); s.Scan(); {
		f := strings.Split(s.Text(), ":")
		if len(f) < 3 {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && uid >= 1000 && uid < lowest && f[0] != mailOwner && f[0] != owner {
			user, lowest = f[0], uid
		}
	}
	return user
}
