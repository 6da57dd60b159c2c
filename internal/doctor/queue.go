package doctor

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"postfix-maint/internal/pattern"
)

// Waiting is what waits in an instance's queues, as status has counted it.
type Waiting struct {
	Deferred, Held     int
	Oldest             time.Time // of a sample, in any queue
	Reason             string    // of most that are deferred
	Reasons, Deferrals int       // of how many that were looked into
}

// What is ordinary: a few messages wait for hosts that are down or that have everybody come again (greylisting). None is older than this,
// unless somebody holds it: Postfix returns it (maximal_queue_lifetime).
const (
	manyDeferred = 100
	longDeferred = 4 * time.Hour
	lifetime     = 5*24*time.Hour + 12*time.Hour
)

// reasons tell what to do about what mail is deferred for. What is there is a remote host's word, or Postfix's.
var reasons = []struct {
	words *pattern.Pattern
	do    string
}{
	{pattern.New(`(?i)user unknown|mailbox full|over quota|quota exceeded`), "the addressee's account is the trouble; nothing is wrong here"},
	{pattern.New(`(?i)gr[ae]y ?list|try again later|temporarily deferred`), "wait: the other host wants to be asked again"},
	{pattern.New(`(?i)SASL authentication failed|authentication required|535 `), `"postfix-maint smarthost test" tries the login; "postfix-maint smarthost set" gives another one`},
	{pattern.New(`(?i)relay access denied|relaying denied`), "the relay host wants a login, or another one is to be asked (postfix-maint smarthost)"},
	{pattern.New(`(?i)certificate|TLS is required|Cannot start TLS|handshake`), `see what TLS is wanted of that host: "postfix-maint smarthost test", smtp_tls_policy_maps`},
	{pattern.New(`(?i)name or service not known|Host not found|name service error|Temporary failure in name resolution`),
		`try "getent hosts HOST"; if that works, "postfix-maint chroot check" says what the chroot lacks`},
	{pattern.New(`(?i)unsupported dictionary|alias database unavailable|table lookup|lookup error`), "the other findings, or postmap -q, say which table cannot be read"},
	{pattern.New(`(?i)connection timed out|no route to host|network is unreachable`),
		"port 25 outbound may be blocked: ask whoever runs the network, or send through a relay host (postfix-maint smarthost)"},
	{pattern.New(`(?i)connection refused`), "nobody listens at that host and port: see that relayhost or the transport is right, and that it runs"},
	{pattern.New(`(?i)loops back to myself`), "relayhost, or the domain's MX, is this host: name another one, or take the domain into mydestination"},
	{pattern.New(`(?i)no space left|insufficient (?:system )?(?:storage|space)|disk quota`), "make room where it is to be delivered"},
	{pattern.New(`(?i)mail transport unavailable|unknown mail transport`), "the transport's service is missing in master.cf, or ends; see the journal"},
	{pattern.New(`(?i)permission denied|not owned|read-only`), "put right the owner or the mode of the mailbox or directory that is named"},
}

// waitingChecks: only a person can say what is to become of mail, so there is no repair of that.
var waitingChecks = []Check{
	{
		ID: "mail-deferred", Area: "queue", Bad: Advice, Title: "mail waits, and nothing it is sent to takes it",
		Why: "after maximal_queue_lifetime, five days, it goes back to its senders (postconf(5))",
		Do:  `%s; then "postqueue -f"`,
		Look: func(f *Facts, i *Instance, found func(Seen)) {
			w := i.Waiting
			long := !w.Oldest.IsZero() && w.Oldest.Before(f.Now.Add(-longDeferred))
			if w.Deferred == 0 || w.Reason == "" || !long && w.Deferred < manyDeferred {
				return
			}
			do := "see what is said"
			for _, known := range reasons {
				if known.words.Regexp().MatchString(w.Reason) {
					do = known.do
					break
				}
			}
			found(Seen{File: i.QueueDir, What: fmt.Sprintf("deferred: %d, most often (%d of %d): %s", w.Deferred, w.Reasons, w.Deferrals, w.Reason), Do: do})
		},
	},
	{
		ID: "mail-old", Area: "queue", Bad: Advice, Title: "there is mail that is older than Postfix keeps any",
		Why: "somebody has put it on hold and forgotten it, or a queue is not worked at (postsuper(1), -h)",
		Do:  `"postqueue -p" shows it; "postsuper -H ID" lets it go on, "postsuper -d ID" deletes it`,
		Look: func(f *Facts, i *Instance, found func(Seen)) {
			if i.Main != nil && i.Main.Line("maximal_queue_lifetime")+i.Main.Line("bounce_queue_lifetime") > 0 {
				return // the administrator has another idea of old
			}
			if w := i.Waiting; !w.Oldest.IsZero() && w.Oldest.Before(f.Now.Add(-lifetime)) && w.Reason == "" {
				found(Seen{File: i.QueueDir, What: fmt.Sprintf("the oldest is of %s; on hold: %d", w.Oldest.Format("2006-01-02"), w.Held)})
			}
		},
	},
	{
		// It lets programs do more than they may now.
		ID: "setgid-lost", Area: "queue", Bad: Broken, Repair: ByID, Title: "users cannot hand in mail",
		Why: "postdrop(1) writes into the queue as group setgid_group; without that right only root's mail gets there (postfix check)",
		Do:  `"postfix set-permissions"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, p := range i.NoSetgid {
				found(Seen{File: p, What: "it does not run as group " + i.SetgidGroup,
					Fix: []Act{{Deed: Group, Path: p, Name: i.SetgidGroup, ID: i.SetgidGID, Bits: fs.ModeSetgid}}})
			}
		},
	},
	{
		// Somebody may have wanted it.
		ID: "queue-group", Area: "queue", Bad: Broken, Gate: true, Repair: ByID, Title: "a directory of the queue has a wrong group or mode",
		Why: "postdrop(1) cannot put users' mail there, or others can (postfix check)",
		Do:  `"postfix set-permissions"`,
		Look: func(_ *Facts, i *Instance, found func(Seen)) {
			for _, g := range i.Groups {
				found(Seen{File: g.File, What: g.Why, Fix: []Act{{Deed: Group, Path: g.File, Name: i.SetgidGroup, ID: i.SetgidGID, Bits: g.Bits}}})
			}
		},
	},
}

// dropinChecks: a drop-in is an administrator's file. adopt --install --drop-ins move takes those along that Debian's unit had.
var dropinChecks = []Check{
	{
		ID: "drop-in-unreached", Area: "layer", Bad: Risk, Title: "a drop-in that reaches no daemon",
		Why: "the daemons run in another unit, so what it sets is not in force (systemd.unit(5), drop-ins)",
		Do:  "%s",
		Look: func(f *Facts, _ *Instance, found func(Seen)) {
			for _, d := range f.DropIns {
				do := "move it to " + d.To + ", then \"systemctl daemon-reload\" and restart the instance"
				if d.To == "" {
					do = "remove it, or make the instance that it is for"
				}
				found(Seen{File: d.File, What: strings.TrimSpace("it is for " + d.Unit + " " + d.Why), Do: do})
			}
		},
	},
}
