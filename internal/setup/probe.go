package setup

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
)

// probeLimit bounds one question to Postfix; a table of an answer may have to ask a server.
const probeLimit = 10 * time.Second

// Prober asks Postfix's own programs about a configuration that is not in force. It changes nothing but a directory of its own.
type Prober struct {
	Root *sysroot.Root
	Run  Runner
}

// plainMain is a main.cf that says nothing that could be wrong: on a new host there is none yet.
const plainMain = "compatibility_level = 3.6\nmyhostname = localhost.localdomain\nmynetworks = 127.0.0.0/8\nmail_owner = daemon\nsetgid_group = mail\n"

// MainCF lets Postfix read a main.cf in a place of its own. postmap(1) evaluates all parameters that every program of Postfix evaluates
// when it starts (mail_params.c), and ends where one is wrong; the table "static" needs no file, and the queue is not looked at.
// postconf(1) expands those of single programs: proxy_read_maps, say, refers to most others. The error is what Postfix says.
func (p Prober) MainCF(ctx context.Context, mainCF []byte) error {
	return p.with(ctx, mainCF,
		[]string{paths.Postmap, "-c", paths.ProbeDir, "-q", "postmaster", "static:ok"},
		[]string{paths.Postconf, "-c", paths.ProbeDir, "-x"})
}

// with runs programs, side by side, that find a main.cf in the place of the question. Of two errors it is the first one's: both may say
// the same, and that one is shorter.
func (p Prober) with(ctx context.Context, mainCF []byte, questions ...[]string) error {
	p.clear() // of a killed run, as wide as that left it
	defer p.clear()
	if _, err := p.Root.MkdirAll(paths.ProbeDir, sysroot.Attr{Mode: 0o700}); err != nil {
		return nil // no place to ask: nothing is known against it
	}
	file := paths.ProbeDir + "/main.cf"
	if _, err := p.Root.WriteFile(file, mainCF, sysroot.Attr{Mode: 0o600, Settled: true}); err != nil {
		return nil
	}
	errs := make([]error, len(questions))
	var others sync.WaitGroup
	for n := 1; n < len(questions); n++ {
		others.Go(func() { errs[n] = p.ask(ctx, questions[n][0], questions[n][1:]...) })
	}
	errs[0] = p.ask(ctx, questions[0][0], questions[0][1:]...)
	others.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// clear takes the place of the question away. What stays nevertheless is gone with the next boot.
func (p Prober) clear() {
	file := paths.ProbeDir + "/main.cf"
	_, _ = p.Root.SweepTemp(file)
	for _, path := range []string{file, paths.ProbeDir} {
		_, _ = p.Root.Remove(path)
	}
}

// Table lets Postfix open a table, or look for the file that a list names.
func (p Prober) Table(ctx context.Context, table string) error {
	if strings.HasPrefix(table, "/") {
		if ok, err := p.Root.Exists(table); !ok && err == nil {
			return fmt.Errorf("there is no file %q", table)
		}
		return nil
	}
	return p.with(ctx, []byte(plainMain), []string{paths.Postmap, "-c", paths.ProbeDir, "-q", "postmaster", table})
}

// ask runs a program. What is no verdict of Postfix's, such as a program that is not there or a key that is not found, is no error.
func (p Prober) ask(ctx context.Context, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	_, err := p.Run.Output(ctx, program, args...)
	exit := (*run.ExitError)(nil)
	if !errors.As(err, &exit) {
		return nil
	}
	for line := range strings.Lines(exit.Stderr) {
		if _, fatal, found := strings.Cut(line, "fatal: "); found {
			return fmt.Errorf("%s says: %s", path.Base(program), strings.TrimSpace(fatal))
		}
	}
	return nil
}
