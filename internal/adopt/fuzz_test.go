package adopt

import "testing"

// FuzzTexts shows that no text of apt's or dpkg's ends in a panic, and that a control file comes out as one.
func FuzzTexts(f *testing.F) {
	f.Add("Package: postfix\nVersion: 3.7.11-0+deb12u1\nDescription: x\n y\n")
	f.Add("postfix:\n  Installed: 1\n  Candidate: 1\n  Version table:\n *** 1 500\n        500 http://x y\n        100 /var/lib/dpkg/status\n     2 1\n")
	f.Add("Package: postfix\nPin: version *\nPin-Priority: 990\nDate: Thu, 01 Jan 1970 00:00:00 UTC\n")
	f.Fuzz(func(t *testing.T, text string) {
		p := parsePolicy(text)
		p.wanted()
		p.priority()
		p.find(p.version())
		pinPriority(text)
		dateOf(text)
		c, err := parseControl(text)
		if err != nil {
			return
		}
		c = c.also("Depends", "b", "Version").set("Version", "1", "Package")
		again, err := parseControl(c.String())
		if err != nil || again.get("Version") != "1" {
			t.Errorf("%q becomes %q, %v", text, c.String(), err)
		}
	})
}
