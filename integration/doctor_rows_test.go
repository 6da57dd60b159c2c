//go:build integration

package integration

import (
	"context"
	"strings"
	"testing"

	"postfix-maint/integration/product"
)

// doctorWords are what the breaks are written in. A setting is put into main.cf with an old date, so that nothing has to be reloaded.
const doctorWords = tableWords + `
cd /etc/postfix; m=/etc/postfix/main.cf; s=/etc/postfix/master.cf; count=0
doctor() { postfix-maint doctor --json > /root/said 2> /root/errs; rc=$?; count=$((count + 1)); }
healthy() {
  out=$(postfix-maint doctor 2>&1); rc=$?
  case "$rc $out" in "0 healthy: nothing found by "*) [ $(echo "$out" | wc -l) = 1 ] && return ;; esac
  echo "$1: $rc: $out"
}
at() { grep -nE "^$1( |=)" $m | tail -n 1 | cut -d: -f1; }
lines() { wc -l < $1; }
# broken ID FILE LINE: what doctor says now and nothing else; "-" for no file or line
broken() {
  doctor
  [ $rc = 1 ] && [ $(grep -c '"id":' /root/said) = 1 ] && grep -q "\"id\": \"$1\"" /root/said || { echo "$1: $rc"; cat /root/said /root/errs; return; }
  case $2 in -) grep '"file":' /root/said ;; *) grep -q "\"file\": \"$2\"" /root/said || { echo "$1: not in $2"; grep '"file":' /root/said; } ;; esac
  case $3 in -) grep '"line":' /root/said ;; *) grep -q "\"line\": $3,\?$" /root/said || { echo "$1: not line $3"; grep '"line":' /root/said; } ;; esac
}
put() { if [ -n "$(at "$1")" ]; then sed -i "s|^$1 *=.*|$1 = $2|" $m; else echo "$1 = $2" >> $m; fi; old; }
old() { touch -d '1 day ago' $m; }
back() { cp -a /root/main.cf $m; cp -a /root/master.cf $s; }
# with ID [NAME VALUE]...: found at the line of the last one
with() { id=$1; shift; while [ $# -gt 0 ]; do put "$1" "$2"; last=$1; shift 2; done; broken $id $m $(at $last); back; }
hup() { q=$(pgrep -x qmgr); kill -HUP $(cat /var/spool/postfix/pid/master.pid); for n in $(seq 600); do n=$(pgrep -x qmgr) && [ "$n" != "$q" ] && return; sleep 0.1; done; echo "no reload"; }
# service ID LINES: found at the first of them, when they are in force
service() { line=$(($(lines $s) + 1)); printf '%s\n' "$2" >> $s; hup; broken $1 $s $line; back; hup; }
`

