package maincf

import (
	"bytes"
	"fmt"

	"github.com/rogpeppe/go-internal/diff"
)

// maxShown bounds the texts that a diff is made of. Mask and the diff take time in proportion to them, some ten seconds for the worst
// 10 MB, and nobody reads a diff of that; configuration files have some 30 KB.
const maxShown = 1 << 20

// Diff returns what changes from old to new as a unified diff with three lines of context, "" if nothing does that may be shown. The
// name stands in both head lines, so that patch(1) finds the file. Whatever file it is, what Mask hides is not in it; beside is for Mask.
// There is no other way to a diff, so that no secret gets out by one. Of what is too large for one it says only that it changes.
//
// The diff is anchored at the lines that both texts have once: one with the fewest lines takes quadratic time.
func Diff(name string, old, new []byte, beside ...[]byte) string {
	if bytes.Equal(old, new) {
		return ""
	}
	head := fmt.Sprintf("--- %s\n+++ %s\n", name, name)
	size := len(old) + len(new)
	for _, b := range beside {
		size += len(b)
	}
	if size > maxShown {
		return head + fmt.Sprintf("@@ changes from %d to %d bytes: too large to be shown @@\n", len(old), len(new))
	}
	old, new = Mask(old, append(beside, new)...), Mask(new, append(beside, old)...) // a parameter may be a secret in one of them only
	_, text, _ := bytes.Cut(diff.Diff(name, old, name, new), []byte(head))
	if len(text) == 0 {
		return ""
	}
	return head + string(text)
}
