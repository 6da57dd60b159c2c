package chroot

import (
	"maps"
	"strings"
	"testing"
)

// What keeps users from logging in is said, each with what to do.
func TestLoginProblems(t *testing.T) {
	good := map[string]string{
		"etc/postfix/main.cf": authMain, "etc/passwd": postfixes, smtpdConf: "pwcheck_method: saslauthd\nmech_list: plain login\n",
		multi + "sasl2/libplain.so": "x", multi + "sasl2/liblogin.so": "x", multi + "sasl2/libsasldb.so": "x",
		"usr/sbin/saslauthd": "x", "etc/default/saslauthd": "START=yes\n", "run/saslauthd/mux": "-> socket", "var/run": "-> ../run",
		"etc/group": "sasl:x:45:\n",
	}
	for name, c := range map[string]struct {
		over map[string]string
		want string // in a warning of the plan; "" wants none
	}{
		"all is there":             {},
		"the init script's switch": {over: map[string]string{"etc/default/saslauthd": "START=no\n"}, want: "put START=yes into /etc/default/saslauthd"},
		"a unit needs no switch":   {over: map[string]string{"etc/default/saslauthd": "START=no\n", "usr/lib/systemd/system/saslauthd.service": "[Unit]\n"}},
		"no saslauthd":             {over: map[string]string{"usr/sbin/saslauthd": ""}, want: "install the package sasl2-bin"},
		"a mechanism is missing":   {over: map[string]string{multi + "sasl2/liblogin.so": ""}, want: "mechanism LOGIN is not installed; install the package libsasl2-modules"},
		"all mechanisms are missing": {
			over: map[string]string{multi + "sasl2/libplain.so": "", smtpdConf: "pwcheck_method: saslauthd\n"}, want: "no mechanism is installed",
		},
		"no plugin for sasldb": {
			over: map[string]string{multi + "sasl2/libsasldb.so": "", "etc/sasldb2": "x", smtpdConf: "pwcheck_method: auxprop\n"},
			want: "install the package libsasl2-modules-db",
		},
		"no sasldb": {over: map[string]string{smtpdConf: "pwcheck_method: auxprop\n"}, want: "saslpasswd2(8)"},
		"a service outside of the chroot counts as well": {
			over: map[string]string{"etc/postfix/master.cf": "smtp inet n - n - - smtpd\nsmtp unix - - y - - smtp\n", "usr/sbin/saslauthd": ""},
			want: "install the package sasl2-bin",
		},
	} {
		t.Run(name, func(t *testing.T) {
			files := maps.Clone(good)
			maps.Copy(files, c.over)
			said := strings.Join(plan(t, host(t, files)).Warnings, "\n")
			if c.want == "" && said != "" || !strings.Contains(said, c.want) {
				t.Errorf("said %q, want %q", said, c.want)
			}
		})
	}
}

// A system where nobody takes the log says so (L03).
func TestNobodyTakesTheLog(t *testing.T) {
	const main = "compatibility_level = 3.6\nmyhostname = a.example\n"
	for name, c := range map[string]struct {
		over map[string]string
		want string
	}{
		"a syslog daemon":     {},
		"none":                {map[string]string{"dev/log": ""}, "nobody takes the log"},
		"Postfix's own":       {map[string]string{"dev/log": "", "etc/postfix/main.cf": main + "maillog_file = /dev/stdout\n", "etc/postfix/master.cf": chrooted + "postlog unix-dgram n - n - 1 postlogd\n"}, ""},
		"without its service": {map[string]string{"etc/postfix/main.cf": main + "maillog_file = /dev/stdout\n"}, "no service postlog"},
	} {
		t.Run(name, func(t *testing.T) {
			said := strings.Join(plan(t, host(t, c.over)).Warnings, "\n")
			if c.want == "" && said != "" || !strings.Contains(said, c.want) {
				t.Errorf("said %q, want %q", said, c.want)
			}
		})
	}
}
