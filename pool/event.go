package pool

import (
	"time"

	"iris/pool/turn"
)

// Event is one thing that happened in the pool. It never holds the text of a
// message or of an answer.
type Event struct {
	Seq     uint64 // from 1, without gaps
	Time    time.Time
	Type    EventType
	Key     Key
	Process string
	PID     int
	Message string      // the message's id
	Sender  turn.Sender // of the message
	Detail  string
	Total   int // places taken at that time
	Max     int

	Account string    // of AccountLimited and AccountOpened
	Until   time.Time // the reset of the account; the end of the day or month of a budget
}

// EventType names what happened.
type EventType string

// The types of events. Each spawned process has exactly one of ProcessTerminated and
// ProcessExited.
const (
	ProcessSpawned    EventType = "process-spawned"
	ProcessTerminated EventType = "process-terminated" // stopped by the pool; Detail says why
	ProcessExited     EventType = "process-exited"     // ended by itself; Detail says how
	ProcessError      EventType = "process-error"      // did not start, or did not answer a check
	ProcessStalled    EventType = "process-stalled"    // its turn or own work makes no progress; once per stall
	ProcessFenced     EventType = "process-fenced"     // an orphan of an earlier daemon; ends in ProcessExited
	ProcessLingers    EventType = "process-lingers"    // an orphan has ended its turn and stays for its background work
	OwnTurn           EventType = "own-turn"           // an agent has ended a turn that nobody has sent; Detail says which and what it cost
	MessageQueued     EventType = "message-queued"     // has to wait; Detail is its position
	MessageSent       EventType = "message-sent"
	MessageResponse   EventType = "message-response" // one for each MessageSent; Detail is the outcome or the reason
	MessageDropped    EventType = "message-dropped"  // left the queue unsent; Detail is the reason
	MessageEnded      EventType = "message-ended"    // its end is on record; Detail is its state and, where there is one, a word more
	MessageWaits      EventType = "message-waits"    // its agent has the message and does not begin; Detail says what the agent waits for
	ApprovalAsked     EventType = "approval-asked"   // a turn waits for a decision; Detail names the approval and the tool
	ApprovalDecided   EventType = "approval-decided" // the approval waits no longer; Detail adds the decision
	AccountLimited    EventType = "limited"          // no message of the account begins before Until; Detail says why
	AccountOpened     EventType = "opened"           // the messages of the account go on; Detail says why
	BudgetLow         EventType = "budget-low"       // four fifths of a budget are spent; once a day or month, and again when it was changed
	BudgetSpent       EventType = "budget-spent"     // a budget does not allow a message; once a day or month, and again when it was changed
	HealthCheck       EventType = "health-check"
	ConfigChanged     EventType = "config-changed"
)

// keptEvents is how many events are kept for later readers.
const keptEvents = 1024

// ring holds the last keptEvents events.
type ring struct {
	events [keptEvents]Event
	last   uint64 // Seq of the newest, 0 before the first
	first  uint64 // events up to this Seq are of an earlier image, and not here
}

func (r *ring) add(e Event) {
	r.last++
	e.Seq = r.last
	r.events[r.last%keptEvents] = e
}

// kept is the Seq before the oldest event in the ring.
func (r *ring) kept() uint64 { return max(r.first, r.last-min(r.last, keptEvents)) }

// from returns the Seq after which to read on, and how many events are lost in
// between. A number that was never given out comes from an earlier pool: it stands
// for the beginning.
func (r *ring) from(after uint64) (next, missed uint64) {
	if after > r.last {
		after = 0
	}
	if k := r.kept(); after < k {
		return k, k - after
	}
	return after, 0
}

// after returns the event after Seq n, which must still be kept.
func (r *ring) after(n uint64) (Event, bool) {
	if n >= r.last {
		return Event{}, false
	}
	return r.events[(n+1)%keptEvents], true
}
