package claude

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"iris/pool/turn"
)

// limitName returns the words for a limit as the agent's output names it.
func limitName(kind string) string {
	switch kind {
	case "":
		return ""
	case "five_hour":
		return "five-hour limit"
	case "overage":
		return "limit of extra usage"
	}
	return strings.ReplaceAll(strings.Replace(kind, "seven_day", "seven-day", 1), "_", " ") + " limit"
}

// limited records when a limit resets, and how much of the limits is used. The agent says so
// once, and not with each turn that the same limit ends.
func (a *turnNotes) limited(line []byte) {
	type window struct {
		Utilization *float64 `json:"utilization"`
		ResetsAt    int64    `json:"resetsAt"` // seconds since 1970
	}
	var m struct {
		Info struct {
			window
			Status  string            `json:"status"`
			Type    string            `json:"rateLimitType"`
			Windows map[string]window `json:"unifiedWindows"`
		} `json:"rate_limit_info"`
	}
	a.Resets, a.Limit = time.Time{}, ""
	decode(line, &m)
	i := &m.Info
	if i.Status == "rejected" && i.ResetsAt > 0 {
		a.Resets, a.Limit = time.Unix(i.ResetsAt, 0), limitName(i.Type)
	}
	if i.Windows == nil && i.Type != "" {
		i.Windows = map[string]window{i.Type: i.window}
	}
	a.Windows = nil
	for kind, w := range i.Windows {
		if w.Utilization == nil {
			continue
		}
		t := turn.Window{Name: limitName(kind), Utilization: *w.Utilization}
		if w.ResetsAt > 0 {
			t.Resets = time.Unix(w.ResetsAt, 0)
		}
		a.Windows = append(a.Windows, t)
	}
	slices.SortFunc(a.Windows, func(x, y turn.Window) int { return cmp.Compare(x.Name, y.Name) })
}

// limit names the limit that has ended a turn.
func (a *turnNotes) limit(r *resultLine) string {
	switch {
	case saysCredit(r.said()):
		return "credit exhausted"
	case a.Limit != "":
		return a.Limit
	}
	return "rate limit"
}
