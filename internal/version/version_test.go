package version_test

import (
	"os/exec"
	"testing"

	"postfix-maint/internal/version"
)

func TestStock(t *testing.T) {
	for v, want := range map[string]string{ // "" is Debian's own
		"3.7.11-0+deb12u1": "", "3.10.13-0+deb13u1+b1": "", "1:3.11.7-1": "", "": "", "3.7.11-0+abc1": "", "3.7.11-0+deb12u1+maintainer": "",
		"3.7.11-0+deb12u1+maint1":        "3.7.11-0+deb12u1",
		"3.7.11-0+deb12u1+a0.2.0":        "3.7.11-0+deb12u1",
		"3.7.11-0+deb12u1+maint1+a0.2.0": "3.7.11-0+deb12u1",
		"3.10.13-0+deb13u1+b1+a0.2.0~1":  "3.10.13-0+deb13u1+b1",
		"1:3.11.7-1+a1":                  "1:3.11.7-1",
	} {
		stock, adopted := version.Stock(v)
		if adopted != (want != "") || adopted && stock != want || !adopted && stock != v {
			t.Errorf("%q: %q, %v, want %q", v, stock, adopted, want)
		}
	}
}

// A rebuild of postfix-maint and a backport have a plus in their own version.
func TestEveryVersionOfTheLayerIsFound(t *testing.T) {
	const stock = "3.10.13-0+deb13u1"
	for layer, want := range map[string]string{
		"0.1.0": "0.1.0", "0.1.0-1": "0.1.0r1", "0.1.0-1+b1": "0.1.0r1pb1", "0.1.0-2~bpo12+1": "0.1.0r2~bpo12p1", "1:2-3": "1.2r3",
	} {
		adopted := version.Adopted(stock, layer, "")
		if of, ok := version.Stock(adopted); !ok || of != stock || version.Layer(adopted) != want {
			t.Errorf("%s: %q is of %q, %v, by layer %q", layer, adopted, of, ok, version.Layer(adopted))
		}
	}
}

// dpkg's order is what counts.
func TestOrderOfAdoptedVersions(t *testing.T) {
	const stock = "3.7.11-0+deb12u1"
	first, second := version.Adopted(stock, "0.1.0", stock), version.Adopted(stock, "0.2.0", stock)
	for _, pair := range [][2]string{
		{stock, first},
		{first, second},
		{second, stock + "+b1"},
		{second, "3.7.11-0+deb12u2"},
		{stock + "+b1", version.Adopted(stock+"+b1", "0.1.0", second)},
		{version.Adopted(stock, "0.2.0~rc1", ""), second},
		{stock + "+maint1", version.Adopted(stock, "0.2.0", stock+"+maint1")},
		{version.Adopted(stock, "0.2.0", stock+"+maint1"), version.Adopted(stock, "0.3.0", stock+"+maint1+a0.2.0")},
		{version.Adopted(stock, "0.2.0", stock+"+maint1"), "3.7.11-0+deb12u2"},
		{stock + "+maint1", version.Adopted("3.7.11-0+deb12u2", "0.2.0", stock+"+maint1")},
		{version.Adopted("3.11.7-1", "1-2:3", ""), "3.11.7-1+b1"},
		{version.Adopted(stock, "0.1.0", ""), version.Adopted(stock, "0.1.0-1", "")},
		{version.Adopted(stock, "0.1.0-2", ""), version.Adopted(stock, "0.1.0.1-1", "")},
		{version.Adopted(stock, "0.2.0-1", ""), version.Adopted(stock, "0.2.0-1+b1", "")},
		{version.Adopted(stock, "0.2.0-1+b1", ""), version.Adopted(stock, "0.2.0-2", "")},
		{version.Adopted(stock, "0.2.0-2~bpo12+1", ""), version.Adopted(stock, "0.2.0-2", "")},
	} {
		if err := exec.Command("dpkg", "--compare-versions", pair[0], "lt", pair[1]).Run(); err != nil {
			t.Errorf("%s is not below %s", pair[0], pair[1])
		}
		if err := exec.Command("dpkg", "--validate-version", pair[1]).Run(); err != nil {
			t.Errorf("%s is no version", pair[1])
		}
	}
}

func TestRelease(t *testing.T) {
	for v, want := range map[string]string{"3.10.13-0+deb13u1": "3.10", "1:3.7.11-0+deb12u1+a0.2.0": "3.7", "4": "4", "": ""} {
		if got := version.Release(v); got != want {
			t.Errorf("%q is of release %q, want %q", v, got, want)
		}
	}
}

func TestLayer(t *testing.T) {
	t.Parallel()
	for of, want := range map[string]string{
		"3.7.11-0+deb12u1": "", "3.7.11-0+deb12u1+maint1": "", "3.7.11-0+deb12u1+a0.1.0": "0.1.0", "3.7.11-0+deb12u1+maint1+a0.2.0": "0.2.0", "": "", "a\nb": "",
	} {
		if got := version.Layer(of); got != want {
			t.Errorf("the layer of %q is %q, want %q", of, got, want)
		}
	}
}
