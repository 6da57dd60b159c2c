package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/ask"
	"postfix-maint/internal/chroot"
	"postfix-maint/internal/debconf"
	"postfix-maint/internal/instance"
	"postfix-maint/internal/run"
	"postfix-maint/internal/setup"
	"postfix-maint/internal/smarthost"
	"postfix-maint/internal/sysroot"
)

// reconfiguring tells whether dpkg-reconfigure(8) runs the scripts: nothing was unpacked then.
func reconfiguring() bool { return os.Getenv("DEBCONF_RECONFIGURE") != "" }

// config asks the questions (debconf-devel(7)). It runs before the package is unpacked and again before postinst.
func config(ctx context.Context, args []string, stderr io.Writer) error {
	root, err := openRoot()
	if err != nil {
		return err
	}
	intent, err := setup.Intent(root)
	if err != nil {
		return err
	}
	if intent != nil && !reconfiguring() {
		return resume(intent, stderr)
	}
	live, err := setup.Live(root)
	if err != nil { // postinst says so as well, and leaves the configuration alone
		fmt.Fprintf(stderr, "postfix-maint: no questions are asked: %v\n", err)
		return nil
	}
	configured := "" // dpkg and debconf give the version that was configured last
	if len(args) > 1 {
		configured = args[1]
	}
	state, err := setup.LoadState(root, configured)
	if err != nil {
		return err
	}
	if inst, err := primaryInstance(root); err == nil && live != nil {
		about, _, err := smarthost.Live(root, inst)
		if err != nil {
			return err
		}
		maps.Copy(live, about)
	}
	client, err := debconf.Open()
	if err != nil {
		return err
	}
	return ask.Run(client, ask.Input{
		Facts: facts(ctx, root, installedVersion(root)), Live: live, Base: state.Base(), Reconfigure: reconfiguring(),
		Check: checkRelayAnswer(ctx, root),
	})
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
	svc, done := service(root)
	defer done()
	plan, settle, err := planSetup(ctx, root, client, svc, setup.Request{Old: old, Reconfigure: reconfiguring()})
	if err != nil {
		return err
	}
	err = plan.Apply(ctx, show(stderr), func() error {
		if err := settle(); err != nil {
			return err
		}
		return client.Stop()
	})
	warn(stderr, plan.Warnings)
	if err != nil {
		return err
	}
	if old != "" && !reconfiguring() {
		sayNotes(root, stderr)
	}
	syncSyslog(ctx, root, chrootQueues(root), stderr)
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
	relay, err := relay(smarthost.Deps{Root: root, Run: run.Runner{}}, password)
	if err != nil {
		return nil, nil, err
	}
	if relay != nil && !root.IsHost() {
		relay.Check = refuseBelowRoot
	}
	req.Package = installedVersion(root)
	req.Facts = facts(ctx, root, req.Package)
	plan, err = setup.NewPlan(ctx, setup.Deps{Root: root, Run: run.Runner{}, Service: svc, Relay: relay}, req)
	return plan, func() error { return settleAnswers(db, plan, req.Answers, password != "") }, err
}

// settleAnswers is what planSetup says of settle.
func settleAnswers(db *debconf.Client, plan *setup.Plan, given answers.Answers, password bool) error {
	if plan.Held {
		return nil
	}
	for q, a := range given {
		if a.Changed {
			if err := db.SetFlag(string(q), answers.ChangedFlag, false); err != nil {
				return err
			}
		}
	}
	now, err := plan.Settled()
	if err != nil {
		return err
	}
	for q, v := range now {
		if _, known := given[q]; !known {
			continue
		}
		if err := db.Set(string(q), v); err != nil {
			return err
		}
	}
	if !password || plan.Refused {
		return nil
	}
	return db.Reset(string(answers.RelayPassword))
}

// sayNotes tells on an upgrade which settings are outdated. None is changed for that (Debian policy 10.7.3).
func sayNotes(root *sysroot.Root, stderr io.Writer) {
	found, _ := checkConfigs(root)
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
	return nil
}

// refreshChroots brings all chroots up to date and says what that changed.
func refreshChroots(ctx context.Context, root *sysroot.Root, stderr io.Writer) (warnings []string) {
	insts, _ := instance.List(root) // what is wrong with an instance is said when it starts
	for _, inst := range insts {
		plan, err := chroot.NewPlan(chrootDeps(ctx, root), inst)
		if err != nil {
			continue
		}
		res, err := plan.Apply()
		if n := len(res.Changed) + len(res.Removed); n > 0 {
			fmt.Fprintf(stderr, "postfix-maint: %d files brought up to date in the chroot %s\n", n, inst.QueueDir)
		}
		if err != nil {
			warnings = append(warnings, err.Error())
		}
	}
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
	defer lockForScript(ctx, root, "prerm", stderr).Release()
	svc, done := service(root)
	defer done()
	if err := svc.Act(ctx, "stop"); err != nil { // a removal goes on: the daemons end without their files
		warn(stderr, []string{fmt.Sprintf("Postfix was not stopped: %v", err)})
	}
	warn(stderr, clearChroots(root))
	recoverRelay(ctx, root, stderr)
	syncSyslog(ctx, root, nil, stderr)
	return nil
}

// clearChroots takes out of every instance's queue directory what we put there, now that nothing runs in it. An
// installation later on brings it back.
func clearChroots(root *sysroot.Root) (warnings []string) {
	insts, _ := instance.List(root) // without a configuration that can be read nobody knows where the chroots are
	for _, inst := range insts {
		res, err := chroot.Clear(chroot.Deps{Root: root}, inst)
		warnings = append(warnings, res.Warnings...)
		if err != nil {
			warnings = append(warnings, err.Error())
		}
	}
	return warnings
}
