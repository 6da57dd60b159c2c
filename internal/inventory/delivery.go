package inventory

import (
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/maincf"
)

// transports are the parameters that hold "transport:nexthop" or a transport alone.
var transports = []string{
	"content_filter", "default_transport", "fallback_transport", "local_transport", "mailbox_transport", "relay_transport", "virtual_transport",
}

// transportMaps are the parameters whose tables give such values.
var transportMaps = []string{
	"fallback_transport_maps", "mailbox_transport_maps", "sender_dependent_default_transport_maps", "transport_maps",
}

// textTypes are the types of tables whose text, one "key value" a line, stands in a file of the name given.
var textTypes = []string{"hash", "btree", "lmdb", "cdb", "texthash", "regexp", "pcre"}

// deliveries takes the sockets that this client of SMTP or LMTP delivers to: the next hops that parameters and tables give with its name.
func (l *lister) deliveries() {
	for _, name := range transports {
		l.nextHop(l.origin(name), l.value(l.service, name))
	}
	if l.Read == nil {
		return
	}
	for _, name := range transportMaps {
		for _, t := range maincf.SplitList(l.value(l.service, name)) {
			typ, file, _ := strings.Cut(strings.TrimPrefix(t, "proxy:"), ":")
			if !slices.Contains(textTypes, typ) || !path.IsAbs(file) {
				continue
			}
			l.transportTable(name, file)
		}
	}
}

// transportTable takes the next hops of a table's text (transport(5)). One that cannot be read gives none.
func (l *lister) transportTable(parameter, file string) {
	data, err := l.Read(file)
	if err != nil {
		return
	}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		if fields := strings.Fields(line); len(fields) > 1 && !strings.HasPrefix(line, "#") {
			l.nextHop(origin{parameter, file, n}, fields[len(fields)-1])
		}
	}
}

// nextHop takes the value if it names this service and, as its next hop, a socket: lmtp:unix:/run/dovecot/lmtp.
func (l *lister) nextHop(o origin, value string) {
	transport, hop, ok := strings.Cut(strings.TrimSpace(value), ":")
	if ok && transport == l.service.Name && strings.HasPrefix(hop, "unix:") {
		l.add(o, Delivery, hop)
	}
}
