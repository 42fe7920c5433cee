package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Budget is the most that turns may cost in a day and in a month, in dollars. Zero is no
// limit.
type Budget struct{ Day, Month float64 }

// maxBudget is the largest limit in dollars.
const maxBudget = 1e6

// String returns the form of the configuration.
func (b Budget) String() string {
	var parts []string
	for _, p := range []struct {
		name string
		usd  float64
	}{{"day", b.Day}, {"month", b.Month}} {
		if p.usd > 0 {
			parts = append(parts, p.name+" = "+strconv.FormatFloat(p.usd, 'f', -1, 64))
		}
	}
	if parts == nil {
		return "{}"
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}

// readBudget reads a table of amounts.
func (k *key) readBudget(v *value, report func(position, string)) (any, string) {
	if v.kind != unstable.Table {
		return nil, "must be a table of dollars, such as { day = 20, month = 300 }"
	}
	var b Budget
	into := map[string]*float64{"day": &b.Day, "month": &b.Month}
	for _, name := range v.keys {
		e := v.table[name]
		to := into[name]
		if to == nil {
			report(e.keyAt, fmt.Sprintf("%s: unknown key %q; it has day and month", k.name, name))
			continue
		}
		usd, ok := e.decimal()
		if !ok || !(usd >= 0 && usd <= maxBudget) || usd > 0 && usd < 0.0001 {
			report(e.pos, fmt.Sprintf("%s.%s%s: must be dollars from 0.0001 to %d, such as 2.50, or 0 for no limit", k.name, name, e.shown(), int(maxBudget)))
			continue
		}
		*to = usd
	}
	return b, ""
}

// decimal is a whole number or one with a fraction.
func (v *value) decimal() (float64, bool) {
	switch v.kind {
	case unstable.Integer:
		return float64(v.num), true
	case unstable.Float:
		f, err := strconv.ParseFloat(strings.ReplaceAll(v.raw, "_", ""), 64)
		return f, err == nil
	}
	return 0, false
}
