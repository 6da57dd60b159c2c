package setup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

const (
	mailOwner   = "postfix"
	setgidGroup = "postdrop"
)

// accounts plans the user and group postfix and the group postdrop, as system accounts (Debian policy 9.2.2). One that exists is
// kept, wherever it comes from; only a user postfix with another primary group is mended (U05).
func (p *Plan) accounts(ctx context.Context) error {
	gid, haveGroup, err := p.id(ctx, paths.Group, "group", mailOwner, 2)
	if err != nil {
		return err
	}
	_, haveDrop, err := p.id(ctx, paths.Group, "group", setgidGroup, 2)
	if err != nil {
		return err
	}
	primary, haveUser, err := p.id(ctx, paths.Passwd, "passwd", mailOwner, 3)
	if err != nil {
		return err
	}
	step := userDue(haveUser, p.local(mailOwner), haveGroup && primary == gid)
	if !haveGroup || !haveUser || !haveDrop {
		declared, err := p.declared()
		if err != nil {
			return err
		}
		if declared {
			p.exec("make the accounts that "+paths.Sysusers+" declares", false, "systemd-sysusers", path.Base(paths.Sysusers))
			haveGroup, haveDrop = true, true
			if step == addUser {
				step = keepUser
			}
		}
	}
	if !haveGroup {
		p.account("add group "+mailOwner, "groupadd", "addgroup", []string{"--system", mailOwner})
	}
	p.userStep(step)
	if !haveDrop {
		p.account("add group "+setgidGroup, "groupadd", "addgroup", []string{"--system", setgidGroup})
	}
	return nil
}

// declared tells whether the package declares its accounts for systemd-sysusers(8), of which it then depends on a package that has it, and
// not on adduser. Below DPKG_ROOT the shadow tools make them all the same: the builder's systemd may be too old to read the declaration.
func (p *Plan) declared() (bool, error) {
	if !p.d.Root.IsHost() {
		return false, nil
	}
	there, err := p.d.Root.Exists(paths.Sysusers)
	if err != nil {
		return false, fmt.Errorf("cannot look for %q: %w", paths.Sysusers, err)
	}
	return there, nil
}

// userStep plans what is done about the user postfix.
func (p *Plan) userStep(step userStep) {
	switch step {
	case addUser:
		p.account("add user "+mailOwner, "useradd", "adduser", []string{"--system", "--home", paths.QueueDir,
			"--no-create-home", "--disabled-password", "--ingroup", mailOwner, mailOwner})
	case changeGroup:
		p.account("make "+mailOwner+" the primary group of user "+mailOwner, "usermod", "usermod", []string{"-g", mailOwner, mailOwner})
	case tellGroup:
		p.warn("the primary group of user %s is not %s, and the user comes from another name service: mend it there", mailOwner, mailOwner)
	}
}

// userStep is what is done about the user postfix.
type userStep int

const (
	keepUser userStep = iota
	addUser
	changeGroup
	tellGroup
)

// userDue decides. A user of another name service (LDAP) is out of usermod(8)'s reach, which would fail, and with it the installation.
func userDue(exists, local, grouped bool) userStep {
	switch {
	case !exists:
		return addUser
	case grouped:
		return keepUser
	case local:
		return changeGroup
	}
	return tellGroup
}

// local tells whether a user is in the password file of the tree, where the tools that change accounts look for it.
func (p *Plan) local(user string) bool {
	text, err := p.d.Root.ReadFile(paths.Passwd)
	_, here := idIn(string(text), user, 2)
	return err == nil && here
}

// account plans one call: adduser(8)'s way on this system; below DPKG_ROOT the shadow tools, which can work on another tree.
func (p *Plan) account(what, shadow, program string, args []string) {
	if p.d.Root.IsHost() {
		p.exec(what, false, program, args...)
		return
	}
	in := []string{"--root", p.d.Root.Dir()}
	switch shadow {
	case "useradd":
		in = append(in, "--system", "--home-dir", paths.QueueDir, "--no-create-home", "--shell", paths.Nologin, "--gid", mailOwner, mailOwner)
	default:
		in = append(in, args...)
	}
	p.exec(what, false, shadow, in...)
}

// id looks an account up: in the file first, and where it is not there by getent(1), which knows the other name services.
func (p *Plan) id(ctx context.Context, file, db, name string, field int) (int, bool, error) {
	data, err := p.d.Root.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, false, fmt.Errorf("cannot read %q: %w", file, err)
	}
	n, ok := idIn(string(data), name, field)
	if ok || !p.d.Root.IsHost() {
		return n, ok, nil
	}
	out, err := p.d.Run.Output(ctx, "getent", db, name) // exit status 2: no such name
	if err != nil {
		return 0, false, nil
	}
	n, ok = idIn(string(out), name, field)
	return n, ok, nil
}

// idIn finds name in the text of passwd(5) or group(5) and gives the number in the given field.
func idIn(text, name string, field int) (int, bool) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if f[0] != name || len(f) <= field {
			continue
		}
		if n, err := strconv.Atoi(f[field]); err == nil {
			return n, true
		}
	}
	return 0, false
}

// attr resolves names to numbers when a change is done: the accounts may be made in the same run.
func (p *Plan) attr(ctx context.Context, mode fs.FileMode, owner, group string) (sysroot.Attr, error) {
	a := sysroot.Attr{Mode: mode}
	if owner != "root" {
		uid, ok, err := p.id(ctx, paths.Passwd, "passwd", owner, 2)
		if err != nil {
			return a, err
		}
		if !ok {
			return a, fmt.Errorf("cannot find user %q", owner)
		}
		a.UID = uid
	}
	if group != "root" {
		gid, ok, err := p.id(ctx, paths.Group, "group", group, 2)
		if err != nil {
			return a, err
		}
		if !ok {
			return a, fmt.Errorf("cannot find group %q", group)
		}
		a.GID = gid
	}
	return a, nil
}
