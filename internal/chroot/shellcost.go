package chroot

import (
	"errors"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

var errTooLong = errors.New("it goes on for too long")

// afford counts what the patterns in words may cost before they are expanded: each letter of what ${x#pattern} takes one off, or of a
// file's name, is tried with each part of the pattern. What one of the words sets has no known length.
func (s *shell) afford(words ...*syntax.Word) error {
	sets, cuts, tried := false, false, 0
	s.size = 0
	for _, w := range words {
		syntax.Walk(w, func(n syntax.Node) bool {
			switch n := n.(type) {
			case *syntax.Lit:
				s.size += len(n.Value)
			case *syntax.SglQuoted:
				s.size += len(n.Value)
			case *syntax.ParamExp:
				value := len(s.vars[n.Param.Value])
				if s.size += value; n.Exp == nil {
					break
				}
				switch n.Exp.Op {
				case syntax.AssignUnset, syntax.AssignUnsetOrNull:
					sets = true
				case syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix:
					cuts, tried = true, tried+value
				}
			}
			return true
		})
	}
	if s.spent += tried * s.size / 10; s.spent > maxExpanded || sets && cuts {
		return errTooLong
	}
	return nil
}

// fields expands words and splits them.
func (s *shell) fields(words ...*syntax.Word) ([]string, error) {
	if err := s.afford(words...); err != nil {
		return nil, err
	}
	return expand.Fields(s.config(), words...)
}
