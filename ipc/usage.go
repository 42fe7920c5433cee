package ipc

import (
	"math"
	"time"
)

// UsageQuery asks what messages have taken that have ended and are still on
// record. A zero field does not filter.
type UsageQuery struct {
	Team    string    `json:"team,omitempty"`
	Session *string   `json:"session,omitempty"` // the empty one is the team's own
	Since   time.Time `json:"since,omitzero"`    // accepted then or later
	By      string    `json:"by"`                // a sum for each team, session, or quarter of an hour, oldest first: days are made of those in every time zone
}

// UsageSums are the sums that were asked for, by name or time. Damaged names the
// records that cannot be believed and are in none.
type UsageSums struct {
	Sums    []UsageSum `json:"sums"`
	Damaged []string   `json:"damaged,omitempty"`
}

// UsageSum is what some messages have taken, and their agents by themselves. Those that ran in a conversation of
// their own are one session, "~".
type UsageSum struct {
	Team     string     `json:"team,omitempty"`
	Session  *string    `json:"session,omitempty"`
	From     *time.Time `json:"from,omitempty"` // beginning of the quarter of an hour
	Messages int64      `json:"messages"`
	CostUSD  float64    `json:"cost_usd"`
	Usage    Usage      `json:"usage"`
	Own      OwnSum     `json:"own"`
}

// OwnSum is what turns have taken that nobody has sent: agents have begun them by
// themselves. It is in no other sum.
type OwnSum struct {
	Turns   int64   `json:"turns"`
	CostUSD float64 `json:"cost_usd"`
	Usage   Usage   `json:"usage"`
}

// Add adds what others have taken.
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

// Cost is an amount of dollars without the noise that sums and differences leave
// in its last digits.
func Cost(usd float64) float64 { return math.Round(usd*1e8) / 1e8 }
