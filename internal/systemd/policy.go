package systemd

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Paths of systemd and of Debian's service policy, the same on every release.
const (
	bootedDir    = "/run/systemd/system" // there while systemd runs the system
	policyHelper = "/usr/sbin/policy-rc.d"
	shell        = "/bin/sh"
	dshProgram   = "/usr/bin/deb-systemd-helper"
	dshEnabled   = "/var/lib/systemd/deb-systemd-helper-enabled"
	dshMasked    = "/var/lib/systemd/deb-systemd-helper-masked"
	adminUnits   = "/etc/systemd/system"
	devNull      = "/dev/null"
)

// unitDirs are the places where deb-systemd-helper looks for a unit file, in its order.
func unitDirs() []string {
	return []string{adminUnits, "/lib/systemd/system", "/usr/lib/systemd/system"}
}

// Runner runs a program and gives its standard output.
type Runner interface {
	Output(ctx context.Context, name string, args ...string) ([]byte, error)
}

// policyScript prints the exit status after what the policy program says: every status has a meaning there, so none of
// them is a failure of ours. No option is passed on: many an administrator's policy-rc.d looks at $1 alone.
const policyScript = `"$0" "$@"; printf '\n%d\n' "$?"`

// policyLimit is what a program of the administrator may take for two answers.
const policyLimit = time.Minute

// Allowed tells whether the local policy lets us do an action with a service. Nothing is allowed for a system tree that
// is not the running one (DPKG_ROOT). The program is asked for the name of the init script and for that of the unit, as
// invoke-rc.d(8) and deb-systemd-invoke(1) would ask, and either may forbid it. What it offers instead of a forbidden action
// (status 106) is not done, as with "invoke-rc.d --no-fallback". The statuses are those of the policy layer's
// specification, /usr/share/doc/init-system-helpers/README.policy-rc.d.gz.
func Allowed(ctx context.Context, r Runner, root, service, action string) (bool, error) {
	if root != "" && root != "/" {
		return false, nil
	}
	if fi, err := os.Stat(policyHelper); err != nil || fi.Mode()&0o111 == 0 {
		return true, nil
	}
	return allowed(ctx, r, policyHelper, service, action)
}

func allowed(ctx context.Context, r Runner, helper, service, action string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, policyLimit)
	defer cancel()
	script := strings.TrimSuffix(service, ".service")
	for _, name := range []string{script + ".service", script} {
		out, err := r.Output(ctx, shell, "-c", policyScript, helper, name, action)
		if err != nil {
			return false, fmt.Errorf("cannot ask the policy for %s of %q: %w", action, service, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		status, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			return false, fmt.Errorf("cannot ask the policy for %s of %q: %w", action, service, err)
		}
		switch status {
		case 0, 104: // allowed
		case 1, 105: // undefined: invoke-rc.d(8) takes it for allowed
		case 100: // not known by this name
		case 101, 106: // forbidden; forbidden with another action offered
			return false, nil
		default: // 102 trouble in the policy itself, 103 it did not understand us, and what has no meaning
			return false, fmt.Errorf("cannot tell whether %s of %q is allowed: %q has exit status %d", action, service, helper, status)
		}
	}
	return true, nil
}
