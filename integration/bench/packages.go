package main

import (
	"context"
	"fmt"
	"slices"

	"postfix-maint/integration/hosts"
	"postfix-maint/integration/measure"
	"postfix-maint/integration/product"
)

// runs is how often an operation is timed; the middle one counts.
var runs = 5

// work is one package operation as each layer is measured at it.
type work struct {
	before string // brings the host back to where the operation begins; not measured
	do     string
}

// figures are what the operation takes.
type figures struct {
	cost     measure.Cost
	programs int
	probe    measure.Probe
}

// take measures an operation on a running host, again and again.
func (w work) take(ctx context.Context, h *hosts.Host, costs *[]measure.Cost) (f figures, err error) {
	step := func(do func() error) {
		if err == nil {
			if _, err = h.Sh(ctx, w.before); err == nil {
				err = do()
			}
		}
	}
	if len(*costs) == 0 { // the counts, once
		step(func() error {
			programs, err := measure.Execs(ctx, h, "bash", "-c", "exec "+w.do)
			f.programs = len(programs) - 1
			return err
		})
		step(func() error {
			f.probe, err = measure.During(ctx, h, func() error {
				_, err := h.Sh(ctx, w.do)
				return err
			})
			return err
		})
	}
	step(func() error {
		cost, err := measure.CostOf(ctx, h, w.do)
		*costs = append(*costs, cost)
		return err
	})
	return f, err
}

// asked is what is asked of the figures of an operation.
type asked struct{ wall, programs, failed want }

// compare measures both layers at an operation.
func compare(ctx context.Context, name string, debian, ours side, works [2]work, a asked) error {
	_, err := compared(ctx, name, debian, ours, works, a)
	return err
}

// compared is compare, one run of each in turn, so that what else the machine does meets both. It gives the figures as well.
func compared(ctx context.Context, name string, debian, ours side, works [2]work, a asked) (all [2]figures, err error) {
	var costs [2][]measure.Cost
	for n := range runs {
		for i, h := range []side{debian, ours} {
			f, err := works[i].take(ctx, h.Host, &costs[i])
			if err != nil {
				return all, err
			}
			if n == 0 {
				all[i] = f
			}
		}
	}
	for i := range all {
		all[i].cost = measure.MedianCost(costs[i])
	}
	r := ours.report
	r.title(name)
	r.tell(all[0], all[1], a)
	r.count(connects, all[0].probe.Failed, all[1].probe.Failed, a.failed)
	r.span("longest time without an answer", all[0].probe.Longest, all[1].probe.Longest, want{})
	return all, nil
}

// connects is the label of what measure.During counts.
const connects = "failed connects to port 25, one each 50 ms"

func (r *report) tell(debian, ours figures, a asked) {
	r.span(fmt.Sprintf("wall time, median of %d", runs), debian.cost.Wall, ours.cost.Wall, a.wall)
	r.span("CPU time", debian.cost.CPU, ours.cost.CPU, want{})
	r.count("programs executed", debian.programs, ours.programs, a.programs)
}

const again = "dpkg-reconfigure -f noninteractive postfix"

// What a person does who is asked: a program in the place of an editor adds another destination where the form has that question, and
// leaves all else as it stands.
const (
	readies = `cat > /root/answer << 'END'
#!/bin/sh
exec sed -i "s/^\(postfix\/destinations\)=.*/\1=\"$(cat /root/destinations)\"/" "$1"
END
chmod 755 /root/answer
echo "mail.example.test, list-$RANDOM.example.test, localhost" > /root/destinations`
	answered = `env -u DEBIAN_FRONTEND EDITOR=/root/answer VISUAL=/root/answer dpkg-reconfigure -f editor -p low postfix`
	carried  = `[ "$(postconf -h mydestination)" = "$(cat /root/destinations)" ] || { postconf -n mydestination; cat /root/destinations; exit 1; }`
)

// reconfigure measures dpkg-reconfigure with nothing to change, and with another answer each time: of a person at the questions, which both
// layers carry out, and of debconf-set-selections, which Debian's overwrites with what is in force.
func reconfigure(ctx context.Context, debian, ours side) error {
	if err := compare(ctx, "dpkg-reconfigure, nothing to change", debian, ours,
		[2]work{{":", again}, {":", again}}, asked{share(0.12), most(14, ""), most(0, "")}); err != nil {
		return err
	}
	change := work{readies, answered}
	if err := compare(ctx, "dpkg-reconfigure with one change: another destination, answered at the question", debian, ours,
		[2]work{change, change}, asked{wall: share(0.15), failed: most(0, "")}); err != nil {
		return err
	}
	for _, h := range []side{debian, ours} {
		if _, err := h.Sh(ctx, carried); err != nil {
			return fmt.Errorf("the answer was not carried out: %w", err)
		}
	}
	wish := work{`printf 'postfix postfix/relayhost string [relay-%s.example.test]\n' $RANDOM | debconf-set-selections`, again}
	return compare(ctx, "another relay host by debconf-set-selections, which Debian's layer does not apply", debian, ours,
		[2]work{wish, wish}, asked{failed: most(0, "")})
}

