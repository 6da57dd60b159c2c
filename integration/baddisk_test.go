//go:build integration

package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"postfix-maint/integration/hosts"
)

// TestBadDisk lets each step go on a disk that fails: EIO at one call that changes a file, or from that call on no room for
// anything more. The step succeeds or names the cause; no file is half written; repeated on a sound disk it ends where an
// undisturbed one does.
func TestBadDisk(t *testing.T) {
	eachStep(t, func(ctx context.Context, t *testing.T, release string, s step) {
		for _, fault := range []string{"EIO", "ENOSPC"} {
			s.disturbAll(ctx, t, release, 8**killStep-7, silent, func(opt hosts.Options, n int, want aftermath) error {
				return s.spoil(ctx, opt, n, fault, want)
			})
		}
	})
}

// silent are calls whose failure nobody can know of: update-rc.d goes on and exits 0 when it could not make one of its links.
var silent = regexp.MustCompile(`^\d+ update-rc\.d `)

// cause is what a person must be able to read; the last two are useradd's and groupadd's.
var cause = regexp.MustCompile(`(?i)no space left on device|input/output error|failure while writing|cannot lock /etc/`)

// settings are the files of which somebody's work would be lost.
var settings = []string{
	"/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/postfix/dynamicmaps.cf", "/etc/aliases", "/etc/mailname",
}

// spoil lets call n fail, repeats the step, and compares.
func (s step) spoil(ctx context.Context, opt hosts.Options, n int, fault string, want aftermath) error {
	h, err := session.NewHost(ctx, "mail", opt)
	if err != nil {
		return err
	}
	defer h.Remove()
	if _, err := h.Sh(ctx, s.begin(n, fault)); err != nil {
		return err
	}
	before := readSettings(h)
	said, err := h.Sh(ctx, fmt.Sprintf("if %s; then echo '=== went well'; fi; rm -f /killat.script", s.do))
	if err != nil {
		return err
	}
	if !strings.Contains(said, "=== went well") && !cause.MatchString(said) {
		return fmt.Errorf("with %s nobody says why:\n%s", fault, numbers.ReplaceAllString(said, "N"))
	}
	after := readSettings(h)
	again, files := s.again, want.plain
	if strings.Contains(said, "WARNING") {
		again, files = again+"\n"+s.mend, want.mended
	}
	said, err = h.Sh(ctx, again+describe)
	if err != nil {
		return fmt.Errorf("after %s: %w", fault, err)
	}
	if err := compare(h, said, files); err != nil {
		return fmt.Errorf("after %s: %w", fault, err)
	}
	whole := readSettings(h)
	for _, name := range settings {
		if got := after[name]; got != nil && !bytes.Equal(got, before[name]) && !bytes.Equal(got, whole[name]) && !(before[name] == nil && local(got)) {
			return fmt.Errorf("%s at that time left %s neither old nor new:\n%s", fault, name, got)
		}
	}
	return nil
}

// local tells whether a main.cf is that of a new host whose relay could not be set up: mail for elsewhere waits on it.
func local(main []byte) bool {
	return bytes.Contains(main, []byte("\ndefault_transport = ${relayhost?{smtp}:{retry:")) && !bytes.Contains(main, []byte("relay.example.test"))
}

// readSettings gives the content of each file of settings that is there.
func readSettings(h *hosts.Host) map[string][]byte {
	found := map[string][]byte{}
	for _, name := range settings {
		if data, err := os.ReadFile(filepath.Join(h.Root(), name)); err == nil {
			found[name] = data
		}
	}
	return found
}
