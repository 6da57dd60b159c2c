package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postfix-maint/integration/measure"
)

// moreInstances brings a host to as many instances beside the primary one as its argument says: inet disabled, the rest as
// postmulti(1) lays it out. Their chroots are filled; none of them runs.
const moreInstances = `
postconf -e multi_instance_wrapper=/usr/sbin/postmulti multi_instance_enable=yes
for i in $(seq 1 %d); do
	dir=/etc/postfix-m$i
	dirs="${dirs-} $dir"
	[ ! -e $dir ] || continue
	mkdir -p $dir /var/spool/postfix-m$i # Postfix makes the rest of it
	cp /etc/postfix/master.cf $dir/
	cp /usr/share/postfix/main.cf.debian $dir/main.cf
	cat >>$dir/main.cf <<-END
		compatibility_level = 3.6
		queue_directory = /var/spool/postfix-m$i
		data_directory = /var/lib/postfix-m$i
		multi_instance_name = postfix-m$i
		multi_instance_enable = yes
		authorized_submit_users =
		master_service_disable = inet
	END
done
postconf -e "multi_instance_directories=${dirs-}"
systemctl daemon-reload
systemctl stop postfix-resolvconf.path # it would do the work before
/usr/libexec/postfix-maint/configure-instance --all >/dev/null
sleep 1 # what was written just now is looked at again
`

// startAll has all of them run, so that Postfix has made their queues.
const startAll = `
systemctl start postfix
systemctl stop postfix-resolvconf.path
sleep 10 # hundreds of daemons that have just begun still keep the processors busy
`

// instanceFigure is something that is measured with each number of instances. Its result has the unit that it names.
type instanceFigure struct {
	label  string
	asked  want // of the largest number
	each   want // of the growth for each of the last instances, in the unit
	result func(ctx context.Context, s side) (float64, error)
}

// timed is a figure in milliseconds.
func timed(label string, each want, n int, before, command string) instanceFigure {
	if n > 1 {
		label += fmt.Sprintf(", median of %d", n)
	}
	return instanceFigure{label: label + " (ms)", each: each, result: func(ctx context.Context, s side) (float64, error) {
		return medianMillis(ctx, s, n, before, command)
	}}
}

const refreshOfAll = ourTools + "configure-instance --all"

// scaleFigures are what hundreds of instances cost that do not run.
var scaleFigures = []instanceFigure{
	timed("daemon-reload", want{}, 5, "", "systemctl daemon-reload"),
	timed("refresh of all chroots, "+reasons[0].name, most(2, "ms"), 5, reasons[0].happened, refreshOfAll),
	timed("refresh of all chroots, "+reasons[1].name, want{}, 5, reasons[1].happened, refreshOfAll),
	timed("refresh of all chroots, "+reasons[2].name, want{}, 3, reasons[2].happened, refreshOfAll),
	{label: "memory of that refresh (MB)", asked: most(40, "MB"), result: func(ctx context.Context, s side) (float64, error) {
		if _, err := s.Sh(ctx, reasons[2].happened); err != nil {
			return 0, err
		}
		kib, err := measure.Memory(ctx, s.Host, strings.Fields(refreshOfAll)...)
		return float64(kib) * 1024 / 1e6, err
	}},
	{label: "CPU time of a refresh, " + reasons[0].name + " (ms)", each: most(2, "ms"), result: func(ctx context.Context, s side) (float64, error) {
		busy, err := measure.CPU(ctx, s.Host, 5, ":", refreshOfAll)
		return inMillis(busy), err
	}},
	timed("resolver hook, resolv.conf changed", want{}, 5, "echo '# more' >> /etc/resolv.conf", "/etc/resolvconf/update-libc.d/postfix"),
	timed("instance list", want{}, 3, "", "postfix-maint instance list"),
	{label: "instance create --disabled, median of 3 (ms)", result: func(ctx context.Context, s side) (float64, error) {
		value, err := medianMillis(ctx, s, 3, "postfix-maint instance remove more >/dev/null 2>&1 || true", "postfix-maint instance create more --disabled")
		_, again := s.Sh(ctx, "postfix-maint instance remove more")
		return value, errors.Join(err, again)
	}},
}

// runningFigures are what they cost when they run. The order matters: all instances run at the end of each but the last.
var runningFigures = []instanceFigure{
	timed("start of all, stopped before", want{}, 1, "systemctl stop postfix", "systemctl start postfix"),
	timed("reload of all", want{}, 1, "", "systemctl reload postfix"),
	{label: "memory of all Postfix processes, PSS (MiB)", result: func(ctx context.Context, s side) (float64, error) {
		return mebibytes(ctx, s, `for p in $(pgrep -f '^(/usr/lib/postfix/sbin/master|pickup|qmgr|tlsmgr)'); do grep ^Pss: /proc/$p/smaps_rollup; done`)
	}},
	{label: "memory of systemd, RSS (MiB)", result: func(ctx context.Context, s side) (float64, error) {
		return mebibytes(ctx, s, "grep ^VmRSS: /proc/1/status")
	}},
	{label: "boot, until all is up (ms)", result: boot},
}

