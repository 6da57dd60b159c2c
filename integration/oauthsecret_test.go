//go:build integration

package integration

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/paths"
)

// traceRun goes before a command: every call of all its processes, with arguments, environments and all that is read and written.
const traceRun = "strace -ff -v -yy -s 65536 -e 'trace=!futex,nanosleep,clock_nanosleep,epoll_wait,epoll_pwait,poll,sched_yield,madvise,mmap,munmap,mprotect,rt_sigaction,rt_sigprocmask' -o /root/trace.$RANDOM$RANDOM "

// traceAll does it for all that runs on a host, systemd and Postfix first, and what these start.
const traceAll = `
pids=
for p in /proc/[0-9]*; do
  pid=${p#/proc/}
  [ $pid = $$ ] || [ $pid = $PPID ] || ! [ -s $p/cmdline ] && [ -z "$(tr -d '\0' 2>/dev/null < $p/cmdline)" ] || pids="$pids $pid"
done
` + traceRun + `-qqq $(printf ' -p %s' $pids) </dev/null >/dev/null 2>&1 & echo $! > /run/tracer
for p in 1 $(cat /var/spool/postfix/pid/master.pid); do
  for try in $(seq 200); do ! grep -q '^TracerPid:.*[1-9]' /proc/$p/status || break; sleep 0.05; done
  grep -q '^TracerPid:.*[1-9]' /proc/$p/status
done`

// traceNoMore ends that.
const traceNoMore = `kill -INT $(cat /run/tracer); while [ -e /proc/$(cat /run/tracer) ]; do sleep 0.05; done`

// tokenPlaces are the only files, pipes and so on that a refresh token or the secret of an application may be read from or written to, by what they
// are for. Under TLS both go to the provider, and so is an access token, which is nowhere else.
var tokenPlaces = map[string]*regexp.Regexp{
	"the secret as a person has stored it":     regexp.MustCompile(`^read\(\d+</root/secret>`),
	"the file of the login, or its draft":      regexp.MustCompile(`^p?(read|write)(64)?\(\d+<` + paths.OAuthDir + `/[^/>]+>`),
	"the credential that systemd hands over":   regexp.MustCompile(`^p?(read|write)(64)?\(\d+<(/run/credentials/postfix-oauth-relay@914\.service/account|/account|(/dev/shm)?/\.#(cred|account)[0-9a-f]+)>`),
	"the pipe to the process that logs in":     regexp.MustCompile(`^(read|write)\(\d+<pipe:\[\d+\]>, "\{(\\"Flow\\":|\\n  \\"format\\": 1,)`),
	"the new refresh token that is to be kept": regexp.MustCompile(`^p?(read|write)(64)?\(\d+<` + paths.OAuthState + `/914/[^/>]+>`),
}

// written are the ways in which a secret may be written: as it is, in an address, and in the middle of something that is written as base64.
func written(name, secret string) map[string]string {
	forms := map[string]string{name: secret, name + ", in an address": url.QueryEscape(secret)}
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		forms[fmt.Sprintf("%s, as base64 (%d)", name, shift)] = text[4 : len(text)-4] // the ends depend on what is beside it
	}
	return forms
}

const (
	refreshKind = "refresh token"
	secretKind  = "client secret"
)

// tokenForms are all secrets that the provider has given so far, and its application's.
func tokenForms(s providerState) map[string]string {
	forms := written(secretKind, clientSecret)
	for i, token := range s.Given {
		kind := refreshKind
		if slices.Contains(s.Access, token) {
			kind = "access token"
		}
		maps.Copy(forms, written(fmt.Sprintf("%s %d", kind, i), token))
	}
	return forms
}

// TestOAuthSecret searches for tokens and the application's secret: in every file of a host that logs in, sends, looks and takes the login back, and
// in every call of every process on it.
func TestOAuthSecret(t *testing.T) {
	eachRelease(t, 2, func(ctx context.Context, t *testing.T, release string) {
		l := newLogin(ctx, t, release, newNetwork(ctx, t), newIssuer(t))
		l.p.ask(ctx, t, "POST", "set?rotate=1", nil)
		l.traced = traceRun
		sh(ctx, t, l.client, traceAll)
		said := ""
		look := func(commands ...string) {
			for _, command := range commands {
				said += sh(ctx, t, l.client, l.traced+"postfix-maint "+command+" 2>&1 || true")
			}
		}
		const account = paths.OAuthDir + "/914.json"
		l.logIn(ctx, t, fmt.Sprintf("--client-id app --device-url https://provider.example.test:%d/device/code", loginBase+443), l.typeCode)
		l.delivered(ctx, t, "device")
		sh(ctx, t, l.client, "systemctl stop postfix-oauth-relay@914.service 2>&1")
		l.delivered(ctx, t, "refreshed") // with a refresh token in the place of another
		look("smarthost test you@dest.test", "smarthost show --json", "smarthost list", "doctor --json", "doctor --online", "status", "status --json", "history")
		l.came++
		searchDisk(ctx, t, l.client, tokenForms(l.p.state(ctx, t)), "/root/secret", account, paths.OAuthState+"/914/token.json")
		l.logIn(ctx, t, "--client-id daemon --client-secret-file /root/secret --flow client-credentials", nil)
		l.delivered(ctx, t, "client-credentials")
		look("smarthost test --json you@dest.test", "smarthost show", "doctor", "smarthost unset --dry-run", "smarthost unset")
		l.came++
		said += sh(ctx, t, l.client, "cat /root/shown /root/said; "+traceNoMore)
		forms := tokenForms(l.p.state(ctx, t))
		for form, text := range forms {
			if strings.Contains(said, text) {
				t.Errorf("a command shows the secret (%s)", form)
			}
		}
		found := map[string]bool{}
		searchTraces(t, l.client, forms, func(form, line string) bool {
			for what, place := range tokenPlaces {
				if !strings.HasPrefix(form, "access") && place.MatchString(line) {
					found[what] = true
					return true
				}
			}
			return false
		})
		if len(found) != len(tokenPlaces) || len(l.p.state(ctx, t).Access) < 4 {
			t.Errorf("secrets were seen in these places only: %v", found)
		}
		searchDisk(ctx, t, l.client, forms, "/root/secret")
		if !strings.Contains(said, "delivered to you@dest.test") {
			t.Errorf("it was said\n%s", said)
		}
	})
}