// doctorSettings are wrong settings of main.cf and master.cf.
const doctorSettings = `
with relayhost-malformed relayhost '[mail.example.test'
with relayhost-malformed relayhost 'mail.example.test:99999'
with relay-is-self relayhost '[127.0.0.1]'
with relay-unused relayhost '[r.example.test]' default_transport 'error:local only'
with protocols-empty inet_protocols ''
with limits-contradict mailbox_size_limit 1000
put mailbox_size_limit 51200000; with limits-contradict message_size_limit 100000000 mailbox_size_limit 51200000
with domain-twice virtual_alias_domains localhost
with bounces-kept soft_bounce yes
with origin-missing myorigin /etc/none
with program-missing mailbox_command '/usr/bin/none -a'
mv /var/mail /root/mail; put mailbox_command ''; broken spool-missing /var/mail -; mv /root/mail /var/mail; back
with service-missing default_transport none:
with service-missing content_filter 'scan:[127.0.0.1]:10025'
sed -i '/^proxymap /d' $s; put virtual_alias_maps proxy:inline:{a=b}; broken service-missing $m $(at virtual_alias_maps); back
sed -i '/^bounce /d' $s; broken service-missing $s -; back
echo 'qmgr unix n - n 300 1 qmgr' >> $s; broken service-twice $s $(lines $s); back
echo 'other unix - - n - - smtp -v' >> $s; broken service-verbose $s $(lines $s); back
with open-relay mynetworks '127.0.0.0/8 0.0.0.0/0'
with open-relay mynetworks '127.0.0.0/8 [::]/0'
with relay-unprotected smtpd_relay_restrictions ''
with relay-unprotected smtpd_relay_restrictions 'permit_mynetworks, permit'
with restriction-unknown smtpd_client_restrictions permit_mynetwork
with restriction-unknown smtpd_helo_restrictions 'reject_unknown_helo, permit'
with networks-malformed mynetworks '127.0.0.0/8 192.168.1.1/24'
with networks-malformed mynetworks '127.0.0.0/8 10.0.0.0/33'
with tls-level-unknown smtp_tls_security_level always
with tls-level-unknown smtpd_tls_security_level mustbe
put smtpd_tls_cert_file ''; with tls-without-certificate smtpd_tls_key_file '' smtpd_tls_security_level encrypt
put smtp_tls_CApath ''; postfix-maint chroot sync > /root/errs; with anchors-missing smtp_tls_CAfile '' smtp_tls_security_level verify; postfix-maint chroot sync > /root/errs
with dane-without-dnssec smtp_tls_security_level dane
with passwords-missing smtp_sasl_auth_enable yes
with postfix-refuses mail_owner nobodyhere
with postfix-refuses setgid_group nogroupthere
with postfix-refuses soft_bounce maybe
put queue_minfree 9000000000000000; broken disk-full /var/spool/postfix -; back
with instance-unusable multi_instance_enable yes multi_instance_wrapper '${command_directory}/postmulti -p --' multi_instance_directories /etc/postfix-none
echo x y > pw; chmod 600 pw
with relay-login-without-tls relayhost '[r.example.test]' smtp_sasl_password_maps texthash:/etc/postfix/pw smtp_sasl_security_options noanonymous smtp_sasl_auth_enable yes
l=/var/lib/postfix-maint/smarthost; mkdir -p $l
echo '{"options":{"relay":"[127.0.0.1]:914","user":"u@r.example.test","oauth":{"port":914,"relay":"[r.example.test]:587","flow":"device"},"rewrite":{}}}' > $l/postfix@-.json
with relay-login smtp_sasl_password_maps texthash:/etc/postfix/pw smtp_sasl_auth_enable yes relayhost '[127.0.0.1]:914'
rm $l/postfix@-.json
`

// doctorTables are wrong tables and lines.
const doctorTables = `
sed -i '1i\  lonely = text' $m; old; broken line-ignored $m 1; back
sed -i '1i\  lonely text' $s; broken line-ignored $s 1; back
t=/etc/postfix/table
table() { printf "$3" > $t; put $1 $type:$t; postmap $type:$t 2> /root/errs; broken line-ignored $t $2; back; rm -f $t $t.$suffix; }
table virtual_alias_maps 3 'a b\n\nkey\nc d\n'
table virtual_alias_maps 1 '  lonely\na b\n'
table transport_maps 2 'a smtp:\nA local:\n'
printf '/x/ y\n/no end\n' > $t; put virtual_alias_maps regexp:$t; broken line-ignored $t 2; back; rm $t
cp -a /etc/aliases /etc/aliases.$suffix /root/
alias() { printf "$3" >> /etc/aliases; newaliases 2> /root/errs; broken $1 /etc/aliases $(($(lines /root/aliases) + $2)); cp -a /root/aliases /root/aliases.$suffix /etc/; }
alias line-ignored 2 'one: root\nwithout a colon\n'
alias line-ignored 1 'postmaster: other\n'
alias alias-loop 1 'one: two, root\ntwo: three\nthree: one\n'
echo 'r user:pw' > pw; chmod 600 pw; postmap $type:pw; chmod 644 pw; with secret-readable smtp_sasl_password_maps $type:/etc/postfix/pw; rm pw pw.$suffix
put virtual_alias_maps $type:/etc/postfix/none; broken table-missing $m $(at virtual_alias_maps); back
mv /usr/sbin/postconf /usr/sbin/postconf.real
printf '#!/bin/sh\ncase $1 in -m) postconf.real -m | grep -v -x -e hash -e btree; echo lmdb ;; *) exec postconf.real "$@" ;; esac\n' > /usr/sbin/postconf; chmod 755 /usr/sbin/postconf
sed -i '/^smtp_tls_session_cache/d;/^alias_database/d' $m; put alias_maps hash:/etc/aliases; broken type-given-up $m $(at alias_maps); back
mv /usr/sbin/postconf.real /usr/sbin/postconf
`

