package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNobodySeesIt(t *testing.T) {
	type holder struct{ Password Secret }
	s := Secret("t0ken")
	var text strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("x", "it", s, "holder", holder{s})
	for _, verb := range []string{"%v", "%s", "%q", "%x", "%d", "%+v", "%#v", "%10s", "%t"} {
		for _, what := range []any{s, &s, holder{s}, &holder{s}, []Secret{s}, map[string]Secret{"a": s}} {
			text.WriteString(fmt.Sprintf(verb, what) + "\n")
		}
	}
	text.WriteString(fmt.Sprint(s, holder{s}) + fmt.Errorf("cannot log in: %v", s).Error())
	for _, what := range []any{s, holder{s}, map[string]Secret{"a": s}} {
		out, err := json.Marshal(what)
		if err != nil {
			t.Error(err)
		}
		text.Write(out)
	}
	if said := text.String(); strings.Contains(said, "t0ken") || strings.Contains(said, fmt.Sprintf("%x", "t0ken")) || !strings.Contains(said, "*") {
		t.Errorf("shown is\n%s", said)
	}
}
