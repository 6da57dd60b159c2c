// Package pattern (ring: format) has regular expressions that cost nothing until they are used. The lean programs run at every start, hook
// and daemon-reload, and compiling all expressions that are linked into one took a fifth of its time.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern gives the expression, compiled at the first call.
type Pattern func() *regexp.Regexp

// New keeps an expression, in the syntax of regexp. One that is wrong panics when it is used: a test of what it is for finds that.
func New(expr string) Pattern {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}