// doctorTrust are certificates, logins and services.
const doctorTrust = `
cert() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$1 -addext subjectAltName=DNS:$1 -days $2 -keyout $3.key -out $3.pem 2> /root/errs; chmod 600 $3.key; }
cd /etc/postfix; cert mx.example.test 100 one; cert mx.example.test 5 soon; cert ca.example.test 100 ca
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=imap.elsewhere.example -addext subjectAltName=DNS:imap.elsewhere.example -keyout other.key 2> /root/errs |
  openssl x509 -req -CA ca.pem -CAkey ca.key -CAcreateserial -days 100 -copy_extensions copy -out other.pem 2> /root/errs; chmod 600 other.key
tls() { put smtpd_tls_key_file /etc/postfix/$3; with $1 smtpd_tls_cert_file /etc/postfix/$2; }
tls key-mismatch one.pem soon.key
echo garbage > text.pem; tls certificate-unusable text.pem one.key
tls certificate-name other.pem other.key
put smtpd_tls_key_file /etc/postfix/soon.key; put smtpd_tls_cert_file /etc/postfix/soon.pem; broken certificate-ends /etc/postfix/soon.pem -; back
chmod 644 one.key; put smtpd_tls_cert_file /etc/postfix/one.pem; with secret-readable smtpd_tls_key_file /etc/postfix/one.key; rm *.pem *.key *.srl
with file-missing smtpd_tls_key_file /etc/postfix/none.key
ip addr add 198.51.100.7/32 dev lo; broken certificate-snakeoil $m $(at smtpd_tls_cert_file); ip addr del 198.51.100.7/32 dev lo
service tls-at-wrong-port 'submissions inet n - y - - smtpd -o smtpd_sasl_auth_enable=no -o smtpd_tls_req_ccert=yes'
service tls-at-wrong-port '587 inet n - y - - smtpd
  -o smtpd_tls_wrappermode=yes -o smtpd_tls_req_ccert=yes'
service submission-without-login 'submission inet n - y - - smtpd'
service service-login-without-tls '0.0.0.0:2526 inet n - n - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_sasl_type=dovecot -o smtpd_sasl_path=inet:127.0.0.1:25'
service open-relay '0.0.0.0:2526 inet n - n - - smtpd -o mynetworks=0.0.0.0/0'
for d in /usr/lib/*/sasl2; do mv $d $d.away; done; echo x y > pw; chmod 600 pw
put smtp_sasl_password_maps texthash:/etc/postfix/pw; put smtp_sasl_security_options noanonymous; put relayhost '[r.example.test]'; put smtp_tls_security_level encrypt
with mechanisms-missing smtp_sasl_auth_enable yes
for d in /usr/lib/*/sasl2.away; do mv $d ${d%.away}; done; rm pw
`

