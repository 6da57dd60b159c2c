package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"postfix-maint/internal/adopt"
	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/chroot"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/notes"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/procs"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
	"postfix-maint/internal/systemd"
)

// reconfiguring tells whether dpkg-reconfigure(8) runs the scripts: nothing was unpacked then.
func reconfiguring() bool { return os.Getenv("DEBCONF_RECONFIGURE") != "" }

// config asks the questions (debconf-devel(7)). It runs before the package is unpacked and again before postinst.
func config(ctx context.Context, args []string, stderr io.Writer) error {
	root, err := openRoot()
	if err != nil {
		return err
	}
	if intent := setup.Intent(root); intent != nil && !reconfiguring() {
		return resume(intent, stderr)
	}
	configured := "" // dpkg and debconf give the version that was configured last
	if len(args) > 1 {
		configured = args[1]
	}
	if setup.Upgrading(root, configured, reconfiguring()) {
		return nil
	}
	live, err := setup.Live(root)
	if err != nil { // postinst says so as well, and leaves the configuration alone
		fmt.Fprintf(stderr, "postfix-maint: no questions are asked: %v\n", err)
		return nil
	}
	client, err := debconf.Open()
	if err != nil {
		return err
	}
	return askQuestions(ctx, root, client, live, configured)
}

// askQuestions asks, and notes which answers in the database are nobody's.
func askQuestions(ctx context.Context, root *sysroot.Root, client *debconf.Client, live map[answers.Question]string, configured string) error {
	if inst, err := primaryInstance(root); err == nil && live != nil {
		about, _, err := smarthost.Live(root, inst)
		if about == nil {
			return err
		}
		maps.Copy(live, about) // what cannot be told is not asked; postinst warns of it
	}
	if _, err := client.Capb("escape"); err != nil {
		return err
	}
	given, err := answers.Load(client)
	if err != nil {
		return err
	}
	state, _ := setup.LoadState(root, configured) // postinst says what is damaged, and sets it aside
	if err := ask.Run(client, ask.Input{
		Facts: facts(ctx, root, installedVersion(root)), Live: live, Base: state.BaseOf(given), Reconfigure: reconfiguring(),
		Check: checkRelayAnswer(ctx, root),
	}); err != nil {
		return err
	}
	now, err := answers.Load(client)
	if err != nil {
		return err
	}
	return setup.Fill(root, state, now)
}

// resume asks nothing: an interrupted postinst goes on with the answers that it noted. The frontend that died with it has not
// saved them, so they are put into the database again.
func resume(intent answers.Answers, stderr io.Writer) error {
	fmt.Fprintln(stderr, "postfix-maint: an interrupted configuration is completed first, with the answers that it noted")
	client, err := debconf.Open()
	if err != nil {
		return err
	}
	if _, err := client.Capb("escape"); err != nil {
		return err
	}
	now, err := answers.Load(client)
	if err != nil {
		return err
	}
	for q, a := range intent {
		if now[q].Value == a.Value && now[q].Answered == a.Answered {
			continue
		}
		if err := client.Set(string(q), a.Value); err != nil {
			return err
		}
		if err := client.SetFlag(string(q), answers.SeenFlag, a.Answered); err != nil {
			return err
		}
	}
	return nil
}

// postinst does what dpkg calls it for (Debian policy 6.5).
func postinst(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("postinst needs the arguments that dpkg gives it")
	}
	root, err := openRoot()
	if err != nil {
		return err
	}
	log := recordScript(root, "postinst", args)
	defer func() { sayUndo(log, stderr) }()
	switch args[0] {
	case "configure":
		return configure(ctx, root, args[1:], stderr)
	case "triggered":
		return triggered(ctx, root, args[1:], stderr)
	case "abort-remove", "abort-deconfigure":
		return startAgain(ctx, root, stderr)
	case "abort-upgrade":
		return nil // nothing was stopped
	}
	return fmt.Errorf("postinst called with unknown argument %q", args[0])
}

