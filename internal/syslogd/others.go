package syslogd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// isHosts tells whether a directory in a chroot is the host's /dev, by a link or a mount.
func (p *Plan) isHosts(dir string) bool {
	there, err := p.host.Root.Stat(dir)
	own, err2 := p.host.Root.Stat(path.Dir(devLog))
	return err == nil && err2 == nil && os.SameFile(there, own)
}

// refuse says why no daemon is told of a socket, what to do, and which file of somebody else's names it all the same.
func (p *Plan) refuse(socket string, why error) {
	listeners := p.listeners()
	if len(listeners) == 0 {
		return
	}
	text := fmt.Sprintf("no syslog daemon is told to listen in the chroot: %v; then run \"postfix-maint chroot sync\"", why)
	for _, d := range daemons {
		if !slices.Contains(listeners, d.service) {
			continue
		}
		others, _ := p.others(d) // what is no longer to be told goes all the same
		for _, f := range others {
			if mentions(f.text, socket) {
				text += fmt.Sprintf(". %s names it to %s all the same: take it out there, then restart %[2]s", f.name, d.service)
			}
		}
	}
	p.warnf("%s", text)
}

// unclaimed gives the sockets that nothing else of the daemon's configuration mentions: two listeners on one socket take it from each other.
func (p *Plan) unclaimed(d daemon, sockets []string) ([]string, error) {
	if ok, err := p.host.Root.Exists(path.Dir(d.file)); err != nil || !ok || len(sockets) == 0 {
		return nil, err // without its directory it is not Debian's configuration, and nothing that the daemon reads
	}
	others, err := p.others(d)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(sockets), func(s string) bool {
		return slices.ContainsFunc(others, func(f file) bool { return mentions(f.text, s) })
	}), nil
}

// file is one that somebody else wrote.
type file struct{ name, text string }

// others is what a daemon reads beside what we wrote.
func (p *Plan) others(d daemon) (all []file, err error) {
	files := []string{d.config}
	if d.file != "" {
		entries, err := p.host.Root.ReadDir(path.Dir(d.file))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot look at the configuration of %s: %w", d.service, err)
		}
		for _, e := range entries {
			if name := path.Join(path.Dir(d.file), e.Name()); strings.HasSuffix(name, ".conf") && name != d.file {
				files = append(files, name)
			}
		}
	}
	for _, name := range files {
		if fi, err := p.host.Root.Stat(name); err != nil || !fi.Mode().IsRegular() {
			continue // unpacked only, a link to nothing, a directory: the daemon reads nothing there
		}
		data, err := p.host.Root.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("cannot look at the configuration of %s: %w", d.service, err)
		}
		text := string(data)
		if before, _, after, err := cut(text); err == nil {
			text = before + after
		}
		all = append(all, file{name, text})
	}
	return all, nil
}

// mentions tells whether a line that is no comment names the socket.
func mentions(text, socket string) bool { return slices.Contains(words(text), socket) }

// words are those of the lines that are no comments.
func words(text string) (all []string) {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			all = append(all, strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r\n\"'=();,", c) })...)
		}
	}
	return all
}

// Named gives the queue directories whose sockets our files name. Who cannot tell at the moment where the chroots are leaves it at these.
func (h Host) Named() (queues []string) {
	for _, d := range daemons {
		name := d.file
		if name == "" {
			name = d.config
		}
		data, err := h.Root.ReadFile(name)
		if err != nil {
			continue // NewPlan says so
		}
		ours := string(data)
		if d.file == "" {
			if _, ours, _, err = cut(ours); err != nil {
				continue
			}
		}
		for _, w := range words(ours) {
			if q, ok := strings.CutSuffix(w, socketPath); ok && path.IsAbs(q) && !slices.Contains(queues, q) {
				queues = append(queues, q)
			}
		}
	}
	return queues
}

// Withdraw takes out of our files what must be named no longer, as a directory has changed hands or another file names the socket. It makes
// no directory and restarts nothing: the next restart, whoever makes it, finds the name gone. It says why.
func (h Host) Withdraw(ctx context.Context) (warnings []string, err error) {
	named := h.Named()
	if len(named) == 0 {
		return nil, nil
	}
	p, err := Host{Root: h.Root}.NewPlan(named)
	if err != nil || len(p.Changes) == 0 {
		return nil, err
	}
	p.dirs = nil
	return p.Warnings, p.Apply(ctx)
}
