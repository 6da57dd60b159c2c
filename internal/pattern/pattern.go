// Package pattern (ring: format) has regular expressions that cost nothing until they are used. The lean programs run at every start, hook
// and daemon-reload, and compiling all expressions that are linked into one took a fifth of its time. In a program that uses none of those
// that are linked in, package regexp is not linked: no code runs to make a Pattern.
package pattern

import (
	"regexp"
	"sync"
)

// Pattern is an expression that is compiled when it is used first.
type Pattern struct {
	expr string
	once sync.Once
	re   *regexp.Regexp
}

// New keeps an expression, in the syntax of regexp. One that is wrong panics when it is used: a test of what it is for finds that.
func New(expr string) *Pattern { return &Pattern{expr: expr} }

// Regexp gives the expression, compiled.
func (p *Pattern) Regexp() *regexp.Regexp {
	p.once.Do(func() { p.re = regexp.MustCompile(p.expr) })
	return p.re
}
