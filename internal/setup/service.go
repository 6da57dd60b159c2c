package setup

import (
	"context"
	"fmt"

	"postfix-maint/internal/answers"
	"postfix-maint/internal/paths"
)

// Names of the service: the umbrella over all instances, the primary instance's unit, and what watches for a Postfix that is started
// by hand.
const (
	Unit         = "postfix.service"
	PrimaryUnit  = "postfix@-.service"
	TakeoverUnit = "postfix-takeover.path"
)

// Service is what the flow needs of the init system. Each method does nothing where the system's policy or state forbids it.
type Service interface {
	// Enabled records and enables the unit as deb-systemd-helper(1) would; Due tells whether that would change anything.
	EnableDue(ctx context.Context) (bool, error)
	Enable(ctx context.Context) error
	// ReloadDue tells whether the init system has not seen the unit files as they are now; unpacked if they are new for sure.
	ReloadDue(ctx context.Context, unpacked bool) (bool, error)
	Reload(ctx context.Context) error
	// Act does one of "start", "stop", "reload", "restart" with the mail system and waits for the result. Reload and restart
	// concern the primary instance and leave a stopped one alone.
	Act(ctx context.Context, action string) error
	// ActAll does "reload" or "restart" with every running instance.
	ActAll(ctx context.Context, action string) error
}

// service plans what the running system needs: the unit known and enabled, and the one action that the changes call for.
func (p *Plan) service(ctx context.Context) error {
	if p.d.Service == nil {
		return nil
	}
	due, err := p.d.Service.EnableDue(ctx)
	if err != nil {
		p.warn("cannot tell whether %s is enabled: %v", Unit, err)
	}
	if p.resumed && p.req.Old == "" {
		// update-rc.d leaves a service alone that has any link: one that was killed half-way is made to start anew.
		p.exec("remove the init script's links of an interrupted run", true, "update-rc.d", "-f", "postfix", "remove")
		due = true
	}
	if due {
		p.add(Change{What: "enable " + Unit, after: true, do: p.d.Service.Enable})
	}
	if !p.d.Root.IsHost() {
		return nil // nothing to run; what the first boot needs is done
	}
	installing, err := p.d.Root.Exists(paths.Installing)
	if err != nil {
		return err
	}
	p.planReload(ctx, due)
	if p.mailerType() == answers.NoConfiguration && p.h.main == nil && !p.h.broken {
		return nil // nothing to run
	}
	p.planAction(installing)
	return nil
}

// planAction adds the one action. An interrupted run may have changed main.cf without telling the daemon, so what it
// intended is done again.
func (p *Plan) planAction(installing bool) {
	switch {
	case installing, p.fresh && !p.resumed: // one whose relay failed has run since
		p.action = "start"
	case !p.req.Reconfigure && crosses(p.req.Old, p.req.Package):
		p.crossing()
	case !p.req.Reconfigure && p.req.Old != "":
		// After an upgrade the map packages must be configured first: dpkg runs our trigger at the end (#1063772).
		p.action = "trigger"
	case p.resumed && p.action == "":
		p.action = p.journal.Action
	}
	if !installing {
		p.action = p.fit(p.action)
	}
	switch p.action {
	case "":
	case "trigger":
		p.exec("restart Postfix at the end of this dpkg run", true, "dpkg-trigger", "--no-await", Trigger)
	default:
		action := p.action
		p.add(Change{What: action + " Postfix", after: true, lives: true, do: func(ctx context.Context) error {
			if err := p.d.Service.Act(ctx, action); err != nil {
				return fmt.Errorf("cannot %s Postfix: %w; see \"systemctl status 'postfix*'\" and \"postfix check\"", action, err)
			}
			return nil
		}})
	}
}

// The dpkg triggers of the adopted package. Only it and the map packages' functions fire them, so that no unrelated package
// ever restarts the mail system (S12).
const (
	Trigger       = "postfix-maint-restart"
	ReloadTrigger = "postfix-maint-reload"
)

// Triggers of others that tell of new libraries for the chroots: ldconfig's, which every package with a library in a public directory
// fires, and files in the directory of the map types' modules.
const (
	LibraryTrigger = "ldconfig"
	ModuleTrigger  = paths.LibDir
)
