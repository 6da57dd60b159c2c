package chroot

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"

	"postfix-maint/internal/sysroot"
)

// maxSteps bounds what a file of settings can make us do, whatever it includes or loops over.
const maxSteps = 20000

// shell evaluates the part of the shell language (dash(1)) that files of settings are written in: assignments, expansions,
// tests, conditions, loops over words, and other such files read with ".". No program is run, no file is written. What is
// beyond that gives a warning with its place and counts as a failed command.
type shell struct {
	root  *sysroot.Root
	vars  map[string]string
	files []string // being read, the innermost last
	steps int
	ok    bool // "$?" is 0
	done  bool // exit or return was met, or too many steps
	warns []string
}

// Get and Each are expand.Environ, Set makes ${x:=y} work.
func (s *shell) Get(name string) expand.Variable {
	if name == "?" {
		return expand.Variable{Set: true, Kind: expand.String, Str: map[bool]string{true: "0", false: "1"}[s.ok]}
	}
	v, ok := s.vars[name]
	return expand.Variable{Set: ok, Kind: expand.String, Str: v}
}

// Each is part of expand.Environ.
func (s *shell) Each(visit func(name string, v expand.Variable) bool) {
	for name := range s.vars {
		if !visit(name, s.Get(name)) {
			return
		}
	}
}

// Set is part of expand.WriteEnviron.
func (s *shell) Set(name string, v expand.Variable) error {
	s.vars[name] = v.String()
	return nil
}

func (s *shell) config() *expand.Config {
	return &expand.Config{Env: s, ReadDir2: func(dir string) ([]fs.DirEntry, error) { return s.root.ReadDir(path.Clean("/" + dir)) }}
}

