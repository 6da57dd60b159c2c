package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// owners plans that a queue which came from another host or a volume, and whose owner is a number without an account here, goes back to
// Postfix: it would not start. What belongs to an account of this host stays, for somebody wanted that; it is only said.
func (p *Plan) owners(ctx context.Context, queue, data string) error {
	if p.h.main != nil && value(p.h.main, "mail_owner", mailOwner) != mailOwner {
		return nil
	}
	var foreign []string
	look := func(dir, owner, group string, deep bool) error {
		whose, err := p.ownedBy(ctx, dir, owner, group)
		if err != nil || whose == "" {
			return err
		}
		if whose != nobodys {
			foreign = append(foreign, fmt.Sprintf("%s (%s)", dir, whose))
			return nil
		}
		p.giveBack(dir, owner, group, deep)
		return nil
	}
	for _, d := range queueDirs {
		if queue == "" {
			break
		}
		if err := look(queue+"/"+d.name, d.owner, d.group, d.name != "maildrop"); err != nil { // there messages are their senders'
			return err
		}
	}
	if data != "" {
		if err := look(data, mailOwner, mailOwner, true); err != nil {
			return err
		}
	}
	if len(foreign) > 0 {
		p.warn("Postfix can't use what another account owns: %s; chown(1) gives it to %s, if that is meant", strings.Join(foreign, ", "), mailOwner)
	}
	return nil
}

// nobodys stands for an owner without an account.
const nobodys = "#"

// ownedBy tells who else than owner has dir, "" if nobody has, nobodys if it is a number without an account. What is root's is set right by
// postfix-script(8) at the next start, as it always was.
func (p *Plan) ownedBy(ctx context.Context, dir, owner, group string) (string, error) {
	fi, err := p.d.Root.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.IsDir() {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot look for %q: %w", dir, err)
	}
	uid, gid := sysroot.Owner(fi)
	if name, err := p.stranger(ctx, paths.Passwd, "passwd", owner, uid); name != "" && uid != 0 || err != nil {
		return name, err
	}
	// A group of this host that is not ours does no harm that "postfix check" would not tell of.
	if name, err := p.stranger(ctx, paths.Group, "group", group, gid); name == nobodys || err != nil {
		return name, err
	}
	return "", nil
}

// stranger gives the name of the account or group with number n where that is not the wanted one, nobodys where it has none.
func (p *Plan) stranger(ctx context.Context, file, db, wanted string, n int) (string, error) {
	if wanted == "root" && n == 0 {
		return "", nil
	}
	want, made, err := p.id(ctx, file, db, wanted, 2)
	if err != nil || made && n == want {
		return "", err
	}
	name, err := p.named(ctx, file, db, n)
	return cmp.Or(name, nobodys), err
}

// named gives the name of an account or group by its number, "" if no name service knows one.
func (p *Plan) named(ctx context.Context, file, db string, n int) (string, error) {
	text, err := p.d.Root.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot read %q: %w", file, err)
	}
	if p.d.Root.IsHost() && !strings.Contains(string(text), fmt.Sprintf(":%d:", n)) {
		text, _ = p.d.Run.Output(ctx, "getent", db, fmt.Sprint(n)) // exit status 2: no such number
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == fmt.Sprint(n) {
			return f[0], nil
		}
	}
	return "", nil
}

// giveBack plans that dir, and with deep what is in it and of the same owner, goes to owner and group.
func (p *Plan) giveBack(dir, owner, group string, deep bool) {
	p.add(Change{What: fmt.Sprintf("give %s, whose owner has no account, to %s:%s", dir, owner, group), Path: dir, do: func(ctx context.Context) error {
		attr, err := p.attr(ctx, 0, owner, group)
		if err != nil {
			return err
		}
		real, err := p.d.Root.Path(dir)
		if err != nil {
			return err
		}
		parent, err := sysroot.OpenDir(path.Dir(real))
		if err != nil {
			return fmt.Errorf("cannot give %q to %s: %w", dir, owner, err)
		}
		defer parent.Close()
		fi, err := parent.Lstat(path.Base(real))
		if err == nil {
			g := giver{from: 0, attr: attr}
			g.from, g.fromGroup = sysroot.Owner(fi)
			err = g.give(ctx, parent, path.Base(real), deep, 0)
		}
		if err != nil {
			return warning{fmt.Errorf("cannot give %q to %s: %w", dir, owner, err)}
		}
		return nil
	}})
}

// giver gives the files of one owner to another. Each is looked at and given by one descriptor, so that nobody can put another in between.
type giver struct {
	from, fromGroup int
	attr            sysroot.Attr
}

// deepest is more than hash_queue_depth (postconf(5)) makes.
const deepest = 20

// give starts with what is in a directory: a run that is killed finds the rest by the directory's owner.
func (g giver) give(ctx context.Context, in *os.Root, name string, deep bool, depth int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := in.OpenFile(name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // delivered meanwhile
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return err
	}
	if kind := st.Mode & unix.S_IFMT; kind == unix.S_IFDIR && deep && depth < deepest {
		if err := g.within(ctx, in, name, depth); err != nil {
			return err
		}
	} else if kind == unix.S_IFREG && st.Nlink > 1 {
		return nil // it has a name elsewhere, where it may be somebody's
	}
	if int(st.Uid) != g.from {
		return nil
	}
	gid := g.attr.GID
	if depth > 0 && int(st.Gid) != g.fromGroup {
		gid = int(st.Gid)
	}
	return unix.Fchownat(int(f.Fd()), "", g.attr.UID, gid, unix.AT_EMPTY_PATH)
}

func (g giver) within(ctx context.Context, in *os.Root, name string, depth int) error {
	dir, err := sysroot.OpenDirIn(in, name)
	if err != nil {
		return err
	}
	defer dir.Close()
	d, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	for _, n := range names {
		err = errors.Join(err, g.give(ctx, dir, n, true, depth+1))
	}
	return err
}
