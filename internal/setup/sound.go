package setup

import (
	"context"
	"path"
	"slices"
	"strings"

	"postfix-maint/internal/chroot"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/sysroot"
)

// sound tells whether "postfix check-fatal" has nothing to say against the instance in dir. That command (postfix-script and post-install of
// Postfix) executes more than thirty programs to read a parameter each, to find the queue's directories all there, and to run postsuper(1).
// The last one is run here too: it evaluates main.cf as postfix(1) does, and looks through the queue. The rest is known from the files. What
// is out of the ordinary is not judged here: then it is false, and that command decides.
func sound(ctx context.Context, t Terminal, root *sysroot.Root, dir string) bool {
	inst, err := instance.ByConfigDir(root, dir)
	if err != nil {
		return false
	}
	text, err := root.ReadFile(path.Join(inst.ConfigDir, "main.cf"))
	if err != nil {
		return false
	}
	conf, err := maincf.Parse(text)
	if err != nil {
		return false
	}
	value := func(name string) string {
		if name == "meta_directory" {
			v, _ := instance.MetaDir(root, conf, inst.ConfigDir)
			return v
		}
		v, _ := instance.Value(conf, inst.ConfigDir, name) // "" is no absolute path
		return v
	}
	if !placesThere(root, conf, inst.ConfigDir, value) || !complete(root, conf, inst.ConfigDir, value("meta_directory")) {
		return false
	}
	// With maillog_file the service postlog is looked for in master.cf.
	if !isFile(root, path.Join(inst.ConfigDir, "master.cf")) || value("maillog_file") != "" {
		return false
	}
	p, err := chroot.NewPlan(chroot.Deps{Root: root}, inst)
	if err == nil {
		_, err = p.Check()
	}
	return err == nil && t.OnTerminal(ctx, paths.Postsuper, "-c", inst.ConfigDir) == nil
}

// placesThere looks at the parameters that are directories, or paths at least, in both scripts.
func placesThere(root *sysroot.Root, conf *maincf.File, dir string, value func(string) string) bool {
	for _, name := range strings.Fields("command_directory daemon_directory meta_directory queue_directory shlib_directory") {
		v := value(name)
		if name == "shlib_directory" && v == "no" {
			continue
		}
		if fi, err := root.Stat(v); !path.IsAbs(v) || err != nil || !fi.IsDir() {
			return false
		}
	}
	for _, name := range strings.Fields("sendmail_path newaliases_path mailq_path manpage_directory html_directory readme_directory") {
		if _, set := conf.Get(name); !set {
			continue // compiled in
		}
		v, err := instance.Expand(conf, dir, "$"+name)
		if err != nil || !path.IsAbs(v) && !(v == "no" && slices.Contains([]string{"html_directory", "readme_directory"}, name)) {
			return false
		}
	}
	return isFile(root, path.Join(value("daemon_directory"), path.Base(paths.Master)))
}

// complete tells whether "post-install create-missing" would find each directory that postfix-files, or a file in the directory beside it,
// says it makes: path, type d, owner, group, mode and flags, c among them.
func complete(root *sysroot.Root, conf *maincf.File, dir, meta string) bool {
	lists := []string{path.Join(meta, paths.PostfixFiles)}
	more, _ := root.ReadDir(lists[0] + ".d") // it need not be there
	for _, e := range more {
		lists = append(lists, path.Join(lists[0]+".d", e.Name()))
	}
	for _, list := range lists {
		text, err := root.ReadFile(list)
		if err != nil {
			return false
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Split(strings.TrimSpace(line), ":")
			if strings.HasPrefix(line, "#") || len(f) < 6 || f[1] != "d" || !strings.Contains(f[5], "c") {
				continue
			}
			name, err := instance.Expand(conf, dir, f[0])
			if fi, e := root.Stat(name); err != nil || e != nil || !fi.IsDir() {
				return false
			}
		}
	}
	return true
}

// isFile tells whether name is a regular file, as "test -f".
func isFile(root *sysroot.Root, name string) bool {
	fi, err := root.Stat(name)
	return err == nil && fi.Mode().IsRegular()
}

// quick makes the next start of the instance in dir go without the check that it has just passed: postfix-script looks for this file, which
// "postfix quick-stop" leaves, and takes it away. Nobody gets mail while that check runs. The start must follow at once; after it done takes
// away what is left. Only where the queue directory is root's alone: what a name there means is nobody else's to say.
func quick(root *sysroot.Root, dir string) (done func()) {
	inst, err := instance.ByConfigDir(root, dir)
	if err != nil || root.Trusted(inst.QueueDir) != nil {
		return func() {}
	}
	name := path.Join(inst.QueueDir, paths.QuickStart)
	_, _ = root.SweepTemp(name)
	_, _ = root.WriteFile(name, nil, sysroot.Attr{}) // without it the start takes longer
	return func() { _, _ = root.Remove(name) }
}