// boot starts the host anew and asks systemd how long it took.
func boot(ctx context.Context, s side) (float64, error) {
	if _, err := s.Sh(ctx, "systemctl stop postfix"); err != nil { // a shutdown with so many running ones may take longer than is waited for
		return 0, err
	}
	if err := s.Stop(); err != nil {
		return 0, err
	}
	if err := s.Boot(ctx); err != nil {
		return 0, err
	}
	out, err := s.Sh(ctx, "systemctl show -P FinishTimestampMonotonic; systemctl show -P UserspaceTimestampMonotonic")
	if err != nil {
		return 0, err
	}
	var up, began float64 // microseconds
	if _, err := fmt.Sscan(out, &up, &began); err != nil {
		return 0, fmt.Errorf("cannot read %q: %w", out, err)
	}
	return (up - began) / 1000, nil
}

// medianMillis times a command n times, each after another one that is not timed.
func medianMillis(ctx context.Context, s side, n int, before, command string) (float64, error) {
	var times []time.Duration
	for range n {
		if before != "" {
			if _, err := s.Sh(ctx, before); err != nil {
				return 0, err
			}
		}
		got, err := measure.Time(ctx, s.Host, 1, command)
		if err != nil {
			return 0, err
		}
		times = append(times, got...)
	}
	return float64(measure.Median(times)) / float64(time.Millisecond), nil
}

// mebibytes adds up the "NAME: NUMBER kB" lines that a script prints.
func mebibytes(ctx context.Context, s side, script string) (float64, error) {
	out, err := s.Sh(ctx, script+" || true")
	if err != nil {
		return 0, err
	}
	sum := 0
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return 0, fmt.Errorf("cannot read %q: %w", line, err)
		}
		sum += n
	}
	return float64(sum) / 1024, nil
}

// flat is how much dearer each further instance may be with hundreds than with twenty: more than 1 for what a busy machine adds.
const flat = 1.5

// scale measures our layer with 1, 21 and 201 instances, and how each figure grows.
func scale(ctx context.Context, _, ours side) error {
	return grow(ctx, ours, "instances", "", scaleFigures)
}

// running is the same with all of them running.
func running(ctx context.Context, _, ours side) error {
	return grow(ctx, ours, "running instances", startAll, runningFigures)
}

func grow(ctx context.Context, ours side, what, begin string, figures []instanceFigure) error {
	numbers := []int{1, 21, 201}
	results := make([][]float64, len(figures))
	for _, n := range numbers {
		if _, err := ours.Sh(ctx, fmt.Sprintf(moreInstances, n-1)+begin); err != nil {
			return err
		}
		for i, f := range figures {
			value, err := f.result(ctx, ours)
			if err != nil {
				return fmt.Errorf("cannot measure %q with %d instances: %w", f.label, n, err)
			}
			fmt.Printf("... %d instances: %s: %.1f\n", n, f.label, value) // all of it takes minutes
			results[i] = append(results[i], value)
		}
	}
	ours.report.table(ours.release+", ours with so many "+what, "1", "21", "201", "each of 20", "each of 180", "asked for")
	for i, f := range figures {
		ours.report.growth(f, results[i], numbers)
	}
	return forget(ctx, "m", ours)
}

// growth adds what a figure is with each number of instances.
func (r *report) growth(f instanceFigure, values []float64, numbers []int) {
	line := row{Label: f.label}
	var each [2]float64
	for i, v := range values {
		line.Cells = append(line.Cells, fmt.Sprintf("%.1f", v))
		if i > 0 {
			each[i-1] = (v - values[i-1]) / float64(numbers[i]-numbers[i-1])
		}
	}
	for _, v := range each {
		line.Cells = append(line.Cells, fmt.Sprintf("%.2f", v))
	}
	switch {
	case f.asked.Text != "":
		line.Asked, line.Missed = f.asked, f.asked.missed(0, values[len(values)-1])
	case f.each.Text != "":
		line.Asked = want{Text: f.each.Text + " each, flat"}
		line.Missed = f.each.missed(0, each[1]) || grows(values, each)
	default:
		line.Asked, line.Missed = want{Text: "flat"}, grows(values, each)
	}
	r.add(line)
}

// grows tells whether each instance costs more with hundreds than with twenty. What hundreds do not make half as large again as
// one does not grow, whatever it was with twenty: systemd gives memory back now and then.
func grows(values []float64, each [2]float64) bool {
	return values[len(values)-1] > flat*values[0] && each[1] > flat*each[0]
}
