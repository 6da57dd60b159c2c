// Package umbrella (ring: flow) is what postfix.service does to stand for all instances of Postfix,
// each of which runs in a unit of its own. systemd has no dependency that means "fails when one of
// these fails, but leaves the others alone".
//
// An instance that belongs to the host (postfix.service wants it) is
//
//	off    stopped, masked, without configuration
//	up     it runs, or takes a new configuration
//	down   it has failed, or waits for the next try after a failure
//	busy   it starts or ends, or has a job to do so
//
// and postfix.service follows them, whoever changed them:
//
//	              all off              some up, none down       some down
//	           +-----------+           +-----------+          +-----------+
//	stop, or   |           |   Start   |           |  Restart |           |
//	never      | inactive  |---------->|  active   |--------->|  failed   |
//	started    |           |<----------|           |<---------|           |
//	           +-----------+   Stop    +-----------+   Start  +-----------+
//	              ^     | Start, which fails                     ^    |
//	              |     +----------------------------------------+    |
//	              +---------------------------------------------------+
//	                                    Forget
//
// Two things are left alone: where all that is not off is down, an inactive postfix.service stays
// inactive, for somebody stopped it; and where postfix.service has a job, an instance is busy or
// systemd shuts down, nothing is done. The first two are waited for, with an end.
//
// What the watch does is done to postfix.service without dependencies, so it starts and stops no
// instance. Such a job has systemd forget the order as well: no later look waits for it, so each
// look waits for the job itself. Between a look and its job a millisecond is left in which a stop
// of postfix.service may begin; the job would take its place, the instances stop all the same, and
// the look after it stops postfix.service again. Each end of an instance, and each start, makes a
// look that begins after it:
//
//	postfix@.service -> postfix-watch.service -> postfix-watch-look.service (Watch)
//	postfix@.service <- postfix-takeover-look.service (Strays) <- postfix-takeover.service <- postfix-takeover.path
//
// The first step of both is over at once, since nothing that happens while it runs would run it
// again; the second one begins anew.
//
// One process that listens all the time was weighed against these short ones: it would hear of each
// change from systemd in place of two processes for each. It would take some megabytes on each host
// for the one or two changes of a month, would have to be started before and ended after all
// instances, and whatever is changed while it is away, at an upgrade or after a crash, needs the
// short look anyway.
package umbrella
