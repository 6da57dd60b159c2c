package chroot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/pattern"
	"mvdan.cc/sh/v3/syntax"

	"postfix-maint/internal/sysroot"
)

// What files of settings can make us do at most, whatever they include, loop over or double.
const (
	maxSteps    = 20000
	maxSettings = 64 << 10 // bytes of one file: the parser recurses, and Go cannot recover from a stack that is too deep
	maxExpanded = 8 << 20  // bytes of statements evaluated and variables expanded, together
	maxListed   = 100000   // files in directories that patterns go through
	maxWords    = 1000     // of one test
)

// shell evaluates the part of the shell language (dash(1)) that files of settings are written in: assignments, expansions,
// tests, conditions, loops over words, and other such files read with ".". No program is run, no file is written. What is
// beyond that gives a warning with its place and counts as a failed command. The warning does not quote it: what is read by mistake
// may hold secrets, and warnings go to the journal. (The interpreter of mvdan.cc/sh has no bound for memory, and ways to jobs, traps,
// standard input and other directories that all would have to be shut.)
type shell struct {
	root   *sysroot.Root
	vars   map[string]string
	files  []string // being read, the innermost last
	steps  int
	spent  int  // of maxExpanded
	listed int  // of maxListed
	size   int  // of the words that are being expanded: no pattern in them is longer
	ok     bool // "$?" is 0
	done   bool // exit or return was met, or a bound
	warns  []string
}

// Get and Each are expand.Environ, Set makes ${x:=y} work.
func (s *shell) Get(name string) expand.Variable {
	if name == "?" {
		return expand.Variable{Set: true, Kind: expand.String, Str: map[bool]string{true: "0", false: "1"}[s.ok]}
	}
	v, ok := s.vars[name]
	if s.spent += len(v); s.spent > maxExpanded {
		v = "" // the file ends at this statement
	}
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
	return &expand.Config{Env: s, ReadDir2: func(dir string) ([]fs.DirEntry, error) {
		if s.listed > maxListed {
			return nil, errors.New("too many files")
		}
		entries, err := s.root.ReadDir(path.Clean("/" + dir))
		s.listed += len(entries) + 1
		for _, e := range entries {
			s.spent += len(e.Name()) * s.size / 10
		}
		if s.spent > maxExpanded {
			return nil, errTooLong
		}
		return entries, err
	}}
}

// literal expands a word that is not split. expand.Literal (v3.14) leaves the backslash of an unquoted "\ " in its result, so
// such a pair is turned into a quoted letter before.
func (s *shell) literal(w *syntax.Word) (string, error) {
	if err := s.afford(w); err != nil {
		return "", err
	}
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

// source evaluates the statements of one file, up to the first that is no shell, as the shell itself would. No file, and no fault of
// the parser's, ends in a panic: that would keep Postfix from starting.
func (s *shell) source(name string, data []byte) {
	s.files = append(s.files, name)
	line := uint(1)
	defer func() {
		if recover() != nil {
			s.warns = append(s.warns, fmt.Sprintf("cannot read %s to its end: not understood from line %d on", name, line))
		}
		s.files = s.files[:len(s.files)-1]
	}()
	if len(data) > maxSettings {
		s.warns = append(s.warns, fmt.Sprintf("cannot read %s: it has more than %d bytes", name, maxSettings))
		return
	}
	failed := false
	parser := syntax.NewParser(syntax.Variant(syntax.LangPOSIX))
	for stmt, err := range parser.StmtsSeq(strings.NewReader(hideOdd(data))) {
		switch fault := (syntax.ParseError{}); {
		case failed || s.done: // the sequence (v3.14) goes on after an error although its loop was left, which is a panic
		case err != nil:
			if failed = true; errors.As(err, &fault) {
				line = fault.Pos.Line()
			}
			s.warns = append(s.warns, fmt.Sprintf("cannot read %s to its end: no shell from line %d on", name, line))
		default:
			line = stmt.Pos().Line()
			s.stmt(stmt)
		}
	}
}

// odd stands for a byte that is not UTF-8, with the byte's value added: the shell takes any byte, in a comment in Latin-1 as in the
// name of a file, but the parser does not. It is in the range for private use.
const odd = 0xf700

// hideOdd puts letters for bytes that are not UTF-8, showOdd puts the bytes back.
func hideOdd(data []byte) string {
	if utf8.Valid(data) {
		return string(data)
	}
	var out strings.Builder
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			r = odd + rune(data[0])
		}
		out.WriteRune(r)
		data = data[size:]
	}
	return out.String()
}

func showOdd(text string) string {
	var out []byte
	for _, r := range text {
		if b := r - odd; b >= utf8.RuneSelf && b <= 0xff {
			out = append(out, byte(b))
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return string(out)
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
	s.steps++
	s.spent += int(stmt.End().Offset() - stmt.Pos().Offset())
	if s.over(stmt.Pos()) {
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

// over tells whether the file has ended, and ends it where it has met a bound.
func (s *shell) over(pos syntax.Pos) bool {
	if !s.done && (s.steps >= maxSteps || s.spent > maxExpanded) {
		s.warn(pos, "the file goes on for too long, the rest is not read")
		s.done = true
	}
	return s.done
}

func (s *shell) command(cmd syntax.Command) bool {
	switch c := cmd.(type) {
	case nil: // a redirection alone
		return true
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
		s.warn(a.Pos(), "cannot work out this value: the variable stays as it was")
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
	args, err := s.fields(c.Args...)
	if err != nil {
		s.warn(c.Pos(), "cannot work out the words of this command")
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
	s.warn(c.Pos(), "not understood: no program is run for this file")
	return false
}

// dot reads another file of settings.
func (s *shell) dot(pos syntax.Pos, args []string) bool {
	if len(args) != 1 || !path.IsAbs(args[0]) || slices.Contains(s.files, args[0]) {
		s.warn(pos, "cannot read another file: needs one absolute path, not of itself")
		return false
	}
	name := showOdd(args[0])
	data, err := s.root.ReadTrusted(name)
	if err != nil {
		s.warn(pos, "cannot read another file: %v", err)
		return false
	}
	s.source(name, data)
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
		s.warn(c.Pos(), "cannot work out the word of this case")
		return false
	}
	for _, item := range c.Items {
		for _, p := range item.Patterns {
			err, pat := s.afford(p), ""
			if err == nil {
				pat, err = expand.Pattern(s.config(), p)
			}
			if err == nil {
				pat, err = pattern.Regexp(pat, pattern.EntireString)
			}
			if err != nil {
				s.warn(p.Pos(), "cannot work out this pattern")
				continue
			}
			// Each letter is tried with each part of the pattern.
			if s.spent += len(word) * len(pat) / 10; s.over(p.Pos()) {
				return false
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
	words, err := s.fields(loop.Items...)
	if err != nil {
		s.warn(c.Pos(), "cannot work out the words of this loop")
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