// literal expands a word that is not split. expand.Literal (v3.14) leaves the backslash of an unquoted "\ " in its result, so
// such a pair is turned into a quoted letter before.
func (s *shell) literal(w *syntax.Word) (string, error) {
	plain := &syntax.Word{}
	for _, part := range w.Parts {
		lit, ok := part.(*syntax.Lit)
		if !ok {
			plain.Parts = append(plain.Parts, part)
			continue
		}
		for rest := lit.Value; rest != ""; {
			before, after, found := strings.Cut(rest, `\`)
			if rest = after; before != "" {
				plain.Parts = append(plain.Parts, &syntax.Lit{Value: before})
			}
			if found && after != "" {
				_, size := utf8.DecodeRuneInString(after)
				plain.Parts = append(plain.Parts, &syntax.SglQuoted{Value: after[:size]})
				rest = after[size:]
			}
		}
	}
	return expand.Literal(s.config(), plain)
}

// warn notes what cannot be understood at pos.
func (s *shell) warn(pos syntax.Pos, format string, args ...any) {
	place := fmt.Sprintf("%s:%d: ", s.files[len(s.files)-1], pos.Line())
	s.warns = append(s.warns, place+fmt.Sprintf(format, args...))
}

// source evaluates the statements of one file, up to the first that is no shell, as the shell itself would.
func (s *shell) source(name string, data []byte) {
	s.files = append(s.files, name)
	defer func() { s.files = s.files[:len(s.files)-1] }()
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
	for stmt, err := range parser.StmtsSeq(strings.NewReader(string(data))) {
		if err != nil {
			s.warns = append(s.warns, fmt.Sprintf("cannot read %s to its end: %v", name, err))
			return
		}
		if s.stmt(stmt); s.done {
			return
		}
	}
}

func (s *shell) list(stmts []*syntax.Stmt) bool {
	for _, stmt := range stmts {
		if s.stmt(stmt); s.done {
			break
		}
	}
	return s.ok
}

// stmt evaluates one statement and gives its success.
func (s *shell) stmt(stmt *syntax.Stmt) bool {
	if s.steps++; s.steps == maxSteps {
		s.warn(stmt.Pos(), "the file goes on for too long, the rest is not read")
		s.done = true
	}
	if s.done {
		return false
	}
	for _, r := range stmt.Redirs {
		if to, err := s.literal(r.Word); err != nil || to != "/dev/null" {
			s.warn(stmt.Pos(), "redirections are not followed")
			s.ok = false
			return false
		}
	}
	s.ok = s.command(stmt.Cmd) != stmt.Negated
	return s.ok
}

func (s *shell) command(cmd syntax.Command) bool {
	switch c := cmd.(type) {
	case *syntax.CallExpr:
		return s.call(c)
	case *syntax.Block:
		return s.list(c.Stmts)
	case *syntax.BinaryCmd:
		switch c.Op {
		case syntax.AndStmt:
			return s.stmt(c.X) && s.stmt(c.Y)
		case syntax.OrStmt:
			return s.stmt(c.X) || s.stmt(c.Y)
		}
	case *syntax.IfClause:
		return s.ifClause(c)
	case *syntax.CaseClause:
		return s.caseClause(c)
	case *syntax.ForClause:
		return s.forClause(c)
	case *syntax.DeclClause: // export, readonly
		for _, a := range c.Args {
			if !a.Naked {
				s.assign(a)
			}
		}
		return true
	}
	s.warn(cmd.Pos(), "this kind of command is not understood")
	return false
}

func (s *shell) assign(a *syntax.Assign) bool {
	if a.Value == nil {
		s.vars[a.Name.Value] = ""
		return true
	}
	value, err := s.literal(a.Value)
	if err != nil {
		s.warn(a.Pos(), "cannot work out the value of %s, which stays %q: %v", a.Name.Value, s.vars[a.Name.Value], err)
		return false
	}
	s.vars[a.Name.Value] = value
	return true
}

func (s *shell) call(c *syntax.CallExpr) bool {
	if len(c.Args) == 0 {
		ok := true
		for _, a := range c.Assigns {
			ok = s.assign(a) && ok
		}
		return ok
	}
	args, err := expand.Fields(s.config(), c.Args...)
	if err != nil {
		s.warn(c.Pos(), "cannot work out the words of this command: %v", err)
		return false
	}
	if len(args) == 0 {
		return true
	}
	switch args[0] {
	case ":", "true", "set", "umask", "echo", "printf": // nothing of ours depends on what they do
		return true
	case "false":
		return false
	case "export", "readonly":
		for _, a := range args[1:] {
			if name, value, ok := strings.Cut(a, "="); ok {
				s.vars[name] = value
			}
		}
		return true
	case "unset":
		for _, name := range args[1:] {
			delete(s.vars, name)
		}
		return true
	case "test":
		return s.test(c.Pos(), args[1:])
	case "[":
		if last := len(args) - 1; args[last] == "]" {
			return s.test(c.Pos(), args[1:last])
		}
	case ".":
		return s.dot(c.Pos(), args[1:])
	case "exit", "return":
		s.warn(c.Pos(), "%q ends the file here", args[0])
		s.done = true
		return true
	}
	s.warn(c.Pos(), "cannot run %q: no program is run for this file", args[0])
	return false
}

// dot reads another file of settings.
func (s *shell) dot(pos syntax.Pos, args []string) bool {
	if len(args) != 1 || !path.IsAbs(args[0]) || slices.Contains(s.files, args[0]) {
		s.warn(pos, "cannot read another file: needs one absolute path, not of itself")
		return false
	}
	data, err := readSmall(s.root, args[0])
	if err != nil {
		s.warn(pos, "cannot read another file: %v", err)
		return false
	}
	s.source(args[0], data)
	return true
}

func (s *shell) ifClause(c *syntax.IfClause) bool {
	for ; c != nil; c = c.Else {
		if len(c.Cond) == 0 || s.list(c.Cond) { // without a condition it is the last "else"
			return s.list(c.Then)
		}
	}
	return true
}

func (s *shell) caseClause(c *syntax.CaseClause) bool {
	word, err := s.literal(c.Word)
	if err != nil {
		s.warn(c.Pos(), "cannot work out the word of this case: %v", err)
		return false
	}
	for _, item := range c.Items {
		for _, p := range item.Patterns {
			pat, err := expand.Pattern(s.config(), p)
			if err == nil {
				pat, err = pattern.Regexp(pat, pattern.EntireString)
			}
			if err != nil {
				s.warn(p.Pos(), "cannot work out this pattern: %v", err)
				continue
			}
			if re, err := regexp.Compile(pat); err == nil && re.MatchString(word) {
				return s.list(item.Stmts)
			}
		}
	}
	return true
}

func (s *shell) forClause(c *syntax.ForClause) bool {
	loop, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		s.warn(c.Pos(), "this kind of loop is not understood")
		return false
	}
	words, err := expand.Fields(s.config(), loop.Items...)
	if err != nil {
		s.warn(c.Pos(), "cannot work out the words of this loop: %v", err)
		return false
	}
	for _, w := range words {
		s.vars[loop.Name.Value] = w
		if s.list(c.Do); s.done {
			break
		}
	}
	return true
}

// test is test(1) without its operators for terminals and file times.
func (s *shell) test(pos syntax.Pos, args []string) bool {
	if len(args) > 3 || len(args) == 3 && args[1] == "-o" || len(args) == 3 && args[1] == "-a" {
		for _, join := range []string{"-o", "-a"} {
			if n := slices.Index(args, join); n > 0 && n < len(args)-1 {
				left, right := s.test(pos, args[:n]), s.test(pos, args[n+1:])
				return left && right || join == "-o" && (left || right)
			}
		}
	}
	switch {
	case len(args) == 0:
		return false
	case len(args) == 1:
		return args[0] != ""
	case len(args) == 3 && args[1] == "=":
		return args[0] == args[2]
	case len(args) == 3 && args[1] == "!=":
		return args[0] != args[2]
	case args[0] == "!":
		return !s.test(pos, args[1:])
	case len(args) == 2 && args[0] == "-n":
		return args[1] != ""
	case len(args) == 2 && args[0] == "-z":
		return args[1] == ""
	case len(args) == 2 && len(args[0]) == 2 && strings.ContainsAny(args[0], "defhrswxL"):
		return s.testFile(args[0], args[1])
	case len(args) == 3:
		x, errX := strconv.Atoi(args[0])
		y, errY := strconv.Atoi(args[2])
		holds, known := map[string]bool{"-eq": x == y, "-ne": x != y, "-lt": x < y, "-le": x <= y, "-gt": x > y, "-ge": x >= y}[args[1]]
		if known && errX == nil && errY == nil {
			return holds
		}
	}
	s.warn(pos, "this test is not understood: %q", args)
	return false
}

func (s *shell) testFile(op, name string) bool {
	name = path.Clean("/" + name)
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
