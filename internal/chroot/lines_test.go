package chroot

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// TestListsAreReadAsJSON holds the quick way against encoding/json, for what save writes and for what was damaged or written by others.
func TestListsAreReadAsJSON(t *testing.T) {
	t.Parallel()
	k := &kept{Queue: "/q", Form: form, Serial: "S", Files: map[string]*keptFile{}, Links: map[string]string{"etc/l": "x"}, Dirs: []string{"etc"}}
	for n := range 5 {
		k.Files[fmt.Sprintf("etc/%d", n)] = &keptFile{sums: []string{"a", "b"}[:n%3], source: untrusted, copy: signature{1, 2, 3, int64(n)}}
	}
	data, err := json.MarshalIndent(k, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	plain := string(data)
	if _, quick := parseLines(plain[strings.Index(plain, "{\n\t\t\"")+2 : strings.Index(plain, "\n\t}")]); !quick {
		t.Error("what save writes is not read the quick way")
	}
	texts := []string{plain, "{", "", "{}", `{"files": null}`}
	for _, change := range [][2]string{
		{"etc/0", `etc/\u00fc`}, {"etc/0", "etc/ü"}, {"etc/0", "etc/\xff"}, {"etc/0", "etc/\\"}, {"etc/0", "etc/1"}, {"etc/0", "etc/0\" \""},
		{"etc/0", "etc/0\t"}, {" 1:2:3:0\",", " 1:2:3:0\""}, {" 1:2:3:4\"", " 1:2:3:4\","}, {" 1:2:3:0", " 1:2:3"}, {" 1:2:3:0", " 1:2:3:0 x"},
		{"\t\t\"etc/1", "\t\"etc/1"}, {"\t\t\"etc/1", "\n\t\t\"etc/1"}, {"files", "others"}, {"\"links\"", "\"files\""}, {"\"a ", "null, \"x\": \""},
		{"\n\t}", "\n}"}, {"directories", "files"},
	} {
		texts = append(texts, strings.Replace(plain, change[0], change[1], 1))
	}
	for n := 0; n < len(plain); n += 13 {
		texts = append(texts, plain[:n], plain[:n]+"\x00\x00"+plain[n+2:min(len(plain), n+40)])
	}
	for _, text := range texts {
		got, want := &kept{}, &kept{}
		gotErr, wantErr := got.parse([]byte(text)), json.Unmarshal([]byte(text), want)
		if (gotErr == nil) != (wantErr == nil) || wantErr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngives %+v, %v\nwant  %+v, %v", text, got, gotErr, want, wantErr)
		}
	}
}

// TestLinesBesideAListAreReadAsJSON is the same for the lines of changes.
func TestLinesBesideAListAreReadAsJSON(t *testing.T) {
	t.Parallel()
	d := delta{Serial: "S", Pending: true, Files: map[string]*keptFile{
		"etc/0": nil, "etc/1": {sums: []string{"a", "b"}, source: untrusted, copy: signature{1, 2, 3, 4}}, "etc/2": {sums: []string{"c"}},
	}}
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	plain := string(data) + "\n"
	end := strings.Replace(plain, `,"pending":true`, "", 1)
	none := `{"serial":"S","files":{}}` + "\n"
	for _, text := range []string{plain, end, none} {
		if _, quick := parseDelta(text); !quick {
			t.Errorf("what is written is not read the quick way: %s", text)
		}
	}
	texts := []string{plain, end, none, "{", "", "{}\n", "\n", string(data), string(data) + "\n\n"}
	for _, change := range [][2]string{
		{"etc/0", `etc/\u00fc`}, {"etc/0", "etc/ü"}, {"etc/0", "etc/\xff"}, {"etc/0", "etc/\\"}, {"etc/0", "etc/1"}, {"etc/1", "etc/0"}, {"etc/0", "etc/0\""},
		{"etc/0", "etc/0\t"}, {"etc/0", "etc/0\x01"}, {"S", "S\n"}, {"S", ""}, {"true", "false"}, {"true", "null"}, {"null", "nul"}, {"null,", "null"}, {"null", `""`},
		{"1:2:3:4\"", "1:2:3:4\","}, {"1:2:3:4", "1:2:3"}, {"1:2:3:4", "1:2:3:4 x"}, {"files", "others"}, {"serial", "Serial"}, {"}}", "}"}, {"}}", ",}}"},
		{"}}", "}} "}, {"}}", "}}}}"}, {`{"etc`, `{,"etc`}, {`":`, `" :`}, {`"pending"`, `"pending":true,"pending"`},
	} {
		texts = append(texts, strings.Replace(plain, change[0], change[1], 1))
	}
	for n := range plain {
		texts = append(texts, plain[:n], plain[:n]+"\x00\x00"+plain[n:])
	}
	for _, text := range texts {
		got, want := delta{}, delta{}
		gotErr, wantErr := got.parse([]byte(text)), json.Unmarshal([]byte(text), &want)
		if (gotErr == nil) != (wantErr == nil) || wantErr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngives %+v, %v\nwant  %+v, %v", text, got, gotErr, want, wantErr)
		}
	}
}
