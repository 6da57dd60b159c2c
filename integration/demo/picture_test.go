package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// The picture is XML, has the lines that were taken down and no more, and says when that was.
func TestPicture(t *testing.T) {
	var p picture
	p.add("The first", "look <here>", "zero\none\r\n\ttwo & \"three\"\nfour\nfive\n", "one", 3)
	p.add("The second", "again", strings.Repeat("ä", 200), "", 5)
	drawn := string(p.draw(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)))
	d, said := xml.NewDecoder(strings.NewReader(drawn)), ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, drawn)
		}
		if text, ok := token.(xml.CharData); ok {
			said += string(text)
		}
	}
	for _, want := range []string{
		"# The first", "$ look <here>", "...", "one", "    two & \"three\"", "... 2 more lines", "# The second", strings.Repeat("ä", pictureColumns-1) + "…", "30 November 2026",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("nothing of %q in %q", want, said)
		}
	}
	if strings.ContainsAny(said, "\r") || strings.Contains(said, "four") || strings.Contains(said, "zero") || strings.Contains(said, strings.Repeat("ä", pictureColumns)) {
		t.Errorf("too much is shown: %q", said)
	}
}
