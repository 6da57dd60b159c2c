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

// parse reads a line beside a list. Dozens of them may wait for the list to be written anew, and each hook reads them all: encoding/json took
// more time for that than the hook had for its copies. What has another form than beside gives it is left to it.
func (d *delta) parse(line []byte) error {
	if quick, ok := parseDelta(string(line)); ok {
		*d = quick
		return nil
	}
	return json.Unmarshal(line, d)
}

// parseDelta reads {"serial":"SERIAL","pending":true,"files":{"NAME":"ENTRY",...}}, where pending may be left out and an entry may be null, with
// no letter that JSON would write otherwise.
func parseDelta(text string) (d delta, ok bool) {
	odd := func(c rune) bool { return c < ' ' || c == '\\' }
	text, whole := strings.CutSuffix(text, "}}\n")
	if !whole || strings.ContainsFunc(text, odd) || !utf8.ValidString(text) {
		return d, false
	}
	rest, begins := strings.CutPrefix(text, `{"serial":"`)
	serial, rest, more := strings.Cut(rest, `"`)
	d.Serial = serial
	rest, d.Pending = strings.CutPrefix(rest, `,"pending":true`)
	rest, files := strings.CutPrefix(rest, `,"files":{`)
	if !begins || !more || !files {
		return d, false
	}
	d.Files = map[string]*keptFile{}
	for rest != "" {
		if rest, ok = d.parseFile(rest); !ok {
			return d, false
		}
	}
	return d, true
}

// parseFile reads one file, and the comma behind it if there is one.
func (d *delta) parseFile(text string) (rest string, ok bool) {
	text, begins := strings.CutPrefix(text, `"`)
	name, text, named := strings.Cut(text, `":`)
	if _, twice := d.Files[name]; !begins || !named || twice || strings.Contains(name, `"`) {
		return "", false
	}
	if rest, none := strings.CutPrefix(text, "null"); none {
		d.Files[name] = nil
		return behind(rest)
	}
	text, begins = strings.CutPrefix(text, `"`)
	entry, rest, ends := strings.Cut(text, `"`)
	f := &keptFile{}
	if !begins || !ends || f.parse(entry) != nil {
		return "", false
	}
	d.Files[name] = f
	return behind(rest)
}

// behind takes the comma that another file follows.
func behind(text string) (rest string, ok bool) {
	if text == "" {
		return "", true
	}
	rest, comma := strings.CutPrefix(text, ",")
	return rest, comma && rest != ""
}
