package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/doctor"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/status"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/sysroot/transaction"
)

// printed is what each command with --json prints.
var printed = map[string]any{
	"status": status.Report{}, "doctor": doctor.Report{}, "check-config": placedNotes{}, "check-config --fix": changes[transaction.Change]{},
	"doctor --fix": doctor.Report{}, "history": pasts{}, "history show": past{}, "apply": changes[setup.Change]{},
	"undo": changes[transaction.Change]{}, "sandbox": profile{}, "dynamicmap add": changes[transaction.Change]{},
	"dynamicmap remove": changes[transaction.Change]{}, "instance list": instanceList{}, "instance create": changes[transaction.Change]{},
	"instance enable": changes[transaction.Change]{}, "instance disable": changes[transaction.Change]{},
	"instance remove": changes[transaction.Change]{}, "chroot status": chrootReports{}, "chroot check": chrootReports{}, "chroot sync": chrootReports{},
	"chroot on": chrootReports{}, "chroot off": chrootReports{}, "smarthost set": changes[smarthost.Change]{},
	"smarthost login": changes[smarthost.Change]{}, "smarthost unset": changes[smarthost.Change]{}, "smarthost show": smarthost.Status{}, "smarthost test": smarthost.Result{},
	"test":          smarthost.Mail{},
	"smarthost add": changes[smarthost.Change]{}, "smarthost remove": changes[smarthost.Change]{}, "smarthost list": smarthost.SenderList{},
	"smarthost providers": providerList{},
	"adopt":               adopt.Result{}, "adopt --install": adopt.Report{}, "adopt --revert": adopt.Report{}, "adopt --status": adopt.Report{},
}

// fill gives every member of a value something, so that its JSON has them all.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	}
}

// What each command prints for machines stays what it is: a member may come, none may go or be renamed while the format has its number.
func TestJSONStaysWhatItIs(t *testing.T) {
	all := map[string]string{}
	for _, r := range table() {
		command, option, _ := r.option()
		heads := rowOf(t, command)
		if r.do == nil || !heads.has("json") || slices.Contains([]string{"hand-over", "refresh"}, option) {
			continue
		}
		zero, ok := printed[r.words]
		if !ok {
			t.Errorf("nobody knows what %q prints", r.words)
			continue
		}
		v := reflect.New(reflect.TypeOf(zero))
		fill(v.Elem())
		var out strings.Builder
		c := &call{row: r, stdout: &out, changed: true, Context: &cli.Context{Command: &cli.Command{Flags: heads.flags}}}
		if err := c.document(v.Interface(), nil); err != nil {
			t.Error(err)
		}
		all[out.String()] += "$ postfix-maint " + r.words + " --json\n"
		for _, key := range regexp.MustCompile(`"([^"]*)":`).FindAllStringSubmatch(out.String(), -1) {
			if !regexp.MustCompile(`^[a-z][a-z0-9_]*$`).MatchString(key[1]) {
				t.Errorf("%s: %q is not written like the others", r.words, key[1])
			}
		}
	}
	var texts []string
	for document, calls := range all {
		texts = append(texts, calls+document)
	}
	slices.Sort(texts)
	golden(t, "json.txt", strings.Join(texts, ""))
}

