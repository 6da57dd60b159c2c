package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"testing"
)

// The way of an answer into main.cf is told in CONTRIBUTING.md in at most six steps, and each is where it is said to be.
func TestTheWayOfAnAnswer(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	steps := regexp.MustCompile("(?m)^[0-9]+\\. `([^`]+)`: `([^`]+)` ").FindAllSubmatch(text, -1)
	if len(steps) == 0 || len(steps) > 6 {
		t.Errorf("the way has %d steps", len(steps))
	}
	for _, s := range steps {
		file, err := parser.ParseFile(token.NewFileSet(), "../"+string(s[1]), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.ContainsFunc(file.Decls, func(d ast.Decl) bool {
			f, ok := d.(*ast.FuncDecl)
			return ok && f.Name.Name == string(s[2])
		}) {
			t.Errorf("%s has no %s", s[1], s[2])
		}
	}
}
