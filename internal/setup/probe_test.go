package setup_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
)

// postmap stands in for Postfix's program.
type postmap struct {
	mu   sync.Mutex
	root *sysroot.Root
	err  error
	args []string
	read string // what it found to read
	mode string
}

func (p *postmap) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.args = append([]string{filepath.Base(name)}, args...)
	if data, err := p.root.ReadFile("/run/postfix-maint.probe/main.cf"); err == nil {
		p.read = string(data)
		if file, err := p.root.Stat("/run/postfix-maint.probe/main.cf"); err == nil {
			p.mode = file.Mode().Perm().String()
		}
	}
	return nil, p.err
}

func (p *postmap) Run(context.Context, string, ...string) error { return errors.New("not asked for") }

// Only what Postfix says against a main.cf counts, and nothing stays of the question.
func TestProber(t *testing.T) {
	sysroottest.NeedsRoot(t)
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"it reads it":       {nil, ""},
		"it refuses it":     {&run.ExitError{Code: 1, Stderr: "postmap: warning: x\npostmap: fatal: dictionary mail_dict: macro processing error"}, "macro processing error"},
		"it warns":          {&run.ExitError{Code: 1, Stderr: "postmap: warning: x"}, ""},
		"it finds no key":   {&run.ExitError{Code: 1}, ""},
		"it is not there":   {errors.New("cannot run postmap"), ""},
		"it takes for ever": {context.DeadlineExceeded, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{"run/": "", "run/postfix-maint.probe/main.cf": "of a killed run"})
			asked := &postmap{root: root, err: c.err}
			prober := setup.Prober{Root: root, Run: asked}
			err := prober.MainCF(context.Background(), []byte("x = y\n"))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if asked.read != "x = y\n" || asked.mode != "-rw-------" || !slices.Contains(asked.args, "-c") {
				t.Errorf("it read %q of mode %s by %q", asked.read, asked.mode, asked.args)
			}
			if there, _ := root.Exists("/run/postfix-maint.probe"); there {
				t.Error("something stays")
			}
			if err := prober.Table(context.Background(), "hash:/x"); (err == nil) != (c.want == "") {
				t.Errorf("a table: %v", err)
			}
			if err := prober.Table(context.Background(), "/no/file"); err == nil {
				t.Error("a file that is not there is taken")
			}
		})
	}
}

// both are two programs of which none answers before the other one is asked.
type both struct {
	asked   sync.WaitGroup
	answers map[string]error // by the program's name
}

func (b *both) Output(_ context.Context, name string, _ ...string) ([]byte, error) {
	b.asked.Done()
	all := make(chan struct{})
	go func() { b.asked.Wait(); close(all) }()
	select {
	case <-all:
		return nil, b.answers[filepath.Base(name)]
	case <-time.After(10 * time.Second):
		return nil, &run.ExitError{Code: 1, Stderr: "fatal: it is asked alone"}
	}
}

func (*both) Run(context.Context, string, ...string) error { return errors.New("not asked for") }

// Two programs are asked about a main.cf, side by side; each may refuse it.
func TestBothAreAskedAtOnceNeedsRoot(t *testing.T) {
	sysroottest.NeedsRoot(t)
	refusal := func(why string) error { return &run.ExitError{Code: 1, Stderr: "x: fatal: " + why} }
	for name, c := range map[string]struct {
		answers map[string]error
		want    string
	}{
		"both take it":        {nil, ""},
		"the first refuses":   {map[string]error{"postmap": refusal("one")}, "postmap says: one"},
		"the second refuses":  {map[string]error{"postconf": refusal("two")}, "postconf says: two"},
		"both refuse":         {map[string]error{"postmap": refusal("one"), "postconf": refusal("two")}, "postmap says: one"},
		"the first is absent": {map[string]error{"postmap": errors.New("cannot run"), "postconf": refusal("two")}, "postconf says: two"},
	} {
		t.Run(name, func(t *testing.T) {
			root := sysroottest.New(t, map[string]string{"run/": ""})
			programs := &both{answers: c.answers}
			programs.asked.Add(2)
			err := setup.Prober{Root: root, Run: programs}.MainCF(t.Context(), []byte("x = y\n"))
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != c.want {
				t.Errorf("error %q, want %q", said, c.want)
			}
			if there, _ := root.Exists("/run/postfix-maint.probe"); there {
				t.Error("something stays")
			}
		})
	}
}
