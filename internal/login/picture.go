package login

import (
	"strings"

	"rsc.io/qr"
)

// margin is what readers of QR codes need around them (ISO/IEC 18004 has 4; two do on a bright ground of their own).
const margin = 2

// picture draws a QR code for a terminal, two dots in a character, black on white whatever its colours are. "" where the text is too long.
func picture(text string) string {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return ""
	}
	var out strings.Builder
	for y := -margin; y < code.Size+margin; y += 2 {
		out.WriteString("    \x1b[30;107m")
		for x := -margin; x < code.Size+margin; x++ {
			out.WriteString(dots[[2]bool{code.Black(x, y), code.Black(x, y+1)}])
		}
		out.WriteString("\x1b[0m\n")
	}
	return out.String()
}

// dots are the characters for an upper and a lower dot.
var dots = map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}
