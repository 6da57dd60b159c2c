package chroot

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// parse reads a list. Most of it are the lines of its files, as save writes them: encoding/json takes a third of the time of a whole hook for
// them. What stands there in another form is left to it.
func (k *kept) parse(data []byte) error {
	const begin, end = "\n\t\"files\": {\n", "\n\t}"
	from := bytes.Index(data, []byte(begin))
	if from < 0 {
		return json.Unmarshal(data, k)
	}
	lines := data[from+len(begin):]
	to := bytes.Index(lines, []byte(end))
	if to < 0 {
		return json.Unmarshal(data, k)
	}
	files, ok := parseLines(string(lines[:to]))
	if !ok {
		return json.Unmarshal(data, k)
	}
	rest := append(append(bytes.Clone(data[:from]), "\n\t\"files\": {"...), lines[to:]...)
	if err := json.Unmarshal(rest, k); err != nil || len(k.Files) > 0 {
		*k = kept{}
		return json.Unmarshal(data, k)
	}
	k.Files = files
	return nil
}

// parseLines reads lines of the form <tab><tab>"NAME": "ENTRY", with a comma behind each but the last, and no letter that JSON would write
// otherwise.
func parseLines(text string) (map[string]*keptFile, bool) {
	if strings.ContainsAny(text, "\\\r\x00") || !utf8.ValidString(text) {
		return nil, false
	}
	files := make(map[string]*keptFile, strings.Count(text, "\n")+1)
	all := make([]keptFile, strings.Count(text, "\n")+1)
	for n := 0; text != ""; n++ {
		line, rest, more := strings.Cut(text, "\n")
		text = rest
		if last := !strings.HasSuffix(line, ","); last == more {
			return nil, false
		}
		line, begins := strings.CutPrefix(strings.TrimSuffix(line, ","), "\t\t\"")
		line, ends := strings.CutSuffix(line, "\"")
		name, entry, ok := strings.Cut(line, "\": \"")
		if !begins || !ends || !ok || strings.ContainsAny(name, "\"\t") || strings.ContainsAny(entry, "\"\t") || files[name] != nil {
			return nil, false
		}
		f := &all[n]
		if err := f.parse(entry); err != nil {
			return nil, false
		}
		files[name] = f
	}
	return files, true
}
