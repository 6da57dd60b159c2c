package maincf

import (
	"strings"
	"testing"
)

// vars are the parameters that the cases of TestExpand refer to; the differential test writes them to a main.cf.
var vars = map[string]string{
	"one": "1", "ten": "10", "nine": "9", "text": "some text", "empty": "", "ref": "<$text>", "chain": "[$ref]",
	"dollars": "a$$b", "level": "3.10", "low": "3.6", "word": "true", "loop_a": "$loop_b", "loop_b": "x${loop_a}",
	"self": "a$self", "tests_self": "${tests_self?x}", "loop_rel": "${{$loop_rel} == {}?a:b}", "brace": "}", "bad": "${",
}

// macros are values and their expansion; the differential test asks postconf for the same.
var macros = map[string]string{
	"plain":                              "plain",
	"$text":                              "some text",
	"${text}$(text)":                     "some textsome text",
	"$one/$ten.x":                        "1/10.x",
	"$oneten":                            "",
	"$chain":                             "[<some text>]",
	"$undefined$empty.":                  ".",
	"a$$b $$text":                        "a$b $text",
	"$dollars":                           "a$b",
	"$$$text":                            "$some text",
	"${text?yes}${text:no}":              "yes",
	"${empty?yes}${empty:no}":            "no",
	"${undefined?yes}${undefined:no}":    "no",
	"${text?$ref and $ten}":              "<some text> and 10",
	"${text?{yes}:{no}}":                 "yes",
	"${empty?{yes}:{no}}":                "no",
	"${text ? {yes} : {no}}":             "yes",
	"${ text }":                          "some text",
	"${text?a:b}":                        "a:b",
	"${empty?a:b}":                       "",
	"${text??a}":                         "?a",
	"${text? spaced }":                   " spaced ",
	"${text?{ spaced }}":                 " spaced ",
	"${text?{}}.":                        ".",
	"${text:{a}}.":                       ".",
	"${empty:{${one:{x}}$ten}}":          "10",
	"$(text?(a)(b))":                     "(a)(b)",
	"$(text?})":                          "}",
	"${text?{a {nested} b}}":             "a {nested} b",
	"${{a} == {a}?{y}:{n}}":              "y",
	"${{a} == {b} ? {y} : {n}}":          "n",
	"${{$one}=={1}}":                     "true",
	"${{$one}!={1}}.":                    ".",
	"${{$ten} > {$nine}?{y}:{n}}":        "y",
	"${{$ten} >= {10}?{y}:{n}}":          "y",
	"${{10} < {9}?{y}:{n}}":              "n",
	"${{a10} < {a9}?{y}:{n}}":            "y",
	"${{$ten} <= {x}?{y}:{n}}":           "y",
	"${{} == {}?{y}:{n}}":                "y",
	"${{ a} == {a}?{y}:{n}}":             "n",
	"${{$level} >=level {$low}?{y}:{n}}": "y",
	"${{$level} < {$low}?{y}:{n}}":       "y",
	"${{3} ==level {3.0.0}?{y}:{n}}":     "y",
	"${{2} <level {3.6} ?y:n}":           "y:n",
	"${{ 2} !=level {+3} ?{y}}":          "y",
	"${{a} == {a}:n}.":                   ".",
	"$tests_self":                        "x",
	"${{$one} == {1} ? {${{$ten} > {9} ? {deep} : {x}}} : {$bad}}": "deep",
	"${empty?{$bad}:{ok}}": "ok",
	"é$one":                "é1",
}

// refused are values that Postfix stops at, and our words for it.
var refused = map[string]string{
	"$":                                  "a macro has no name",
	"a $ b":                              "a macro has no name",
	"${}":                                "a macro has no name",
	"${text":                             "no '}' closes a '{'",
	"$(text}":                            "no ')' closes a '('",
	"${a-b}":                             "what a macro names is not a parameter",
	"${a b}":                             "what a macro names is not a parameter",
	"${text?{a}b}":                       `no ":" behind the first text of a choice`,
	"${text?{a}:{b}c}":                   "text behind the last one of a choice",
	"${{a} == {b}x}":                     `no "?" or ":" behind a comparison`,
	"${{a} = {b}}":                       "an operator that Postfix does not have",
	"${{a} {b}}":                         "an operator that Postfix does not have",
	"${{a} == b}":                        "no { } behind an operator",
	"${{a} ==odd {b}}":                   "an operator with a suffix that Postfix does not have",
	"${{1x} ==level {1}}":                `"1x" is not a compatibility level`,
	"${{1} ==level {1.2.3.4}}":           `"1.2.3.4" is not a compatibility level`,
	"${{1} ==level {1.1024}}":            `"1.1024" is not a compatibility level`,
	"${{9} == {99999999999999999999}?a}": "a number is too large",
	"$loop_a":                            "$loop_a leads to itself",
	"$self":                              "$self leads to itself",
	"$loop_rel":                          "$loop_rel leads to itself",
	"$bad":                               "no '}' closes a '{'",
	"${text?$bad}":                       "no '}' closes a '{'",
}

func lookupVars(name string) (string, bool) { v, ok := vars[name]; return v, ok }

func TestExpand(t *testing.T) {
	for value, want := range macros {
		if got, err := Expand(value, lookupVars); err != nil || got != want {
			t.Errorf("Expand(%q) = %q, %v, want %q", value, got, err, want)
		}
	}
	for value, want := range refused {
		got, err := Expand(value, lookupVars)
		if err == nil || err.Error() != "cannot expand: "+want {
			t.Errorf("Expand(%q) = %q, %v, want %s", value, got, err, want)
		}
	}
}

func TestExpandDepth(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("${one?{", n) + "x" + strings.Repeat("}}", n) }
	if got, err := Expand(deep(100), lookupVars); err != nil || got != "x" {
		t.Errorf("100 levels: %q, %v", got, err)
	}
	if _, err := Expand(deep(101), lookupVars); err == nil {
		t.Error("101 levels were expanded")
	}
	// Each name doubles the next: 2^90 words if nothing stops it.
	doubling := func(name string) (string, bool) { return "$x" + name + "$x" + name, len(name) < 90 }
	if _, err := Expand("$x", doubling); err == nil {
		t.Error("an explosion was expanded")
	}
}
