// Package secret (ring: format) has the type of what nobody may see: passwords, keys, tokens.
package secret

import (
	"fmt"

	"postfix-maint/internal/maincf"
)

// Secret is one. Printing it, in whatever way, shows stars.
type Secret string

// Format is what package fmt prints of a secret.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(maincf.Stars)) }

// MarshalJSON is what package encoding/json prints of it.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + maincf.Stars + `"`), nil }
