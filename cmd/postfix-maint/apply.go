package main

import (
	"context"

	"postfix-maint/internal/setup"
)

// apply does the steps of the set-up, or only plans them.
func apply(ctx context.Context, c *call) (*changes[setup.Change], error) {
	if !c.dry() {
		recoverRelay(ctx, c.root, c.stderr)
	}
	db, closeDB, err := openDatabase(ctx, c.stderr)
	if err != nil {
		return nil, err
	}
	defer closeDB()
	svc, done := service(c.root)
	defer done()
	show := func(ch setup.Change) { c.did(ch.Step+": "+ch.What, ch.Diff) }
	again := func() (*setup.Plan, func() error, error) {
		return planSetup(ctx, c.root, db, svc, setup.Request{Old: installedVersion(c.root), Reconfigure: true})
	}
	var plan *setup.Plan
	if c.dry() {
		if plan, _, err = again(); err != nil {
			return nil, err
		}
		for _, change := range plan.Changes {
			show(change)
		}
	} else if plan, err = setup.Configure(ctx, again, show); err != nil {
		if plan != nil {
			sayPlan(c.stderr, plan)
		}
		return nil, err
	} else {
		forgetPassword(c.root, plan, c.stderr)
	}
	return changed(plan.Changes, plan.Warnings, plan.Notes), nil
}
