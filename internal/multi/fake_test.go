package multi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"postfix-maint/internal/elfdep/elfdeptest"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/sysroot/sysroottest"
	"postfix-maint/internal/systemd"
)

// fake is a host without Postfix and systemd: postmulti(1), systemctl(1) and systemd are played on a tree. Each small step of
// theirs, and each change of the code under test, counts; at a chosen step the whole host dies, as if the power was cut.
type fake struct {
	t       *testing.T
	root    *sysroot.Root
	active  map[string]bool
	masked  string // unit
	failing string // the command line or job that fails, by a piece of it
	calls   []string
	shown   []string
	warned  []string
	quick   []string // units whose start left out Postfix's checks

	steps, dieAt int
}

// died is the panic at the chosen step.
type died struct{}

const (
	protoMain = "# prototype\ncompatibility_level = 3.6\nqueue_directory = /var/spool/postfix\ndata_directory = /var/lib/postfix\n"
	smtpLine  = "smtp inet n - y - - smtpd\n"
	relay     = "relay unix - - y - - smtp\n\t-o syslog_name=postfix/$service_name\n"
)

func newFake(t *testing.T, more map[string]string) *fake {
	sysroottest.NeedsRoot(t)
	files := map[string]string{
		"etc/postfix/main.cf":                    "# primary\ninet_interfaces = 10.0.0.1\nmulti_instance_enable = no\n",
		"etc/postfix/master.cf":                  smtpLine + relay,
		"etc/postfix/main.cf.proto":              protoMain,
		"etc/postfix/master.cf.proto":            smtpLine + relay,
		"etc/hosts":                              "127.0.0.1 localhost\n",
		"etc/nsswitch.conf":                      "hosts: files dns\n",
		"etc/resolv.conf":                        "nameserver 10.0.0.53\n",
		"etc/services":                           "smtp 25/tcp\n",
		"dev/log":                                "the socket",
		"etc/rsyslog.d/":                         "",
		"usr/sbin/rsyslogd":                      "",
		"etc/systemd/system/":                    "",
		"var/spool/postfix/":                     "",
		"var/lib/postfix/":                       "",
		"usr/lib/postfix/sbin/smtpd":             string(elfdeptest.Object{}.Bytes()),
		"usr/lib/x86_64-linux-gnu/libgcc_s.so.1": string(elfdeptest.Object{}.Bytes()),
	}
	for name, content := range more {
		files[name] = content
	}
	return &fake{t: t, root: sysroottest.New(t, files), active: map[string]bool{}}
}

// host is a fresh start of the program.
func (f *fake) host() *Host {
	return &Host{
		Root: f.root, Run: f, Systemd: f, Sockets: snippets{f.root},
		Runs:    func(inst instance.Instance) bool { return f.active[f.unitIn(inst.ConfigDir)] },
		Allowed: func(context.Context, string, string) (bool, error) { return true, nil },
		Show: func(c Change) {
			f.shown = append(f.shown, c.What)
			f.step()
		},
		Warn: func(w string) { f.warned = append(f.warned, w) },
	}
}

func (f *fake) step() {
	if f.steps++; f.steps == f.dieAt {
		panic(died{})
	}
}

// survive runs a command; it tells whether the host died meanwhile.
func (f *fake) survive(do func(*Host) error) (dead bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(died); !ok {
				panic(r)
			}
			dead = true
		}
	}()
	return false, do(f.host())
}

func (f *fake) fails(what string) error {
	f.calls = append(f.calls, what)
	if f.failing != "" && strings.Contains(what, f.failing) {
		return &run.ExitError{Args: strings.Fields(what), Code: 1, Stderr: "it is said to fail"}
	}
	return nil
}

