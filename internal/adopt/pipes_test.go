package adopt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A script that opens a named pipe waits for whoever writes into it, and dpkg for the script.
func TestScriptsWaitForNoPipe(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]string{
		"etc/postfix/main.cf":                    "postfix.postrm purge",
		"etc/postfix-out/main.cf":                "postfix.postrm purge",
		"etc/postfix/sasl_passwd":                "postfix-maint.postrm purge",
		"etc/postfix/sender_passwd":              "postfix-maint.postrm purge",
		"var/lib/postfix-maint/installing":       "postfix.preinst install",
		"etc/postfix/main.cf.proto":              "postfix.preinst upgrade 3.7.11-1 3.10.13-1",
		"var/lib/postfix-maint/unpacked":         "postfix.preinst upgrade 3.7.11-1 3.10.13-1",
		"etc/postfix/dynamicmaps.cf delmap pcre": "postfix.functions remove",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at, then, _ := strings.Cut(name, " ")
			h := newHost(t, map[string]string{"etc/postfix/x": "", "etc/postfix-out/x": "", "etc/postfix/master.cf": "", "usr/share/postfix/main.cf.dist": "x"})
			if strings.HasSuffix(at, "_passwd") {
				must(t, os.WriteFile(filepath.Join(h.root, "etc/postfix/main.cf"), nil, 0o644))
			}
			must(t, os.MkdirAll(filepath.Dir(filepath.Join(h.root, at)), 0o755))
			must(t, syscall.Mkfifo(filepath.Join(h.root, at), 0o600))
			script, args, _ := strings.Cut(call, " ")
			abs, err := filepath.Abs(filepath.Join(project, "debian", script))
			must(t, err)
			line := "exec timeout 60 sh " + abs + " " + args
			if then != "" {
				line = "exec timeout 60 sh -c '. " + abs + "; " + then + "' sh " + args
			}
			out, err := h.sh(t, "-c", line)
			if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 124 {
				t.Errorf("%s waits for ever", call)
			} else if err != nil {
				t.Errorf("%s: %v\n%s", call, err, out)
			}
		})
	}
}
