package lines_test

import (
	"bytes"
	"strings"
	"testing"

	"postfix-maint/internal/maincf/lines"
)

// No line is lost, and each belongs to one logical line at most.
func FuzzLogical(f *testing.F) {
	f.Add([]byte("a\n b\n#c\n\n d\r\n\ve"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := lines.Split(data)
		if err != nil {
			if !bytes.ContainsRune(data, 0) {
				t.Error(err)
			}
			return
		}
		if strings.Join(all, "") != string(data) {
			t.Errorf("%q is not %q", all, data)
		}
		next := 0
		for _, rows := range lines.Logical(all) {
			for _, i := range rows {
				if i < next {
					t.Errorf("line %d stands in two logical lines of %q", i, data)
				}
				next = i + 1
			}
			lines.Join(all, rows)
		}
		lines.Append(all, "x")
	})
}
