package chroot

import (
	"path"
	"strings"

	"postfix-maint/internal/inventory"
	"postfix-maint/internal/maincf"
)

// checkPeer says whom a database sees behind its socket, where a table gives no password: it is let in by the account of its client then, which
// is Postfix's, in the chroot by the relay as outside of it. MariaDB (unix_socket) and PostgreSQL (peer, where pg_ident.conf says nothing
// else) let that account in only as the user of the same name.
func (a *applier) checkPeer(e inventory.Endpoint) {
	if e.Use != inventory.Database || e.Socket == "" || path.Base(e.File) == "main.cf" {
		return
	}
	data, err := a.deps.Root.ReadTrusted(e.File)
	if err != nil {
		return // said where it is looked at
	}
	f, err := maincf.Parse(data)
	if err != nil {
		return
	}
	hosts, _ := f.Get("hosts")
	options, _ := f.Get("option_file") // of libmariadb, mysql_table(5)
	if options != "" || strings.Contains(hosts, "postgresql:") {
		return // user and password may be there: a URI has both by itself, pgsql_table(5)
	}
	user, _ := f.Get("user")
	password, _ := f.Get("password")
	if user = strings.TrimSpace(user); e.Parameter != "hosts" || password != "" || user == a.mailOwner {
		return
	}
	a.warn("the database at %q sees account %q, and the table gives no password for user %q (user, %s:%d): write \"user = %s\" and let that user in "+
		"(MariaDB: unix_socket; PostgreSQL: peer, or a line of pg_ident.conf), or give a password", e.Socket, a.mailOwner, user, e.File, f.Line("user"), a.mailOwner)
}
