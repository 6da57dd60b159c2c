package main

import (
	"io"
	"strings"
	"testing"
)

func TestPasswordLine(t *testing.T) {
	for text, want := range map[string]string{
		"geheim": "geheim", "geheim\n": "geheim", "geheim\r\n": "geheim", "\ufeffgeheim\r\n": "geheim", " a b ": " a b ", "\t\n": "\t",
		"": "", "\n": "", "\r\n": "", "\ufeff": "", "a\nb\n": "", "a\n\n": "", "\na": "",
	} {
		if got, err := passwordLine(text); string(got) != want || (err == nil) != (want != "") || err != nil && strings.Contains(err.Error(), "a\n") {
			t.Errorf("%q gives %q, %v", text, string(got), err)
		}
	}
}

// A call that is not understood ends with 2, whichever command it is for, and nothing is done.
func TestUsage(t *testing.T) {
	for call, want := range map[string]int{
		"": 2, "nonsense": 2, "--nonsense": 2, "--help": 0, "--version": 0,
		"chroot": 2, "chroot nonsense": 2, "chroot check --nonsense": 2, "chroot check - --nonsense": 2, "chroot status a b": 2,
		"instance": 2, "instance nonsense": 2, "instance create": 2, "instance create a --group": 2, "instance list a": 2, "instance list --help": 0,
		"smarthost": 2, "smarthost nonsense": 2, "smarthost set a": 2, "smarthost set --nonsense": 2, "smarthost test": 2,
		"smarthost show --instance=": 2, "smarthost set --user=": 2, "smarthost test --wait=0s a@example.com": 2,
		"dynamicmap": 2, "dynamicmap nonsense": 2, "dynamicmap add": 2, "sandbox": 2, "adopt a b": 2, "apply --nonsense": 2,
	} {
		t.Run(call, func(t *testing.T) {
			var stderr strings.Builder
			got := execute(t.Context(), append([]string{"postfix-maint"}, strings.Fields(call)...), io.Discard, &stderr)
			if got != want || (stderr.Len() > 0) != (want != 0) {
				t.Errorf("exit status %d, want %d; standard error: %q", got, want, stderr.String())
			}
		})
	}
}
