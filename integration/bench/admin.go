package main

import (
	"context"
	"fmt"
	"time"

	"postfix-maint/integration/measure"
)

// smarthost measures a relay with a login: ours by its command, Debian's by the steps that the description gives for it.
func smarthost(ctx context.Context, debian, ours side) error {
	const settings = "relayhost smtp_sasl_auth_enable smtp_sasl_password_maps smtp_sasl_security_options smtp_tls_security_level"
	byHand := work{
		before: "postconf -X " + settings + "; rm -f /etc/postfix/sasl_passwd*; systemctl reload postfix",
		do: `sh -c 'umask 077; echo "[relay.example.test]:587 me:secret" > /etc/postfix/sasl_passwd; postmap hash:/etc/postfix/sasl_passwd
			postconf -e "relayhost=[relay.example.test]:587" smtp_sasl_auth_enable=yes smtp_sasl_password_maps=hash:/etc/postfix/sasl_passwd \
				smtp_sasl_security_options=noanonymous smtp_tls_security_level=verify; systemctl reload postfix; postconf -h relayhost'`,
	}
	byCommand := work{
		before: "postfix-maint smarthost unset >/dev/null; (umask 077; echo secret > /root/password)",
		do:     "postfix-maint smarthost set --relay [relay.example.test]:587 --user me --password-file /root/password",
	}
	return compare(ctx, "smarthost set, with a login (Debian: the description's steps by hand)", debian, ours,
		[2]work{byHand, byCommand}, asked{wall: most(500, "ms"), programs: most(8, "")})
}

// create measures a further instance, from nothing to its unit being active.
func create(ctx context.Context, debian, ours side) error {
	unit := map[bool]string{true: "postfix@postfix-bench", false: "postfix@bench"}[debian.byName] // as the release's own units name it
	upstream := work{
		before: `set +e; systemctl disable --now ` + unit + ` 2>/dev/null; postmulti -i postfix-bench -e disable 2>/dev/null
			postmulti -i postfix-bench -e destroy 2>/dev/null
			rm -rf /etc/postfix-bench /var/spool/postfix-bench /var/lib/postfix-bench; systemctl daemon-reload`,
		do: `sh -c 'postmulti -e init; postmulti -I postfix-bench -e create
			postmulti -i postfix-bench -p set-permissions 2>/dev/null; postmulti -i postfix-bench -e enable
			systemctl daemon-reload; systemctl enable --now ` + unit + `'`,
	}
	byCommand := work{
		before: "postfix-maint instance remove bench 2>/dev/null || true",
		do:     "postfix-maint instance create bench",
	}
	if err := compare(ctx, "instance create (Debian: postmulti, set-permissions, systemctl)", debian, ours,
		[2]work{upstream, byCommand}, asked{wall: share(0.1), programs: most(12, "")}); err != nil {
		return err
	}
	for i, h := range []side{debian, ours} {
		if _, err := h.Sh(ctx, []string{upstream.before, byCommand.before}[i]+"; true"); err != nil {
			return err
		}
	}
	return nil
}

// restart measures a restart of the primary instance alone: the time until systemctl(1) is back, and all that systemd executes for it.
func restart(ctx context.Context, debian, ours side) error {
	command := [2]string{"systemctl restart postfix", "systemctl restart postfix@-"}
	if debian.byName {
		command[0] = command[1]
	}
	var times [2][]time.Duration
	for range runs {
		for i, h := range []side{debian, ours} {
			if err := mayStart(ctx, h); err != nil {
				return err
			}
			once, err := measure.Time(ctx, h.Host, 1, command[i])
			if err != nil {
				return err
			}
			times[i] = append(times[i], once...)
		}
	}
	var programs [2]int
	for i, h := range []side{debian, ours} {
		if err := mayStart(ctx, h); err != nil {
			return err
		}
		all, err := measure.Started(ctx, h.Host, func() error {
			_, err := h.Sh(ctx, command[i])
			return err
		})
		if err != nil {
			return err
		}
		programs[i] = len(all)
	}
	ours.report.title("restart of the primary instance")
	ours.report.span(fmt.Sprintf("wall time, median of %d", runs), measure.Median(times[0]), measure.Median(times[1]), share(1))
	ours.report.count("programs executed, those of all units that follow included", programs[0], programs[1], share(1))
	return nil
}

// mayStart has systemd forget how often it has started the units: Debian's have the limit of five starts in ten seconds, and what comes next
// is refused (systemd.unit(5), StartLimitBurst=).
func mayStart(ctx context.Context, s side) error {
	_, err := s.Sh(ctx, "systemctl reset-failed 'postfix*'")
	return err
}
