package chroot

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// test is test(1) without its operators for terminals and file times.
func (s *shell) test(pos syntax.Pos, args []string) bool {
	if len(args) > maxWords {
		s.warn(pos, "this test is too long")
		return false
	}
	if n, join := joint(args); join != "" {
		left, right := s.test(pos, args[:n]), s.test(pos, args[n+1:])
		return left && right || join == "-o" && (left || right)
	}
	if len(args) == 3 {
		if holds, known := compare(args[0], args[1], args[2]); known {
			return holds
		}
	}
	switch {
	case len(args) == 0:
		return false
	case len(args) == 1:
		return args[0] != ""
	case args[0] == "!":
		return !s.test(pos, args[1:])
	case len(args) == 2 && args[0] == "-n":
		return args[1] != ""
	case len(args) == 2 && args[0] == "-z":
		return args[1] == ""
	case len(args) == 2 && len(args[0]) == 2 && strings.ContainsAny(args[0], "defhrswxL"):
		return s.testFile(args[0], args[1])
	}
	s.warn(pos, "this test is not understood")
	return false
}

// joint finds what joins two tests; -o binds less than -a.
func joint(args []string) (n int, join string) {
	if len(args) < 3 || len(args) == 3 && args[1] != "-o" && args[1] != "-a" {
		return 0, ""
	}
	for _, join := range []string{"-o", "-a"} {
		if n := slices.Index(args, join); n > 0 && n < len(args)-1 {
			return n, join
		}
	}
	return 0, ""
}

// compare compares two strings or numbers.
func compare(left, op, right string) (holds, known bool) {
	switch op {
	case "=":
		return left == right, true
	case "!=":
		return left != right, true
	}
	x, errX := strconv.Atoi(left)
	y, errY := strconv.Atoi(right)
	holds, known = map[string]bool{"-eq": x == y, "-ne": x != y, "-lt": x < y, "-le": x <= y, "-gt": x > y, "-ge": x >= y}[op]
	return holds, known && errX == nil && errY == nil
}

func (s *shell) testFile(op, name string) bool {
	name = path.Clean("/" + showOdd(name))
	if op == "-h" || op == "-L" {
		_, err := s.root.Readlink(name)
		return err == nil
	}
	fi, err := s.root.Stat(name)
	switch {
	case err != nil:
		return false
	case op == "-d":
		return fi.IsDir()
	case op == "-f":
		return fi.Mode().IsRegular()
	case op == "-s":
		return fi.Size() > 0
	case op == "-x":
		return fi.Mode().Perm()&0o111 != 0
	}
	return true // -e, and -r and -w: the file is read as root
}
