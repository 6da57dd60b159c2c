package login

import (
	"strings"
	"testing"

	"rsc.io/qr"
)

// The picture is read back, dot by dot, with a white margin all around; black on white whatever the terminal's colours are.
func TestPicture(t *testing.T) {
	const address = "https://login.example/device?user_code=ABCD-EFGH"
	code, err := qr.Encode(address, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	black := map[[2]int]bool{}
	height, width := 0, 0
	for line := range strings.Lines(picture(address)) {
		row, begins := strings.CutPrefix(line, "    \x1b[30;107m")
		row, ends := strings.CutSuffix(row, "\x1b[0m\n")
		if !begins || !ends {
			t.Fatalf("%q has not its colours", line)
		}
		width = 0
		for _, c := range row {
			black[[2]int{width, height}], black[[2]int{width, height + 1}] = c == '█' || c == '▀', c == '█' || c == '▄'
			width++
		}
		height += 2
	}
	if width != code.Size+4 || height < code.Size+4 || height > code.Size+5 {
		t.Errorf("it has %d by %d dots, the code %d", width, height, code.Size)
	}
	for y := range height {
		for x := range width {
			if black[[2]int{x, y}] != code.Black(x-2, y-2) {
				t.Fatalf("the dot %d, %d of the code is wrong", x-2, y-2)
			}
		}
	}
	if picture(strings.Repeat("x", 5000)) != "" {
		t.Error("a text that is too long for a code has a picture")
	}
}

// What gets onto a terminal is short, and commands nothing.
func TestPrintable(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "a": true, "\x1b[2J": false, "a\nb": false, "ä": false, "~": true, "\x7f": false, strings.Repeat("x", 2000): true, strings.Repeat("x", 2001): false,
	} {
		if printable(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