// Output plays the programs.
func (f *fake) Output(_ context.Context, name string, args ...string) ([]byte, error) {
	line := strings.Join(append([]string{path.Base(name)}, args...), " ")
	if err := f.fails(line); err != nil {
		return nil, err
	}
	switch {
	case name == "getent":
		return []byte(fmt.Sprintf("%s:x:%d:\n", args[1], map[string]int{"passwd": os.Getuid(), "group": os.Getgid()}[args[0]])), nil
	case name == paths.Postmulti:
		return nil, f.postmulti(args[1], args[2:])
	}
	return nil, nil
}

func (f *fake) OnTerminal(ctx context.Context, name string, args ...string) error {
	_, err := f.Output(ctx, name, args...)
	return err
}

func (f *fake) path(p string) string { return filepath.Join(f.root.Dir(), p) }

func (f *fake) unitIn(dir string) string {
	inst, err := instance.ByConfigDir(f.root, dir)
	if err != nil {
		return ""
	}
	return inst.Unit()
}

// set is postconf -e.
func (f *fake) set(dir string, edits ...maincf.Edit) {
	f.t.Helper()
	name := f.path(mainOf(dir))
	data, err := os.ReadFile(name)
	if err != nil {
		f.t.Fatal(err)
	}
	file, err := maincf.Parse(data)
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := file.Apply(edits...); err != nil {
		f.t.Fatal(err)
	}
	f.step()
	f.put(name+".tmp", file.Bytes())
	f.step()
	if err := os.Rename(name+".tmp", name); err != nil {
		f.t.Fatal(err)
	}
	f.step()
}

