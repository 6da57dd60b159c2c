package adopt

import (
	"fmt"
	"strings"
)

// field is one field of a control file, its value with all continuation lines as they stand.
type field struct{ name, value string }

// control is the single paragraph of a binary package's control file (deb-control(5)); order and layout are kept.
type control []field

// parseControl reads DEBIAN/control.
func parseControl(text string) (control, error) {
	var c control
	for n, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if len(c) == 0 {
				return nil, fmt.Errorf("cannot read control file: line %d continues no field", n+1)
			}
			c[len(c)-1].value += "\n" + line
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || name == "" {
			return nil, fmt.Errorf("cannot read control file: line %d is no field", n+1)
		}
		c = append(c, field{name, strings.TrimSpace(value)})
	}
	return c, nil
}

// String gives the control file back.
func (c control) String() string {
	var b strings.Builder
	for _, f := range c {
		b.WriteString(f.name + ":")
		if !strings.HasPrefix(f.value, "\n") && f.value != "" {
			b.WriteString(" ")
		}
		b.WriteString(f.value + "\n")
	}
	return b.String()
}

// get returns a field's value, "" if it is not there. Names of fields have no case.
func (c control) get(name string) string {
	for _, f := range c {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

// set returns c with the field set; a new one comes after the field named by after.
func (c control) set(name, value, after string) control {
	var out control
	done := false
	for _, f := range c {
		if strings.EqualFold(f.name, name) {
			f.value, done = value, true
		}
		out = append(out, f)
	}
	if done {
		return out
	}
	for i, f := range out {
		if strings.EqualFold(f.name, after) {
			return append(out[:i+1:i+1], append(control{{name, value}}, out[i+1:]...)...)
		}
	}
	return append(out, field{name, value})
}

// also appends to a field that is a list of packages.
func (c control) also(name, value, after string) control {
	if have := c.get(name); have != "" {
		value = have + ", " + value
	}
	return c.set(name, value, after)
}

// adopted is the control file of the adopted package. Provides keeps Debian's own map packages installable, which depend
// on exactly Debian's version (dpkg and apt both honour a versioned Provides of a package's own name). Source keeps the
// version that security trackers compare. Reports about the layer must not go to Debian's maintainer.
func (c control) adopted(lay *layer, version string, size int64) control {
	stock := c.get("Version")
	owner := c.get("Maintainer")
	c = c.set("Source", "postfix ("+stock+")", "Package")
	c = c.set("Version", version, "Source")
	c = c.set("Maintainer", lay.maintainer, "Architecture")
	c = c.set("Original-Maintainer", owner, "Maintainer")
	c = c.set("Installed-Size", fmt.Sprint(size), "Original-Maintainer")
	c = c.also("Depends", dependency(lay.version), "Pre-Depends")
	return c.also("Provides", "postfix (= "+stock+")", "Replaces")
}

// dependency is that of an adopted package on the package that its layer came from.
func dependency(layer string) string { return "postfix-maint (>= " + layer + ")" }
