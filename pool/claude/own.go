package claude

import (
	"time"

	"iris/pool/turn"
)

// The origins of the agent's own turns. Claude Code may name others.
const (
	OriginScheduler = "scheduler"         // CronCreate, /loop, ScheduleWakeup
	OriginTask      = "task-notification" // background work has ended
	OriginPeer      = "peer"              // another session has sent a message
)

// OwnTurn is a turn that an agent began by itself and has ended.
type OwnTurn struct {
	Origin   string // one of the words above, or another of the agent's; empty if unknown
	At       time.Time
	Text     string // its answer
	Err      string // one line about the failure; empty on success
	CostUSD  float64
	Usage    turn.Usage
	Duration time.Duration
	Model    string

	end int64 // where its output ends in the spool
}

// wakeupOrigin is the origin of a turn that begins for no message of iris's, from its
// wakeup_source.
func wakeupOrigin(source string) string {
	switch source {
	case "":
		return OriginPeer
	case "schedule_wakeup":
		return OriginScheduler
	}
	return source
}

// unnamed is the origin of an own turn for which no line names one. A program with
// lifecycle names those of its scheduler.
func (a *turnNotes) unnamed() string {
	if a.Lifecycle {
		return ""
	}
	return OriginScheduler
}

// newOwnTurn returns the agent's own turn that ended with res.
func newOwnTurn(res *turn.Result, origin string) *OwnTurn {
	return &OwnTurn{
		Origin: origin, At: time.Now(), Text: res.Text, Err: res.Err,
		CostUSD: res.CostUSD, Usage: res.Usage, Duration: res.Duration, Model: res.Model,
	}
}
