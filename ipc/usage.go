package ipc

import (
	"math"
	"time"
)

// UsageQuery asks for the usage of ended messages that are still on record. A zero
// field does not filter.
type UsageQuery struct {
	Team    string    `json:"team,omitempty"`
	Session *string   `json:"session,omitempty"` // empty for the team's own session
	Since   time.Time `json:"since,omitzero"`    // accepted at this time or later
	By      string    `json:"by"`                // what each sum is for: team, session, or quarter of an hour, oldest first, which add up to days in every time zone
}

// UsageSums are the sums, by name or time. Damaged names the records of the journal that
// are damaged; no sum includes them.
type UsageSums struct {
	Sums    []UsageSum `json:"sums"`
	Damaged []string   `json:"damaged,omitempty"`
}

// UsageSum is the usage of some messages, and that of their agents' own turns.
// Messages sent with Fresh count as one session, "~".
type UsageSum struct {
	Team     string     `json:"team,omitempty"`
	Session  *string    `json:"session,omitempty"`
	From     *time.Time `json:"from,omitempty"` // beginning of the quarter of an hour
	Messages int64      `json:"messages"`
	CostUSD  float64    `json:"cost_usd"`
	Usage    Usage      `json:"usage"`
	Own      OwnSum     `json:"own"`
}

// OwnSum is the usage of turns that nobody has sent: agents began them by themselves.
// No other sum includes it.
type OwnSum struct {
	Turns   int64   `json:"turns"`
	CostUSD float64 `json:"cost_usd"`
	Usage   Usage   `json:"usage"`
}

// Add adds another sum.
func (s *UsageSum) Add(o *UsageSum) {
	s.Messages += o.Messages
	s.CostUSD += o.CostUSD
	s.Usage.Add(o.Usage)
	s.Own.Turns += o.Own.Turns
	s.Own.CostUSD += o.Own.CostUSD
	s.Own.Usage.Add(o.Own.Usage)
}

// Add adds other tokens.
func (u *Usage) Add(o Usage) {
	u.Input += o.Input
	u.Output += o.Output
	u.CacheRead += o.CacheRead
	u.CacheWrite += o.CacheWrite
}

// Cost is an amount of dollars, rounded to drop the floating-point noise of sums and
// differences.
func Cost(usd float64) float64 { return math.Round(usd*1e8) / 1e8 }
