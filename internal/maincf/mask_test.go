package maincf_test

import (
	"bytes"
	"strings"
	"testing"

	"postfix-maint/internal/maincf"
)

// Each text holds the word geheim where a secret stands, and "offen" where none does.
func TestMask(t *testing.T) {
	const master = "smtp unix - - n - - smtp\n"
	cases := map[string]struct{ text, beside string }{
		"a static table":                        {text: "smtp_sasl_password_maps = static:u:geheim\n"},
		"behind another table":                  {text: "smtp_sasl_password_maps = hash:/offen, static:u:geheim\nother = offen\n"},
		"over several lines":                    {text: "smtp_sasl_password_maps =\n  hash:/offen,\n  static:u:geheim\n  and geheim\nother = offen\n"},
		"the sign on the next line":             {text: "smtp_sasl_password_maps\n = static:u:geheim\n"},
		"CR LF":                                 {text: "smtp_sasl_password_maps = static:u:geheim\r\nother = offen\r\n"},
		"no line end":                           {text: "smtp_sasl_password_maps = static:u:geheim"},
		"by proxymap":                           {text: "smtp_sasl_password_maps = proxy:static:u:geheim\n"},
		"an inline table":                       {text: "lmtp_sasl_password_maps = inline:{ {[offen.example]:587 = u:geheim} { b = u:geheim } }\n"[:27] + "inline:{ {b = u:geheim} }\n"},
		"an inline table over several lines":    {text: "smtp_sasl_password_maps = inline:{\n  {a = u:geheim}\n  {b = u:geheim} }\nother = offen\n"},
		"a random one":                          {text: "smtp_sasl_password_maps = randmap:{u:geheim,v:geheim}\n"},
		"several in one":                        {text: "smtp_sasl_password_maps = pipemap:{hash:/x,static:u:geheim}\n"},
		"commented out":                         {text: "# smtp_sasl_password_maps = static:u:geheim\n#other = offen\n"},
		"commented out over several lines":      {text: "#smtp_sasl_password_maps =\n#   hash:/offen,\n#   inline:{ a = u:geheim }\n"},
		"a former one in the middle":            {text: "smtp_sasl_password_maps =\n# static:u:geheim\n  #static:v:geheim\n static:u:geheim\n# offen\n"},
		"a comment's prose":                     {text: "# the password is geheim\n# relay account offen@example.com:geheim\n# passwd: geheim\n# offen: see sasl_passwd, offen\n"},
		"ldap in main.cf":                       {text: "ldapsource_bind_pw = geheim and geheim\nldapsource_bind_dn = offen\n"},
		"mysql in main.cf":                      {text: "mysqlsource_password = geheim\nmysqlsource_user = offen\n"},
		"a table's own file":                    {text: "hosts = offen\nuser = offen\npassword = geheim\n#password = geheim\nbind_pw=geheim\n"},
		"a connection's URL":                    {text: "hosts = postgresql://offen:geheim@offen/db, offen\n"},
		"a connection's settings":               {text: "conn = host=offen password=geheim\n"},
		"a parameter of one's own":              {text: "relay_pw = geheim\nsmtp_sasl_password_maps = static:u:$relay_pw\n"},
		"one whose name says nothing":           {text: "zebra = geheim\nsmtp_sasl_password_maps = static:u:$zebra\nzebra2 = offen\n"},
		"in braces":                             {text: "zebra = geheim\nsmtp_sasl_password_maps = static:u:${zebra}\n"},
		"one after another":                     {text: "a = $b\nb = ${c}\nc = geheim\nd = offen\nsmtp_sasl_password_maps = static:u:$(a)\n"},
		"a parameter that holds the table":      {text: "zebra = hash:/offen static:u:geheim\nsmtp_sasl_password_maps = $zebra\n"},
		"a choice":                              {text: "zebra = geheim\nsmtp_sasl_password_maps = ${x?{static:u:$zebra}:{static:u:geheim}}\n"},
		"a password that only refers":           {text: "x_bind_pw = $zebra\nzebra = geheim\n"},
		"directories and hosts are no secrets":  {text: "dir = /offen\nrelayhost = offen\nsmtp_sasl_password_maps = hash:$dir/offen, inline:{ $relayhost = u:geheim }\n"},
		"a table that nobody calls by its name": {text: "zebra = static:u:geheim\n"},
		"a transport is no account":             {text: "transport_maps = static:smtp:[offen]:25\nsmtp_tls_policy_maps = static:secure:offen\n"},
		"a service's option":                    {text: master + "  -o smtp_sasl_password_maps=static:u:geheim\n  -o syslog_name=offen\n"},
		"on the service's line":                 {text: "x unix - - n - - smtp -o smtp_sasl_password_maps=static:u:geheim -o syslog_name=offen\n"},
		"written together":                      {text: master + "  -osmtp_sasl_password_maps=static:u:geheim\n"},
		"with a flag before":                    {text: master + "  -vo smtp_sasl_password_maps=static:u:geheim\n"},
		"in braces with blanks":                 {text: master + "  -o { smtp_sasl_password_maps = static:u:geheim geheim }\n  -o { syslog_name = offen }\n"},
		"an option inline":                      {text: master + "  -o { smtp_sasl_password_maps = inline:{ {b = u:geheim} } }\n  -o x=offen\n"},
		"an unclosed brace":                     {text: master + "  -o { smtp_sasl_password_maps = static:u:geheim\n"},
		"a service commented out":               {text: "#smtp unix - - n - - smtp\n#  -o smtp_sasl_password_maps=static:u:geheim\n#  -o syslog_name=offen\n"},
		"an option of a service's, commented":   {text: master + "  -o x=offen\n#  -o smtp_sasl_password_maps=static:u:geheim\n  -o y=offen\n"},
		"a filter's arguments":                  {text: "x unix - n n - - pipe user=offen argv=/offen --password=geheim --user offen --password geheim offen\n"},
		"an argument -p":                        {text: "x unix - n n - - pipe user=offen:offen argv=/offen -p geheim offen\ny unix - n n - 0 spawn user=offen argv=/offen -p {geheim geheim} -v offen\n"},
		"an argument -p written together":       {text: "x unix - n n - - pipe\n  user=offen argv=/offen -pgeheim offen\n"},
		"an argument -pass":                     {text: "x unix - n n - - pipe argv=/offen -pass geheim -u offen\n"},
		"an account's argument":                 {text: "x unix - n n - - pipe argv=/offen -u offen:geheim https://offen\ny unix - n n - - pipe argv=/offen --user offen:geheim --user=offen:geheim -uoffen:geheim\n"},
		"an argument -w or -ap":                 {text: "x unix - n n - - pipe argv=/offen -x -w geheim -b offen\ny unix - n n - - pipe argv=/offen -au offen -ap geheim -w 60 offen\n"},
		"a header":                              {text: "x unix - n n - - pipe argv=/offen -H {Authorization: Bearer geheim} offen\nmailbox_command = /offen -H 'X-Api-Key: geheim' -H \"Authorization:geheim\" offen\n"},
		"tokens by long options":                {text: "x unix - n n - - pipe argv=/offen --oauth2-bearer geheim --apikey=geheim --auth-password geheim offen\n"},
		"an account behind a transport":         {text: "relayhost = inet:offen:geheim@offen\nother = memcache:offen:geheim@offen, inet:offen:25, offen@offen\n"},
		"tables in tables":                      {text: "zebra = pipemap:{hash:/offen,static:u:geheim}\nzebra2 = unionmap:{hash:/offen, inline:{ {b = u:geheim} }}\n"},
		"patterns in place":                     {text: "smtp_sasl_password_maps = hash:/offen, pcre:{ {/x/ u:geheim} }\n"},
		"memcache, ldap, pgsql in main.cf":      {text: "cache_memcache_password = geheim\nx_ldap_bind_pw = geheim\npg_password = geheim\npg_user = offen\n"},
		"a command in braces":                   {text: "x unix - n n - - pipe argv=/bin/sh -c {curl -u offen:geheim} offen\n"},
		"several in one line":                   {text: "x unix - n n - - pipe argv=/offen https://offen:geheim@offen/ -p geheim --password=geheim\n"},
		"a command of main.cf":                  {text: "mailbox_command = API_KEY=geheim /offen -p geheim offen --token geheim\nother = offen -p offen\n"},
		"arguments that are no passwords": {text: "x unix - n n - - pipe flags=offen user=offen:offen argv=/offen -o offen=offen -p /offen -p ${offen} -p -u offen -preserve offen -port offen\n" +
			"1.2.3.4:25 inet n - n - - smtpd -o offen=offen\n  -o offen_command=offen -u unix://offen\n"},
		"a variable of the environment":   {text: "import_environment = MYSQL_PWD=geheim, TZ=offen API_KEY=geheim\nexport_environment = TZ offen { API_KEY = geheim geheim } offen\n"},
		"the environment of one service":  {text: master + "  -o { import_environment = TZ=offen API_KEY=geheim }\n  -o export_environment=TZ,API_KEY=geheim,offen\n"},
		"master.cf leads to main.cf":      {text: "zebra = geheim\nother = offen\n", beside: master + " -o smtp_sasl_password_maps=static:u:$zebra\n"},
		"main.cf leads nowhere":           {text: "zebra = offen\n", beside: master + " -o smtp_sasl_password_maps=hash:/x -o y=$zebra\n"},
		"a customer's key of a blocklist": {text: "postscreen_dnsbl_sites = geheim0123456789abcdef0.zen.dq.spamhaus.net*3, offen.example\n"},
		"nothing that is secret":          {text: "smtpd_tls_key_file = /offen\nsmtp_sasl_password_maps = hash:/offen\nsmtpd_sasl_path = offen\nlocal_recipient_maps = static:offen\n"},
		"restrictions of one's own":       {text: "mua_client_restrictions = offen\n", beside: master + " -o smtpd_client_restrictions=$mua_client_restrictions\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			masked := string(maincf.Mask([]byte(c.text), []byte(c.beside)))
			if strings.Contains(masked, "geheim") || strings.Count(masked, "offen") != strings.Count(c.text, "offen") {
				t.Errorf("masked:\n%s\nof:\n%s", masked, c.text)
			}
			if again := string(maincf.Mask([]byte(masked), []byte(c.beside))); again != masked {
				t.Errorf("masked twice:\n%s\nonce:\n%s", again, masked)
			}
			if diff := maincf.Diff("f", nil, []byte(c.text), []byte(c.beside)); strings.Contains(diff, "geheim") {
				t.Errorf("the diff shows it:\n%s", diff)
			}
		})
	}
}

// What follows -p is a port as often as a password.
func TestMaskLeavesPorts(t *testing.T) {
	for _, text := range []string{
		"x unix - n n - - pipe argv=/x -p 25 -p10025 -port 587 -port=587\n", "x unix - n n - - pipe argv={/x -p 25}\n", "mailbox_command = /usr/bin/procmail -p -a 1\n",
	} {
		if masked := string(maincf.Mask([]byte(text))); masked != text {
			t.Errorf("%s is masked as %s", text, masked)
		}
	}
}

// A mask keeps the lines: their number, their ends, and the blanks that make them continuations.
func FuzzMask(f *testing.F) {
	f.Add([]byte("a_password = x\n  y\n# z\n q\r\n#p = static:a:b"), []byte("x - - - - -o a=$b"))
	f.Fuzz(func(t *testing.T, text, beside []byte) {
		masked := maincf.Mask(text, beside)
		if bytes.Count(masked, []byte("\n")) != bytes.Count(text, []byte("\n")) {
			t.Errorf("%q has other lines than %q", masked, text)
		}
		maincf.Diff("f", text, masked, beside)
	})
}