// doctorHost is what is wrong outside of the configuration.
const doctorHost = `
chmod g-s /usr/sbin/postdrop; broken setgid-lost /usr/sbin/postdrop -; chmod g+s /usr/sbin/postdrop
chgrp root /var/spool/postfix/maildrop; broken queue-group /var/spool/postfix/maildrop -; chgrp postdrop /var/spool/postfix/maildrop
chmod 0711 /var/spool/postfix/maildrop; broken queue-group /var/spool/postfix/maildrop -; chmod 1730 /var/spool/postfix/maildrop
mkdir -p /etc/systemd/system/postfix.service.d /etc/systemd/system/postfix@gone.service.d
d=/etc/systemd/system/postfix.service.d/own.conf; printf '[Service]\nLimitNOFILE=9999\n' > $d; broken drop-in-unreached $d -; rm $d
d=/etc/systemd/system/postfix@gone.service.d/own.conf; printf '[Service]\nLimitNOFILE=9999\n' > $d; broken drop-in-unreached $d -; rm $d
rmdir /etc/systemd/system/postfix.service.d /etc/systemd/system/postfix@gone.service.d
: > /var/lib/postfix-maint/transaction.json; broken work-interrupted /var/lib/postfix-maint/transaction.json -; rm /var/lib/postfix-maint/transaction.json
chmod 666 $m; broken writable-by-others $m -; back
: > /etc/default/postfix.ucf-dist; broken conffile-question /etc/default/postfix.ucf-dist -; rm /etc/default/postfix.ucf-dist
echo '127.0.0.1:2627 inet n - y - - smtpd' >> $s; broken not-listening $s $(lines $s)
nc -l 127.0.0.1 2627 < /dev/null > /dev/null & sleep 0.3; broken port-taken $s $(lines $s); kill $!; back
systemctl mask --runtime postfix@-.service 2> /root/errs; broken unit-masked - -; systemctl unmask --runtime postfix@-.service 2> /root/errs
# what a user's own program says in Postfix's unit is no word of Postfix's; what a daemon ends with is
useradd -m forger; echo '"|/usr/bin/python3 /home/forger/say"' > ~forger/.forward
echo 'import syslog, time; syslog.openlog("postfix/smtpd", 0, syslog.LOG_MAIL); syslog.syslog(syslog.LOG_CRIT, "fatal: forged"); time.sleep(1)' > ~forger/say
chown forger ~forger/.forward
echo x | sendmail forger; for n in $(seq 600); do journalctl -q -p crit _SYSTEMD_UNIT=postfix@-.service | grep -q 'fatal: forged' && break; sleep 0.1; done
journalctl -q -p crit _SYSTEMD_UNIT=postfix@-.service | grep -c 'fatal: forged'; healthy "a forged line"
echo '127.0.0.1:2627 inet n - n - - smtpd -o smtpd_timeout=nonsense' >> $s; hup; echo QUIT | nc -w 5 127.0.0.1 2627
for n in $(seq 600); do journalctl -q -p crit _SYSTEMD_UNIT=postfix@-.service | grep -q 'smtpd_timeout' && break; sleep 0.1; done
broken daemon-ended - -; grep -q 'put right the setting' /root/said || cat /root/said; back; hup; healthy "reloaded"
# a message that came five hours ago, and one that is on hold for a week
age() { q=/var/spool/postfix/$(cd /var/spool/postfix; find $1 -type f | head -n 1); touch -r $q /root/time; now=$(head -c 200 $q | grep -aoE '1[0-9]{9}' | head -n 1)
  LC_ALL=C sed -i "1,2s/$now/$((now - $2 * 3600))/" $q; chown postfix:postfix $q; chmod 700 $q; }
put relayhost '[127.0.0.1]:1'; old; hup; echo x | sendmail -f root a@elsewhere.example
for n in $(seq 600); do [ -n "$(find /var/spool/postfix/deferred /var/spool/postfix/defer -type f | sed 1d)" ] && break; sleep 0.1; done
healthy "one deferred message"; age deferred 5; broken mail-deferred /var/spool/postfix -; grep -q 'nobody listens' /root/said || cat /root/said
postsuper -d ALL 2> /root/errs; back; hup; postfix -c /etc/postfix flush; echo x | sendmail -f root root; sleep 0.5; postsuper -h ALL 2> /root/errs
postconf -e 'defer_transports=local'; old; hup; echo x | sendmail root; for n in $(seq 600); do [ -n "$(find /var/spool/postfix/deferred -type f)" ] && break; sleep 0.1; done
postsuper -h ALL 2> /root/errs; age hold 200; broken mail-old /var/spool/postfix -; postsuper -d ALL 2> /root/errs; back; hup
healthy "in the end"
`

// TestDoctorRows does all that: each is found, at its place, and nothing else; in the end the host is healthy.
func TestDoctorRows(t *testing.T) {
	eachRelease(t, 1, func(ctx context.Context, t *testing.T, release string) {
		h := boot(ctx, t, "installed-"+release+"-ours", installed(ctx, t, release, product.Ours))
		begin := `systemctl is-active postfix; touch -d '1 day ago' /etc/postfix/main.cf; systemctl reload postfix; cp -a /etc/postfix/main.cf /etc/postfix/master.cf /root/; healthy fresh`
		all := strings.Join([]string{doctorWords, begin, doctorSettings, doctorTables, doctorTrust, doctorHost, "echo $count"}, "\n")
		out, err := h.Run(ctx, "bash", "-uc", all)
		if want := "active\n1\n78\n"; err != nil || out != want {
			t.Errorf("%v: %s", err, out)
		}
	})
}
