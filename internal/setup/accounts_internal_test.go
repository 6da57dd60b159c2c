package setup

import "testing"

func TestAUserOfAnotherNameServiceIsKept(t *testing.T) {
	for name, c := range map[string]struct {
		exists, local, grouped bool
		want                   userStep
	}{
		"there is none":                             {want: addUser},
		"the usual one":                             {exists: true, local: true, grouped: true, want: keepUser},
		"one with another group":                    {exists: true, local: true, want: changeGroup},
		"of another name service":                   {exists: true, grouped: true, want: keepUser},
		"of another name service, in another group": {exists: true, want: tellGroup},
	} {
		if got := userDue(c.exists, c.local, c.grouped); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
