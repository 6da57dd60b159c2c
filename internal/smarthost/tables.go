package smarthost

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"postfix-maint/internal/instance"
	"postfix-maint/internal/maincf"
	"postfix-maint/internal/paths"
	"postfix-maint/internal/run"
)

// queryLimit bounds the wait for one answer of a table: it may be a server's.
const queryLimit = 30 * time.Second

// tables are the elements of a list of tables, as Postfix's clients see it: $name may stand for several.
func (h *host) tables(f *maincf.File, param string) ([]string, error) {
	value, _ := f.Get(param)
	value, err := instance.Expand(f, h.inst.ConfigDir, value)
	if err != nil {
		return nil, fmt.Errorf("cannot understand %s in %q: %w", param, h.file("main.cf"), err)
	}
	return maincf.SplitList(value), nil
}

// query looks a key up in a table with postmap(1), which exits 1 without a word where it is not there.
func (h *host) query(ctx context.Context, element, key string) (value string, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryLimit)
	defer cancel()
	out, err := h.tool(ctx, paths.Postmap, "-q", key, element)
	if silent(err) {
		return "", false, nil
	}
	return strings.TrimRight(string(out), "\n"), err == nil, err
}

// queryIfAble is query for what no password depends on: a table that cannot be asked counts as one without the key.
func (h *host) queryIfAble(ctx context.Context, element, key string) (value string, found bool, err error) {
	value, found, err = h.query(ctx, element, key)
	if errors.As(err, new(*run.ExitError)) {
		err = nil
	}
	return value, found, err
}
