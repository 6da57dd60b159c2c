package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"postfix-maint/integration/measure"
)

// moreInstances brings a host to as many instances beside the primary one as its argument says: inet disabled, the rest as
// postmulti(1) lays it out, and runs each once, so that Postfix has made its queue and the chroot is filled.
const moreInstances = `
postconf -e multi_instance_wrapper=/usr/sbin/postmulti multi_instance_enable=yes
for i in $(seq 1 %d); do
	dir=/etc/postfix-m$i
	dirs="${dirs-} $dir"
	[ ! -e /var/spool/postfix-m$i/pid ] || continue
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
systemctl start postfix
sleep 10 # hundreds of daemons that have just begun still keep the processors busy
`

// instanceFigure is something that is measured with each number of instances. Its result has the unit that it names.
type instanceFigure struct {
	label  string
	asked  map[int]string
	result func(ctx context.Context, s side) (float64, error)
}

// instanceFigures are what hundreds of instances cost. The order matters: all instances run at the end of each.
var instanceFigures = []instanceFigure{
	{"generator, median of 11 (ms)", map[int]string{21: "21: at most 5", 201: "201: at most 15"}, func(ctx context.Context, s side) (float64, error) {
		empty, err := medianMillis(ctx, s, 11, "", "{ rm -rf /run/gen; mkdir /run/gen; }; true")
		if err != nil {
			return 0, err
		}
		full, err := medianMillis(ctx, s, 11, "", "{ rm -rf /run/gen; mkdir /run/gen; }; "+s.generator+" /run/gen /run/gen /run/gen")
		return full - empty, err
	}},
	{"daemon-reload, median of 3 (ms)", nil, func(ctx context.Context, s side) (float64, error) {
		return medianMillis(ctx, s, 3, "", "systemctl daemon-reload")
	}},
	{"start of all, stopped before (ms)", nil, func(ctx context.Context, s side) (float64, error) {
		return medianMillis(ctx, s, 1, "systemctl stop postfix", "systemctl start postfix")
	}},
	{"reload of all (ms)", nil, func(ctx context.Context, s side) (float64, error) {
		return medianMillis(ctx, s, 1, "", "systemctl reload postfix")
	}},
	{"chroot refresh of all, nothing to do (ms)", nil, func(ctx context.Context, s side) (float64, error) {
		return medianMillis(ctx, s, 3, "", "for dir in $(postconf -hx config_directory multi_instance_directories); do MAIL_CONFIG=$dir "+ourTools+"configure-instance || exit 1; done")
	}},
	{"resolver files of all, nothing to do (ms)", nil, func(ctx context.Context, s side) (float64, error) {
		return medianMillis(ctx, s, 3, "", ourTools+"configure-instance --resolver")
	}},
	{"memory of all Postfix processes, PSS (MiB)", nil, func(ctx context.Context, s side) (float64, error) {
		return mebibytes(ctx, s, `for p in $(pgrep -f '^(/usr/lib/postfix/sbin/master|pickup|qmgr|tlsmgr)'); do grep ^Pss: /proc/$p/smaps_rollup; done`)
	}},
	{"memory of systemd, RSS (MiB)", nil, func(ctx context.Context, s side) (float64, error) {
		return mebibytes(ctx, s, "grep ^VmRSS: /proc/1/status")
	}},
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

// instances measures our layer with 1, 21 and 201 instances, all of them running, and how each figure grows.
func instances(ctx context.Context, _, ours side) error {
	numbers := []int{1, 21, 201}
	results := make([][]float64, len(instanceFigures))
	for _, n := range numbers {
		if _, err := ours.Sh(ctx, fmt.Sprintf(moreInstances, n-1)); err != nil {
			return err
		}
		for i, f := range instanceFigures {
			value, err := f.result(ctx, ours)
			if err != nil {
				return fmt.Errorf("cannot measure %q with %d instances: %w", f.label, n, err)
			}
			fmt.Printf("... %d instances: %s: %.1f\n", n, f.label, value) // all of it takes minutes
			results[i] = append(results[i], value)
		}
	}
	fmt.Printf("%-46s %12d %12d %12d   %s\n", "ours with so many running instances", numbers[0], numbers[1], numbers[2], "more for each, asked for")
	for i, f := range instanceFigures {
		r := results[i]
		each := (r[2] - r[0]) / float64(numbers[2]-numbers[0])
		fmt.Printf("  %-44s %12.1f %12.1f %12.1f   %.2f  %s\n", f.label, r[0], r[1], r[2], each, strings.Trim(f.asked[21]+"; "+f.asked[201], "; "))
	}
	return nil
}
