// Package version (ring: format) knows the versions of Debian's package postfix and of the packages adopted from it: whose layer a
// version has, and which release of Postfix it is. The maintainer scripts, which cannot ask it, know the two marks as well: a test keeps
// them the same.
package version

import (
	"regexp"
	"strings"
)

// Mark stands in an adopted version between Debian's and that of the layer. By deb-version(7) "3.7.11-0+deb12u1+a0.2.0" is higher than
// Debian's own "3.7.11-0+deb12u1", and lower than its next update "3.7.11-0+deb12u2" as well as a rebuild of the binary, "+b1".
const Mark = "+a"

// first is what the layer's first version wrote instead, whatever its own version was. Debian's rebuild sorts below it.
const first = "+maint1"

// marked splits an adopted version.
var marked = regexp.MustCompile(`^(.*?)(\+maint[0-9]+)?(\+a[0-9][^+]*)?$`)

// Stock is Debian's version that an adopted one was made from; another version is Debian's own.
func Stock(version string) (stock string, adopted bool) {
	m := marked.FindStringSubmatch(version)
	if m == nil || m[2] == "" && m[3] == "" {
		return version, false
	}
	return m[1], true
}

// Layer is the version of the layer in an adopted version, "" where it does not say.
func Layer(version string) string {
	m := marked.FindStringSubmatch(version)
	if m == nil {
		return ""
	}
	return strings.TrimPrefix(m[3], Mark)
}

// Adopted is the version that a layer gives to Debian's. Where installed is what the first layer made of the same one, the result is
// higher than that: apt goes no way down by itself. Of the layer's "0.1.0-2+b1" becomes "0.1.0r2pb1": a hyphen would begin another revision
// and a plus another mark, more dots are too many for lintian, and dpkg sorts letters before a dot and after the end.
func Adopted(stock, layer, installed string) string {
	if strings.HasPrefix(installed, stock+first) {
		stock += first
	}
	return stock + Mark + strings.NewReplacer("-", "r", "+", "p", ":", ".").Replace(layer)
}

// Release is the release of Postfix itself, "3.10" for "1:3.10.13-0+deb13u1".
func Release(version string) string {
	parts := strings.SplitN(WithoutEpoch(version), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// WithoutEpoch is a version as the name of a package's file has it.
func WithoutEpoch(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		return rest
	}
	return version
}