// With --json there is exactly one document, also of what fails or is not understood, and the exit status stays what it is.
func TestErrorsAreDocuments(t *testing.T) {
	failing := func(err error) []row {
		return []row{{words: "x", flags: changing(), do: shown(
			func(context.Context, *call) (*profile, error) { return nil, err }, printSandbox)}}
	}
	for name, c := range map[string]struct {
		rows []row
		args string
		code int
		want string
	}{
		"a failure":             {failing(errors.New("it broke <here>")), "x --json", 1, `{"kind":"failed","message":"it broke <here>","exit_status":1}`},
		"not root":              {failing(rootError{errors.New("only root can")}), "x --json", 1, `{"kind":"root","message":"only root can","exit_status":1}`},
		"findings":              {failing(findings(3)), "x --json", 1, `{"kind":"findings","message":"findings: 3","exit_status":1}`},
		"an unknown option":     {failing(nil), "x --json --zzz", 2, `{"kind":"usage","message":"x: there is no option --zzz","exit_status":2}`},
		"an unknown word":       {failing(nil), "--json frob", 2, `{"kind":"usage","message":"unknown command \"frob\"; \"postfix-maint help\" lists all","exit_status":2}`},
		"who cannot look":       {failing(blindError{errors.New("dark")}), "x --json", 2, `{"kind":"failed","message":"dark","exit_status":2}`},
		"for people":            {failing(errors.New("it broke")), "x", 1, ""},
		"a maintainer script's": {table(), "postinst nonsense --json", 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs strings.Builder
			code := executeRows(t.Context(), c.rows, append([]string{"postfix-maint"}, strings.Fields(c.args)...), &out, &errs)
			if code != c.code || errs.Len() == 0 {
				t.Errorf("exit status %d, %q", code, errs.String())
			}
			if c.want == "" {
				if out.Len() > 0 {
					t.Errorf("printed %q", out.String())
				}
				return
			}
			var got struct {
				Format int     `json:"format"`
				Error  failure `json:"error"`
			}
			if err := json.Unmarshal([]byte(out.String()), &got); err != nil || got.Format != 1 {
				t.Fatalf("%v in %q", err, out.String())
			}
			var want failure
			if err := json.Unmarshal([]byte(c.want), &want); err != nil || got.Error != want {
				t.Errorf("%v: %+v, want %+v", err, got.Error, want)
			}
		})
	}
}

// What was changed, and what would be, can be told by the exit status and in the document; what failed is told as such.
func TestDetailedExitcode(t *testing.T) {
	t.Setenv("DPKG_ROOT", sysroottest.New(t, map[string]string{"run/": ""}).Dir())
	for name, c := range map[string]struct {
		made bool
		err  error
		args string
		code int
	}{
		"changed":                      {true, nil, "--detailed-exitcode", 3},
		"changed, for machines":        {true, nil, "--detailed-exitcode --json", 3},
		"it would be":                  {true, nil, "--detailed-exitcode --dry-run", 3},
		"nothing to do":                {false, nil, "--detailed-exitcode --json", 0},
		"changed, and nobody asked":    {true, nil, "--json", 0},
		"half of it was changed":       {true, errors.New("it broke"), "--detailed-exitcode --json", 1},
		"nothing was changed, a fault": {false, errors.New("it broke"), "--detailed-exitcode", 1},
	} {
		t.Run(name, func(t *testing.T) {
			rows := []row{{words: "x", flags: changing(), who: anywhere, locks: true}}
			rows[0].do = shown(func(_ context.Context, k *call) (*changes[transaction.Change], error) {
				if c.made {
					k.did("edit it", "-a\n+b\n")
				}
				return changed[transaction.Change](nil, nil, nil), c.err
			}, printMade)
			var out, errs strings.Builder
			code := executeRows(t.Context(), rows, append([]string{"postfix-maint", "x"}, strings.Fields(c.args)...), &out, &errs)
			if code != c.code || (errs.Len() > 0) != (c.err != nil) {
				t.Errorf("exit status %d, %q", code, errs.String())
			}
			if strings.Contains(c.args, "--json") && !strings.Contains(out.String(), fmt.Sprintf("\"changed\": %t", c.made)) {
				t.Errorf("printed %q", out.String())
			}
		})
	}
}

// Whatever changes something can be dry, can print for machines and tells changes from none.
func TestChangersAreAlike(t *testing.T) {
	for _, r := range table() {
		command, _, isOption := r.option()
		heads := rowOf(t, command)
		if r.do == nil || isOption || !r.locks {
			continue
		}
		for _, name := range []string{"dry-run", "json", detailed} {
			if !heads.has(name) {
				t.Errorf("%q has no --%s", r.words, name)
			}
		}
	}
}

// An ordinary user is told at once what only root can do, before anything is looked at; with DPKG_ROOT the tree may be anybody's.
func TestOnlyRootCan(t *testing.T) {
	for _, r := range table() {
		if (r.locks || strings.HasPrefix(r.words, "history")) && !r.who.dpkg && r.who.root == "" && r.words != "sandbox" { // anybody may ask for its status
			t.Errorf("%q does not say what only root can do", r.words)
		}
		if strings.HasPrefix(r.who.root, "cannot") {
			t.Errorf("%q: only root can %s?", r.words, r.who.root)
		}
	}
}
