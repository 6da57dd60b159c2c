// Package postfixtest (ring: format, for tests) runs the real Postfix programs of unpacked system trees, so that a format
// can be held against them. It holds code only with the build tag "integration".
package postfixtest