func (f *fake) put(name string, data []byte) {
	f.t.Helper()
	if err := os.WriteFile(name, data, 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// append is an editor.
func (f *fake) append(name string) {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	if err != nil {
		f.t.Fatal(err)
	}
	f.put(f.path(name), append(data, "# by hand\n"...))
}

// postmulti does what postmulti-script does, in its order.
func (f *fake) postmulti(action string, args []string) error {
	opt := map[string]string{}
	for i, a := range args {
		if name, value, ok := strings.Cut(a, "="); ok {
			opt[name] = value
		} else if i+1 < len(args) {
			opt[a] = args[i+1]
		}
	}
	dir := opt["config_directory"]
	if dir == "" {
		dir = opt["-i"]
	}
	switch action {
	case "init":
		f.set(paths.ConfigDir, maincf.Set("multi_instance_wrapper", "${command_directory}/postmulti -p --"), maincf.Set("multi_instance_enable", "yes"))
	case "create":
		f.skeleton(dir, opt["queue_directory"], opt["data_directory"])
		f.join(dir, opt)
	case "import":
		f.join(dir, opt)
	case "enable":
		f.set(f.selected(dir), maincf.Set("multi_instance_enable", "yes"))
	case "disable":
		f.set(f.selected(dir), maincf.Set("multi_instance_enable", "no"))
	case "destroy":
		return f.destroy(dir)
	}
	return nil
}

func (f *fake) selected(dir string) string {
	if dir == "-" {
		return paths.ConfigDir
	}
	return dir
}

// skeleton makes the files and directories of a new instance.
func (f *fake) skeleton(dir, queue, data string) {
	tmp := path.Join(dir, ".tmp")
	for _, d := range []string{dir, queue, data, tmp} {
		if err := os.MkdirAll(f.path(d), 0o755); err != nil {
			f.t.Fatal(err)
		}
		f.step()
	}
	proto, _ := os.ReadFile(f.path(paths.MainProto))
	f.put(f.path(mainOf(tmp)), proto)
	f.set(tmp, maincf.Set("queue_directory", queue), maincf.Set("data_directory", data), maincf.Set("authorized_submit_users", ""),
		maincf.Set("master_service_disable", "inet"))
	proto, _ = os.ReadFile(f.path(paths.MasterProto))
	f.put(f.path(masterOf(tmp)), proto)
	f.step()
	for _, of := range []func(string) string{mainOf, masterOf} {
		if err := os.Rename(f.path(of(tmp)), f.path(of(dir))); err != nil {
			f.t.Fatal(err)
		}
		f.step()
	}
	_ = os.Remove(f.path(tmp))
	f.step()
}

// join names the instance, puts it on the list, and makes its queue.
func (f *fake) join(dir string, opt map[string]string) {
	var edits []maincf.Edit
	if n := opt["-I"]; n != "" {
		edits = append(edits, maincf.Set("multi_instance_name", n))
	}
	if g := opt["-G"]; g != "" {
		edits = append(edits, maincf.Set("multi_instance_group", g))
	}
	if edits != nil {
		f.set(dir, edits...)
	}
	f.list(append(f.listed(), dir))
	inst, err := instance.ByConfigDir(f.root, dir)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, sub := range queueDirs {
		if err := os.MkdirAll(f.path(path.Join(inst.QueueDir, sub)), 0o700); err != nil {
			f.t.Fatal(err)
		}
		if sub == "hold" { // half of them
			f.step()
		}
	}
	f.step()
}

func (f *fake) listed() []string {
	s, err := f.host().readSite()
	if err != nil {
		f.t.Fatal(err)
	}
	return s.dirs
}

func (f *fake) list(dirs []string) {
	f.set(paths.ConfigDir, maincf.Set("multi_instance_directories", strings.Join(dirs, " ")))
}

func (f *fake) destroy(dir string) error {
	inst, err := instance.ByConfigDir(f.root, dir)
	switch {
	case err != nil:
		return err
	case inst.Enabled:
		return errors.New("Cannot remove enabled instances")
	case f.active[inst.Unit()]:
		return fmt.Errorf("Instance %q is not stopped", dir)
	}
	f.list(slices.DeleteFunc(f.listed(), func(d string) bool { return d == dir }))
	for _, sub := range queueDirs {
		_ = os.Remove(f.path(path.Join(inst.QueueDir, sub)))
		if sub == "hold" {
			f.step()
		}
	}
	for _, p := range []string{inst.DataDir, inst.QueueDir, masterOf(dir), mainOf(dir), dir} {
		_ = os.Remove(f.path(p))
		f.step()
	}
	return nil
}

func (f *fake) link(unit string) string {
	return f.path(path.Join(paths.AdminUnits, "postfix.service.wants", unit))
}

// Enable is "systemctl --no-reload enable".
func (f *fake) Enable(_ context.Context, unit string) error {
	if err := f.fails("enable " + unit); err != nil {
		return err
	}
	f.step()
	return errors.Join(os.MkdirAll(filepath.Dir(f.link(unit)), 0o755), os.Symlink("/x", f.link(unit)))
}

// Disable is "systemctl --no-reload disable".
func (f *fake) Disable(_ context.Context, unit string) error {
	if err := f.fails("disable " + unit); err != nil {
		return err
	}
	f.step()
	_ = os.Remove(f.path(path.Join(paths.AdminUnits, "multi-user.target.wants", unit)))
	_ = os.Remove(f.link(unit))
	return nil
}

// ResetFailed is "systemctl reset-failed".
func (f *fake) ResetFailed(_ context.Context, unit string) error {
	return f.fails("reset-failed " + unit)
}

// Reload is systemd's daemon-reload.
func (f *fake) Reload(context.Context) error { return f.fails("daemon-reload") }

// Start starts a unit: its daemons leave traces.
func (f *fake) Start(_ context.Context, unit string) error {
	if err := f.fails("start " + unit); err != nil {
		return err
	}
	f.active[unit] = true
	inst, err := instance.Find(f.root, part(unit))
	if err != nil {
		return err
	}
	if os.Remove(f.path(path.Join(inst.QueueDir, "quick-start"))) == nil { // postfix-script
		f.quick = append(f.quick, unit)
	}
	for _, name := range []string{"deferred/A", "pid/master.pid", "private/smtp", "defer/A1"} {
		name = f.path(path.Join(inst.QueueDir, name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		if filepath.Base(name) == "A" { // a hash directory
			_ = os.Mkdir(name, 0o700)
			continue
		}
		f.put(name, nil)
	}
	if err := os.MkdirAll(f.path(inst.DataDir), 0o700); err != nil {
		return err
	}
	f.put(f.path(path.Join(inst.DataDir, "master.lock")), nil)
	f.step()
	return nil
}

// Stop stops a unit.
func (f *fake) Stop(_ context.Context, unit string) error {
	if err := f.fails("stop " + unit); err != nil {
		return err
	}
	f.active[unit] = false
	f.step()
	return nil
}

// State is the state of a unit.
func (f *fake) State(_ context.Context, unit string) (systemd.State, error) {
	load := "loaded"
	if unit == f.masked {
		load = "masked"
	}
	return systemd.State{Load: load, Active: map[bool]string{true: "active", false: "inactive"}[f.active[unit]]}, nil
}

// States are those of the units that were started once.
func (f *fake) States(context.Context, string) (map[string]string, error) {
	states := map[string]string{}
	for unit, active := range f.active {
		states[unit] = map[bool]string{true: "active", false: "inactive"}[active]
	}
	return states, nil
}

// tree is the host's files; the places where our own notes stand are left out.
func (f *fake) tree() map[string]string {
	f.t.Helper()
	tree := sysroottest.Dump(f.t, f.root.Dir(), false)
	for name := range tree {
		if strings.HasPrefix("/"+name, paths.StateDir) && !strings.HasSuffix("/"+name, paths.InstanceWork) || name == "etc/systemd/system/postfix.service.wants" {
			delete(tree, name)
		}
	}
	return tree
}

// halfWrites leaves what writes of ours leave that are killed in the middle.
func (f *fake) halfWrites() {
	f.t.Helper()
	for _, name := range []string{"etc/postfix/.postfix-maint-tmp.main.cf.A", "etc/postfix-in/.postfix-maint-tmp.main.cf.A", "etc/postfix-in/.postfix-maint-tmp.master.cf.A", "etc/rsyslog.d/.postfix-maint-tmp.postfix-maint-postfix-in.conf.A"} {
		if _, err := os.Stat(filepath.Dir(f.path(name))); err == nil {
			f.put(f.path(name), []byte("half"))
		}
	}
	_ = os.Mkdir(f.path("var/spool/postfix-in/.postfix-maint-tmp.dev.A"), 0o700)
	_ = os.Mkdir(f.path("var/spool/postfix-in/.postfix-maint-tmp.active.A"), 0o700)
}

// snippets stands for a syslog daemon that reads a file for each instance.
type snippets struct{ root *sysroot.Root }

func (s snippets) file(inst instance.Instance) string {
	return "/etc/rsyslog.d/postfix-maint-" + part(inst.Unit()) + ".conf"
}

func (s snippets) Due(inst instance.Instance) (bool, error) {
	there, err := s.root.Exists(s.file(inst))
	return !there, err
}

func (s snippets) Provide(_ context.Context, inst instance.Instance) error {
	if err := s.sweep(inst); err != nil {
		return err
	}
	if _, err := s.root.MkdirAll(inst.QueueDir+"/dev", sysroot.Attr{}); err != nil {
		return err
	}
	_, err := s.root.WriteFile(s.file(inst), []byte("listen in "+inst.QueueDir+"/dev/log\n"), sysroot.Attr{})
	return err
}

func (s snippets) Withdraw(_ context.Context, inst instance.Instance) error {
	if err := s.sweep(inst); err != nil {
		return err
	}
	if _, err := s.root.Remove(s.file(inst)); err != nil {
		return err
	}
	if _, err := s.root.Remove(inst.QueueDir + "/dev/log"); err != nil {
		return err
	}
	left, err := s.root.ReadDir(inst.QueueDir + "/dev")
	if err == nil && len(left) == 0 {
		_, err = s.root.Remove(inst.QueueDir + "/dev")
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

func (s snippets) sweep(inst instance.Instance) error {
	_, err := s.root.SweepTemp(s.file(inst))
	_, err2 := s.root.SweepTemp(inst.QueueDir + "/dev")
	return errors.Join(err, err2)
}
