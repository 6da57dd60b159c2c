//go:build integration

package integration

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"unicode/utf8"

	"postfix-maint/integration/hosts"
)

// describe prints what stands in files that no two runs make the same, for described.
const describe = `
echo "=== databases"
for type in hash:db cdb:cdb; do
	if [ -e /etc/aliases.${type#*:} ]; then postalias -s ${type%:*}:/etc/aliases 2>/dev/null | grep -v ^YP_LAST_MODIFIED | sort; fi
	if [ -e /etc/postfix/sasl_passwd.${type#*:} ]; then postmap -s ${type%:*}:/etc/postfix/sasl_passwd; fi
done
echo "=== debconf"; debconf-show postfix | sort; grep -c geheim /var/cache/debconf/passwords.dat || true
echo "=== tree"; find /etc/postfix /var/spool/postfix /var/lib/postfix-maint /var/lib/postfix /etc/rc?.d -name '*postfix*' -o -path '*postfix*' | grep -Ev '/postfix-maint/(unpacked|history)' | sort
`

// sameFiles compares what a host has after it was disturbed with one that was not.
func sameFiles(want, got map[string]string) error {
	if names := differing(want, got); len(names) > 0 {
		text := ""
		for _, name := range names {
			text += "\n  " + numbers.ReplaceAllString(name, "N") + onlyIn("undisturbed", want[name], got[name]) + onlyIn("disturbed", got[name], want[name])
		}
		return fmt.Errorf("these files differ:%s", text)
	}
	return nil
}

// numbers are those of temporary files: the same fault with another number is the same fault.
var numbers = regexp.MustCompile(`\d{5,}`)

// onlyIn lists the lines that one description of a file has and the other has not.
func onlyIn(side, one, other string) string {
	text, n := "", 0
	for line := range strings.Lines(one) {
		if !strings.Contains("\n"+other, "\n"+line) {
			if n++; n > 6 {
				return text + "\n    ..."
			}
			text += fmt.Sprintf("\n    %s: %s", side, strings.TrimSpace(line))
		}
	}
	return text
}

// volatile are files that tell of the runs themselves: dpkg's and debconf's books' former versions, logs, our own, what preinst notes of
// each unpacking; and what useradd, groupadd and deb-systemd-helper leave when they are killed, which their next run takes over. The
// tables' indexes and debconf's database are compared by what stands in them.
var volatile = regexp.MustCompile(`^/(var/lib/dpkg|var/lib/dpkg/(status|status-old|lock|lock-frontend|triggers|triggers/(Lock|Unincorp)|updates|statoverride-(old|new))|` +
	`var/cache|var/cache/debconf|var/cache/debconf/(templates\.dat|.*-old|.*-new|passwords\.dat|config\.dat)|var/lib/systemd/deb-systemd-helper-enabled/\.state.*|var/log|var/log/.*|killat\..*|var/lib/postfix-maint/(unpacked|chroot/.*|history(/.*)?)|etc/\.pwd\.lock|tmp|root|run|run/.*|` +
	`etc/(passwd|group)([-+]|\.lock|\.\d+)|etc/g?shadow.*|etc/aliases\.c?db|etc/postfix/sasl_passwd\.c?db)$`)

// changed describes every file of a host that differs from the layers below: kind, mode, owner, content.
func changed(ctx context.Context, h *hosts.Host) (map[string]string, error) {
	said, err := h.Sh(ctx, describe)
	if err != nil {
		return nil, err
	}
	return described(h, said)
}

// described is changed where describe was run already, and said this.
func described(h *hosts.Host, said string) (map[string]string, error) {
	_, databases, _ := strings.Cut(said, "=== databases\n")
	aliases, rest, _ := strings.Cut(databases, "=== debconf\n")
	questions, tree, _ := strings.Cut(rest, "=== tree\n")
	top, files := h.Changes(), map[string]string{
		"what the tables hold": aliases, "what debconf's database says": questions, "what lies in Postfix's directories": tree,
	}
	err := filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		name := strings.TrimPrefix(p, top)
		if err != nil || name == "" || volatile.MatchString(name) {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%v %d:%d", info.Mode(), stat.Uid, stat.Gid)
		if strings.HasPrefix(name, "/var/lib/systemd/deb-systemd-helper-enabled/") && info.Mode().IsRegular() {
			text = "" // its owner goes on where a mode can't be set
		}
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			if len(data) < 1<<17 && utf8.Valid(data) {
				text += "\n" + string(data)
			} else {
				text += fmt.Sprintf(" %x\n", sha256.Sum256(data))
			}
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			text += " -> " + target + "\n"
		}
		files[name] = text
		return nil
	})
	return files, err
}