// upgrade measures the next version of the package postfix, and of postfix-maint alone.
func upgrade(ctx context.Context, debian, ours side) error {
	const old = "dpkg -i --force-downgrade /old/"
	next := work{old + "postfix.deb", "dpkg -i /new/postfix.deb"}
	whole, err := compared(ctx, "upgrade, dpkg -i of the next version of postfix", debian, ours, [2]work{next, next},
		asked{wall: share(0.3), programs: most(40, "")})
	if err != nil {
		return err
	}
	if err := floor(ctx, debian, ours, whole); err != nil {
		return err
	}
	bare := work{":", "systemctl restart postfix"}
	failed, err := refused(ctx, ours, bare, next)
	if err != nil {
		return err
	}
	ours.report.count(fmt.Sprintf("failed connects, median of %d; left: ours at a bare systemctl restart postfix", runs), failed[0], failed[1], share(1))
	layer := work{old + "postfix-maint.deb", "dpkg -i /new/postfix-maint.deb"}
	var costs []measure.Cost
	f, err := layer.take(ctx, ours.Host, &costs)
	if err != nil {
		return err
	}
	ours.report.title("dpkg -i of the next version of postfix-maint alone")
	ours.report.alone(connects, float64(f.probe.Failed), "", most(0, ""))
	return nil
}

// emptied makes packages whose maintainer scripts do nothing, of both versions.
const emptied = `mkdir -p /floor
	for v in old new; do
		rm -rf /tmp/floor; dpkg-deb -R /$v/postfix.deb /tmp/floor
		for s in preinst postinst prerm postrm config; do printf '#!/bin/sh\nexit 0\n' > /tmp/floor/DEBIAN/$s; chmod 755 /tmp/floor/DEBIAN/$s; done
		dpkg-deb --root-owner-group -Znone -b /tmp/floor /floor/$v.deb >/dev/null
	done`

// floor measures the same upgrade without any script of the package's: what is left is the work of dpkg, and of rsyslog, whose trigger
// Debian's file /etc/rsyslog.d/postfix.conf fires. No layer can be faster; what is more than that is the layer's own.
func floor(ctx context.Context, debian, ours side, whole [2]figures) error {
	for _, h := range []side{debian, ours} {
		if _, err := h.Sh(ctx, emptied); err != nil {
			return err
		}
	}
	next := work{"dpkg -i --force-downgrade /floor/old.deb", "dpkg -i /floor/new.deb"}
	bare, err := compared(ctx, "the same upgrade with empty maintainer scripts", debian, ours, [2]work{next, next}, asked{})
	if err != nil {
		return err
	}
	ours.report.span("wall time of the upgrade above that", whole[0].cost.Wall-bare[0].cost.Wall, whole[1].cost.Wall-bare[1].cost.Wall, want{})
	for _, h := range []side{debian, ours} {
		if _, err := h.Sh(ctx, "dpkg -i --force-downgrade /old/postfix.deb"); err != nil {
			return err
		}
	}
	return nil
}

// refused gives how many connects failed during each of two operations on one host, done in turn: medians.
func refused(ctx context.Context, s side, works ...work) ([]int, error) {
	all := make([][]int, len(works))
	for range runs {
		for i, w := range works {
			if _, err := s.Sh(ctx, w.before); err != nil {
				return nil, err
			}
			probe, err := measure.During(ctx, s.Host, func() error {
				_, err := s.Sh(ctx, w.do)
				return err
			})
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], probe.Failed)
		}
	}
	var medians []int
	for _, numbers := range all {
		slices.Sort(numbers)
		medians = append(medians, numbers[len(numbers)/2])
	}
	return medians, nil
}

// fresh measures the first "dpkg --configure" of the unpacked package, on a new host each time.
func fresh(ctx context.Context, s *hosts.Session, r *report, release string) error {
	const configure = "dpkg --configure --pending"
	var all [2]figures
	var costs [2][]measure.Cost
	for n := range runs + 1 {
		for i, l := range []product.Layer{product.Debian, product.Ours} {
			err := unpacked(ctx, s, release, l, func(h *hosts.Host) error {
				if n == 0 {
					programs, err := measure.Execs(ctx, h, "bash", "-c", "exec "+configure)
					all[i].programs = len(programs) - 1
					return err
				}
				cost, err := measure.CostOf(ctx, h, configure)
				costs[i] = append(costs[i], cost)
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	for i := range all {
		all[i].cost = measure.MedianCost(costs[i])
	}
	r.title("first configuration, dpkg --configure of the unpacked package")
	r.tell(all[0], all[1], asked{wall: share(0.15)})
	return nil
}

// unpacked has a booted host used on which the package postfix is unpacked and not configured.
func unpacked(ctx context.Context, s *hosts.Session, release string, l product.Layer, use func(*hosts.Host) error) error {
	opt, err := product.Options(ctx, s, release, l)
	if err != nil {
		return err
	}
	opt, err = s.Layer(ctx, "unpacked-"+release+"-"+string(l), opt, func(h *hosts.Host) error {
		if err := product.Preseed(ctx, h, product.Answers{"main_mailer_type": "Internet Site", "mailname": "mail.example.test"}); err != nil {
			return err
		}
		_, err := h.Sh(ctx, "cd /packages; [ ! -e postfix-maint_*.deb ] || dpkg -i postfix-maint_*.deb; dpkg --unpack postfix_*.deb")
		return err
	})
	if err != nil {
		return err
	}
	opt.Durable = true
	h, err := s.NewHost(ctx, string(l)+"-fresh", opt)
	if err != nil {
		return err
	}
	defer h.Remove()
	if err := h.Boot(ctx); err != nil {
		return err
	}
	return use(h)
}
