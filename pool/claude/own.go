package claude

import (
	"time"

	"iris/pool/turn"
)

// The origins of turns that nobody has sent. Claude Code may name others.
const (
	OriginScheduler = "scheduler"         // CronCreate, /loop, ScheduleWakeup
	OriginTask      = "task-notification" // something in the background has ended
	OriginPeer      = "peer"              // another session has sent a message
)

// OwnTurn is a turn that an agent has begun by itself, at its end.
type OwnTurn struct {
	Origin   string // one of the words above, or the agent's own
	At       time.Time
	Text     string // what it came to
	Err      string // one line on what went wrong; empty on success
	CostUSD  float64
	Usage    turn.Usage
	Duration time.Duration
	Model    string

	end int64 // where its output ends in the spool
}

// newOwnTurn is a turn of the agent's own that has come to res.
func newOwnTurn(res *turn.Result, origin string) *OwnTurn {
	if origin == "schedule_wakeup" {
		origin = OriginScheduler
	}
	return &OwnTurn{
		Origin: origin, At: time.Now(), Text: res.Text, Err: res.Err,
		CostUSD: res.CostUSD, Usage: res.Usage, Duration: res.Duration, Model: res.Model,
	}
}
