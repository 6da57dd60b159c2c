package instance

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// MaxUnit is systemd's limit for the length of a unit name (UNIT_NAME_MAX).
const MaxUnit = 255

// postmulti(1) insists on this prefix for the names it gives, and takes the name without it as well.
const namePrefix = "postfix-"

// Unit is the name of the instance's systemd unit. A letter that systemd allows in a unit name stays as it is, "-" too:
// postmulti(1) makes names like "postfix-out", and "systemctl start postfix@postfix-out" has to mean that instance. Any
// other byte is written \xNN, as systemd-escape(1) does. So a unit takes its instance by %i, never by %I.
func (i Instance) Unit() string {
	if i.IsPrimary() {
		return unitName(Primary)
	}
	return unitName(escape(i.Name, "-"))
}

// Aliases are the other unit names by which people mean the instance: escaped by systemd-escape(1) to the letter, without
// the prefix "postfix-" (postmulti -i takes it so, and with it Debian 12's units), by directory (Debian 13's
// postfix@NAME for /etc/postfix-NAME). None is equal to Unit; another instance's Unit may be: then it means the other one.
func (i Instance) Aliases() []string {
	if i.IsPrimary() {
		return nil
	}
	var units []string
	seen := []string{i.Unit(), unitName(Primary), unitName("")}
	short, _ := strings.CutPrefix(i.Name, namePrefix)
	for _, name := range []string{i.Name, short, byDirectory(i.ConfigDir)} {
		for _, unit := range []string{unitName(escape(name, "")), unitName(escape(name, "-"))} {
			if !slices.Contains(seen, unit) && !slices.Contains(units, unit) {
				units = append(units, unit)
			}
		}
	}
	return units
}

func unitName(instance string) string { return "postfix@" + instance + ".service" }

// Escape writes a name as systemd-escape(1) does.
func Escape(name string) string { return escape(name, "") }

// escape is unit_name_escape of systemd: a leading dot and what is no letter, digit, ":", "_" or "." becomes \xNN. Bytes in
// keep stay. "/" never occurs in a name.
func escape(name, keep string) string {
	plain := func(c byte, n int) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ':' || c == '_' || c == '.' && n > 0 ||
			strings.IndexByte(keep, c) >= 0
	}
	first := 0
	for first < len(name) && plain(name[first], first) {
		first++
	}
	if first == len(name) { // as nearly always, and the generator asks thousands of times
		return name
	}
	var b strings.Builder
	b.WriteString(name[:first])
	for n := first; n < len(name); n++ {
		if c := name[n]; plain(c, n) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	return b.String()
}

// unescape undoes escape; what is no escape stays.
func unescape(name string) string {
	var b strings.Builder
	for n := 0; n < len(name); n++ {
		if n+4 <= len(name) && name[n:n+2] == `\x` {
			if c, err := strconv.ParseUint(name[n+2:n+4], 16, 8); err == nil {
				b.WriteByte(byte(c))
				n += 3
				continue
			}
		}
		b.WriteByte(name[n])
	}
	return b.String()
}
