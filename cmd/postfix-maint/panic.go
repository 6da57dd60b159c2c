package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
)

// afterPanic turns a fault of ours into a message and the exit status that does the least harm. A maintainer script fails only where
// the package would be unusable: what config did not ask postinst decides from the database, a removal goes on without a clean stop, a
// trigger's work is done again at the next start, and nothing that undoes somebody else's failure may fail itself. Anything else says 1.
func afterPanic(fault any, args []string, stderr io.Writer) int {
	fmt.Fprintf(stderr, "postfix-maint: this is a fault of postfix-maint, please report it with what you did: %v, in %s\n", fault, faultyPlace())
	call := slices.Concat(args, []string{"", "", ""})[1:]
	switch call[0] {
	case "config", "prerm":
		return 0
	case "postinst":
		if call[1] != "configure" {
			return 0
		}
	}
	return 1
}

// faultyPlace is where the panic rose. Its stack would fill the screen of somebody who wants mail; a name and a line are enough.
func faultyPlace() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	risen := false
	for {
		f, more := frames.Next()
		if risen && (strings.HasPrefix(f.Function, "postfix-maint/") || strings.HasPrefix(f.Function, "main.")) {
			return fmt.Sprintf("%s, line %d", f.Function, f.Line)
		}
		risen = risen || f.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}
