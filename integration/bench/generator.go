package main

import (
	"context"
	"fmt"
	"time"
)

// addInstances brings a host to as many instances as its argument says beside the primary one, as files: quicker than postmulti(1).
const addInstances = `dirs=
for i in $(seq %d); do
	mkdir -p /etc/postfix-g$i
	printf 'multi_instance_name = postfix-g%%s\nmulti_instance_enable = yes\nqueue_directory = /var/spool/postfix-g%%s\ndata_directory = /var/lib/postfix-g%%s\n' \
		$i $i $i > /etc/postfix-g$i/main.cf
	cp /etc/postfix/master.cf /etc/postfix-g$i/
	dirs="$dirs /etc/postfix-g$i"
done
postconf -e multi_instance_enable=yes "multi_instance_directories=$dirs"
`

// empty is what systemd does before it runs a generator: the directory is new. To take away the files of the run before takes half as long
// as to make them, so it is not timed with the run.
const empty = "rm -rf /run/gen; mkdir /run/gen"

// generate measures the generator of units with 1, 21 and 201 instances, beside Debian's where the release has one, and beside the time
// that postconf(1) takes.
func generate(ctx context.Context, debian, ours side) error {
	r := ours.report
	r.title("generator of instance units, medians of 11")
	for _, n := range []int{1, 21, 201} {
		for _, h := range []side{debian, ours} {
			if _, err := h.Sh(ctx, fmt.Sprintf(addInstances, n-1)); err != nil {
				return err
			}
		}
		run := func(s side) string { return s.generator + " /run/gen /run/gen /run/gen" }
		beside, err := inTurn(ctx, 11, empty, ours.Host, run(ours), ours.Host, "postconf")
		if err != nil {
			return err
		}
		label := fmt.Sprintf("instances: %d", n)
		if debian.generator == "" || n > 21 { // Debian's takes some milliseconds an instance
			r.alone(label, inMillis(beside[0]), "ms", want{})
			r.beside(n, beside[1], beside[0])
			continue
		}
		times, err := inTurn(ctx, 11, empty, debian.Host, run(debian), ours.Host, run(ours))
		if err != nil {
			return err
		}
		r.span(wall+", "+label, times[0], times[1], want{})
		r.beside(n, beside[1], beside[0])
	}
	return forget(ctx, "g", debian, ours)
}

// beside compares a time of the generator with that of so many runs of postconf(1) as are allowed.
func (r *report) beside(instances int, postconf, generator time.Duration) {
	allowed := map[int]time.Duration{21: 1, 201: 2}[instances]
	if allowed > 0 {
		r.span(fmt.Sprintf("the same; left: %d postconf", allowed), allowed*postconf, generator, share(1))
	}
}

// forget takes instances of the primary one's list that lie as files in directories with a prefix.
func forget(ctx context.Context, prefix string, sides ...side) error {
	for _, h := range sides {
		if _, err := h.Sh(ctx, fmt.Sprintf(`postconf -X multi_instance_enable multi_instance_directories
			rm -rf /etc/postfix-%[1]s[0-9]* /var/spool/postfix-%[1]s[0-9]* /var/lib/postfix-%[1]s[0-9]*; systemctl daemon-reload`, prefix)); err != nil {
			return err
		}
	}
	return nil
}