func configure(ctx context.Context, root *sysroot.Root, args []string, stderr io.Writer) error {
	client, err := debconf.Open()
	if err != nil {
		return err
	}
	if _, err := client.Capb("escape"); err != nil {
		return err
	}
	old := ""
	if len(args) > 0 {
		old = args[0]
	}
	defer lockForScript(ctx, root, "postinst", stderr).Release()
	recoverRelay(ctx, root, stderr)
	takeOver(root, old, stderr)
	svc, done := service(root)
	defer done()
	plan, err := setup.Configure(ctx, func() (*setup.Plan, func() error, error) {
		plan, settle, err := planSetup(ctx, root, client, svc, setup.Request{Old: old, Reconfigure: reconfiguring()})
		return plan, func() error {
			if err := settle(); err != nil {
				return err
			}
			return client.Stop()
		}, err
	}, show(stderr))
	if plan != nil {
		sayPlan(stderr, plan)
	}
	// Whatever went wrong: the conffile of an earlier version, which named the socket, has gone by now.
	syncSyslog(ctx, root, chrootQueues(root), stderr)
	if err != nil {
		return err
	}
	forgetPassword(root, plan, stderr)
	if old != "" && !reconfiguring() {
		sayNotes(root, stderr)
	}
	return nil
}

// planSetup plans a run with the answers in the debconf database. settle takes the wishes' flags back there, once they are applied,
// and a password, once it is stored, and notes what the answers about the relay became.
func planSetup(ctx context.Context, root *sysroot.Root, db *debconf.Client, svc setup.Service, req setup.Request) (plan *setup.Plan, settle func() error, err error) {
	if req.Answers, err = answers.Load(db); err != nil {
		return nil, nil, err
	}
	password, err := relayPassword(db)
	if err != nil {
		return nil, nil, err
	}
	req.Package = installedVersion(root)
	req.Facts = facts(ctx, root, req.Package)
	about := smarthost.Deps{Root: root, Run: run.Runner{}, Units: loginUnits(root)}
	deps := setup.Deps{Root: root, Run: run.Runner{}, Service: svc, Relay: relay(about, password)}
	if root.IsHost() {
		probe := setup.Prober{Root: root, Run: run.Runner{}}
		deps.Probe, deps.Table = probe.MainCF, probe.Table
	}
	plan, err = setup.NewPlan(ctx, deps, req)
	return plan, func() error { return settleAnswers(db, plan, req.Answers, password != "") }, err
}

// settleAnswers is what planSetup says of settle.
func settleAnswers(db *debconf.Client, plan *setup.Plan, given answers.Answers, password bool) error {
	if plan.Held {
		return nil
	}
	for q, a := range given {
		flags := map[string]bool{answers.ChangedFlag: a.Changed, answers.TypedFlag: a.Typed}
		for flag, set := range flags {
			if !set || plan.Refused[q] || slices.Contains(plan.Waiting, q) {
				continue
			}
			if err := db.SetFlag(string(q), flag, false); err != nil {
				return err
			}
		}
	}
	now, err := plan.Settled()
	if err != nil {
		return err
	}
	for q, v := range now {
		if _, known := given[q]; !known || plan.Refused[q] {
			continue
		}
		if err := db.Set(string(q), v); err != nil {
			return err
		}
	}
	if !password || plan.RelayRefused() || plan.Upgrade() {
		return nil
	}
	return db.Reset(string(answers.RelayPassword))
}

// forgetPassword takes a password that is stored by now out of all files of debconf's. It is the last thing of a run, and done by each: one
// that was killed before it has nothing else that would tell of it.
func forgetPassword(root *sysroot.Root, plan *setup.Plan, stderr io.Writer) {
	if plan.Held || plan.RelayRefused() || plan.Upgrade() {
		return // it waits there
	}
	if err := debconf.Forget(root.Dir(), string(answers.RelayPassword)); err != nil {
		warn(stderr, []string{err.Error()})
	}
}

// sayNotes tells on an upgrade which settings are outdated. None is changed for that (Debian policy 10.7.3).
func sayNotes(root *sysroot.Root, stderr io.Writer) {
	found, _ := checkConfigs(root, notes.Rename{}) // the plan has told of another name
	for _, n := range found {
		fmt.Fprint(stderr, "NOTE: ")
		n.print(stderr)
	}
}

// triggered does, once, when all packages of this dpkg run are configured, what triggers were fired for: the chroots are brought up
// to date for new libraries, and only for names of ours the mail system is restarted or reloaded. dpkg gives the names in one argument.
func triggered(ctx context.Context, root *sysroot.Root, names []string, stderr io.Writer) error {
	fired := strings.Fields(strings.Join(names, " "))
	has := func(name string) bool { return slices.Contains(fired, name) }
	defer lockForScript(ctx, root, "postinst triggered", stderr).Release()
	if has(setup.LibraryTrigger) || has(setup.ModuleTrigger) {
		warn(stderr, refreshChroots(ctx, root, stderr))
	}
	if slices.ContainsFunc(fired, func(name string) bool { return strings.HasPrefix(name, "/") && name != setup.ModuleTrigger }) {
		syncSyslog(ctx, root, chrootQueues(root), stderr) // a syslog daemon came or went
	}
	action := ""
	switch {
	case has(setup.Trigger):
		action = "restart"
	case has(setup.ReloadTrigger):
		action = "reload"
	default:
		return nil
	}
	svc, done := service(root)
	defer done()
	if err := svc.ActAll(ctx, action); err != nil {
		warn(stderr, []string{fmt.Sprintf("cannot %s Postfix: %v", action, err)})
	}
	if !has(setup.FlushTrigger) {
		return nil
	}
	if err := setup.Flush(ctx, root, run.Runner{}); err != nil {
		warn(stderr, []string{err.Error()})
	}
	return nil
}

