package main

import (
	"context"
	"fmt"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/multi"
	"postfix-maint/internal/sysroot"
)

// queuedLimit bounds the count of all queues: a removal does not wait for a queue that somebody made endless.
const queuedLimit = 10 * time.Second

// queued tells, for a removal or another mail system that takes over, which mail nobody delivers any more. It stays where it is.
func queued(ctx context.Context, root *sysroot.Root) (warnings []string) {
	ctx, cancel := context.WithTimeout(ctx, queuedLimit)
	defer cancel()
	insts, _ := instance.List(root) // without a configuration nobody knows where the queues are
	if inst, err := primaryInstance(root); err == nil && len(insts) == 0 {
		insts = append(insts, inst)
	}
	for _, inst := range insts {
		q, err := multi.Queued(ctx, root, inst)
		switch n := q.Total(); {
		case n > 0:
			more := ""
			if err != nil {
				more = "at least "
			}
			warnings = append(warnings, fmt.Sprintf("mail is queued in %s, which stays and is delivered when Postfix is back (messages: %s%d)", inst.QueueDir, more, n))
		case err != nil:
			warnings = append(warnings, err.Error())
		}
	}
	return warnings
}
