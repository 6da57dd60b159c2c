package notes_test

import (
	"testing"

	"postfix-maint/internal/maincf"
	"postfix-maint/internal/mastercf"
	"postfix-maint/internal/notes"
)

// Whatever a configuration says, every edit that is offered can be made, and is not offered again.
func FuzzCheck(f *testing.F) {
	f.Add([]byte("smtpd_use_tls = yes\nmilter_protocol = 2\n"), []byte("smtp inet n - - - - smtpd\n"))
	f.Fuzz(func(t *testing.T, main, master []byte) {
		c := &notes.Config{}
		var err error
		if c.Main, err = maincf.Parse(main); err != nil {
			return
		}
		if c.Master, err = mastercf.Parse(master); err != nil {
			return
		}
		if c.Dist, err = mastercf.Parse([]byte(dist)); err != nil {
			t.Fatal(err)
		}
		for _, n := range notes.Check(c) {
			if n.Offer == "" {
				continue
			}
			if err := n.Apply(c); err != nil {
				t.Errorf("%s: %v", n.Name, err)
			}
		}
		if _, err := maincf.Parse(c.Main.Bytes()); err != nil {
			t.Error(err)
		}
	})
}
