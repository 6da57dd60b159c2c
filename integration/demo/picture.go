package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	svg "github.com/ajstarks/svgo"
)

// picture is a terminal as somebody would have seen it who typed what the demo runs.
type picture struct {
	lines []shownLine
}

// shownLine is a line of it: a remark, what was typed, or what was answered.
type shownLine struct {
	kind lineKind
	text string
}

type lineKind int

const (
	answer lineKind = iota
	remark
	typed
)

// colours of the kinds of lines.
var colours = map[lineKind]string{answer: "#d0d0d0", remark: "#8a9ba8", typed: "#8fd694"}

// Of the picture: how much text it has place for, and how large that is.
const (
	pictureColumns = 104
	fontSize       = 13
	letterWidth    = 8
	lineHeight     = 18
	margin         = 18
	bar            = 34 // the window's
)

// add takes down a step: what it is about, the command as a person types it, and of its output so many lines, from the one on that
// begins with a text.
func (p *picture) add(about, command, output, from string, most int) {
	if len(p.lines) > 0 {
		p.lines = append(p.lines, shownLine{answer, ""})
	}
	p.lines = append(p.lines, shownLine{remark, "# " + about}, shownLine{typed, command})
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, from) }); i > 0 {
		lines = append([]string{"..."}, lines[i:]...)
	}
	if rest := len(lines) - most; rest > 0 {
		lines = append(lines[:most:most], fmt.Sprintf("... %d more lines", rest))
	}
	for _, line := range lines {
		p.lines = append(p.lines, shownLine{answer, strings.TrimRight(strings.ReplaceAll(line, "\t", "    "), " \r")})
	}
}

// draw gives the picture as SVG.
func (p *picture) draw(when time.Time) []byte {
	var b bytes.Buffer
	width, height := pictureColumns*letterWidth+2*margin, bar+len(p.lines)*lineHeight+3*margin
	s := svg.New(&b)
	s.Startview(width, height, 0, 0, width, height)
	s.Title("make demo: Postfix is preseeded, installed, looked at, and sends its first mail")
	s.Roundrect(0, 0, width, height, 8, 8, "fill:#1e2329")
	for i, colour := range []string{"#e0625b", "#e3b341", "#58a65c"} {
		s.Circle(margin+i*20, bar/2, 6, "fill:"+colour)
	}
	s.Gstyle(fmt.Sprintf("font-family:'DejaVu Sans Mono',Menlo,Consolas,monospace;font-size:%dpx;white-space:pre", fontSize))
	for i, line := range p.lines {
		text := []rune(line.text)
		if len(text) > pictureColumns {
			text = append(text[:pictureColumns-1:pictureColumns-1], '…')
		}
		if line.kind == typed {
			text = append([]rune("$ "), text...)
		}
		s.Text(margin, bar+(i+1)*lineHeight, string(text), `xml:space="preserve"`, `fill="`+colours[line.kind]+`"`)
	}
	s.Text(margin, height-margin/2, "as \"make demo\" ran it on "+when.UTC().Format("2 January 2006"), `fill="#8a9ba8"`)
	s.Gend()
	s.End()
	return b.Bytes()
}

// keep writes the picture.
func (p *picture) keep(file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("cannot keep the picture: %w", err)
	}
	if err := os.WriteFile(file, p.draw(time.Now()), 0o644); err != nil {
		return fmt.Errorf("cannot keep the picture: %w", err)
	}
	return nil
}