// refreshChroots brings all chroots up to date and says what that changed.
func refreshChroots(ctx context.Context, root *sysroot.Root, stderr io.Writer) (warnings []string) {
	insts, _ := instance.List(root) // what is wrong with an instance is said when it starts
	deps := chrootDeps(ctx, root)
	deps.Instances, deps.Shared = insts, &chroot.Shared{}
	results, errs := make([]chroot.Result, len(insts)), make([]error, len(insts))
	deps.Shared.Together(len(insts), func(n int) {
		if plan, err := chroot.NewPlan(deps, insts[n]); err == nil {
			results[n], errs[n] = plan.Apply()
		}
	}, func(n int) {
		res := results[n]
		if files := len(res.Changed) + len(res.Removed); files > 0 {
			fmt.Fprintf(stderr, "postfix-maint: %d files brought up to date in the chroot %s\n", files, insts[n].QueueDir)
		}
		if errs[n] != nil {
			warnings = append(warnings, errs[n].Error())
		}
		if len(res.Undone) > 0 {
			warnings = append(warnings, res.Warnings...)
		}
	})
	return warnings
}

// startAgain undoes prerm's stop after a removal that did not come about.
func startAgain(ctx context.Context, root *sysroot.Root, stderr io.Writer) error {
	svc, done := service(root)
	defer done()
	if err := svc.Act(ctx, "start"); err != nil {
		warn(stderr, []string{fmt.Sprintf("Postfix was not started again: %v", err)})
	}
	syncSyslog(ctx, root, chrootQueues(root), stderr)
	return nil
}

// prerm stops the mail system when the package goes; nothing is stopped for an upgrade (#1120869).
func prerm(ctx context.Context, args []string, stderr io.Writer) error {
	if len(args) == 0 || args[0] != "remove" {
		return nil
	}
	root, err := openRoot()
	if err != nil {
		return err
	}
	recordScript(root, "prerm", args)
	defer lockForScript(ctx, root, "prerm", stderr).Release()
	svc, done := service(root)
	defer done()
	if err := svc.Act(ctx, "stop"); err != nil { // a removal goes on: the daemons end without their files
		warn(stderr, []string{fmt.Sprintf("Postfix was not stopped: %v", err)})
	}
	warn(stderr, endStrays(ctx, root))
	warn(stderr, queued(ctx, root))
	warn(stderr, clearChroots(root))
	recoverRelay(ctx, root, stderr)
	syncSyslog(ctx, root, nil, stderr)
	return nil
}

// strayLimit is how long a master(8) may take to end.
const strayLimit = 5 * time.Second

// endStrays ends what runs outside of the units that were just stopped: it would go on without its files.
func endStrays(ctx context.Context, root *sysroot.Root) (warnings []string) {
	allowed, err := systemd.Allowed(ctx, run.Runner{}, root.Dir(), "postfix", "stop")
	if err != nil || !allowed {
		return nil // said where the units were to be stopped
	}
	for _, pid := range procs.Running(paths.Master) {
		if err := procs.End(ctx, pid, strayLimit); err != nil {
			warnings = append(warnings, err.Error())
			continue
		}
		warnings = append(warnings, fmt.Sprintf("a Postfix that was started by hand was ended (process %d)", pid))
	}
	return warnings
}

// clearChroots takes out of every instance's queue directory what we put there, now that nothing runs in it. An
// installation later on brings it back.
func clearChroots(root *sysroot.Root) (warnings []string) {
	insts, _ := instance.List(root) // without a configuration that can be read nobody knows where the chroots are
	for _, inst := range append(insts, adopt.Unlisted(root)...) {
		res, err := chroot.Clear(chroot.Deps{Root: root}, inst)
		warnings = append(warnings, res.Warnings...)
		if err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	return warnings
}
