package pool

import "time"

// Event is one thing that happened in the pool. It never holds the text of a
// message or of an answer.
type Event struct {
	Seq     uint64 // from 1, without gaps
	Time    time.Time
	Type    EventType
	Key     Key
	Process string
	PID     int
	Message string // the message's id
	Detail  string
	Total   int // places taken at that moment
	Max     int
}

// EventType names what happened.
type EventType string

// The types of events. A process that was spawned has exactly one of
// ProcessTerminated and ProcessExited.
const (
	ProcessSpawned    EventType = "process-spawned"
	ProcessTerminated EventType = "process-terminated" // stopped by the pool; Detail says why
	ProcessExited     EventType = "process-exited"     // left by itself; Detail says how
	ProcessError      EventType = "process-error"      // did not start, or does not answer a check
	ProcessStalled    EventType = "process-stalled"    // its turn, or what it does by itself, makes no progress; once per stall
	ProcessFenced     EventType = "process-fenced"     // left over from an earlier daemon; ends in ProcessExited
	ProcessLingers    EventType = "process-lingers"    // an orphan has ended its turn, and stays for its background work
	OwnTurn           EventType = "own-turn"           // an agent has ended a turn that nobody has sent; Detail says which, and what it cost
	MessageQueued     EventType = "message-queued"     // has to wait; Detail is its position
	MessageSent       EventType = "message-sent"
	MessageResponse   EventType = "message-response" // one for each MessageSent; Detail is the outcome or the reason
	MessageDropped    EventType = "message-dropped"  // left the queue unsent; Detail is the reason
	MessageWaits      EventType = "message-waits"    // its agent has it and does not begin; Detail is what that waits for
	ApprovalAsked     EventType = "approval-asked"   // a turn waits for somebody's permission; Detail is which, and the tool
	ApprovalDecided   EventType = "approval-decided" // and no longer; Detail adds how
	HealthCheck       EventType = "health-check"
	ConfigChanged     EventType = "config-changed"
)

// keptEvents is how many events are kept for those who ask later.
const keptEvents = 1024

// ring holds the last keptEvents events.
type ring struct {
	events [keptEvents]Event
	last   uint64 // Seq of the newest, 0 before the first
	first  uint64 // none up to this Seq is here: they are of an image before this one
}

func (r *ring) add(e Event) {
	r.last++
	e.Seq = r.last
	r.events[r.last%keptEvents] = e
}

// kept is the Seq before the oldest event that is still here.
func (r *ring) kept() uint64 { return max(r.first, r.last-min(r.last, keptEvents)) }

// from returns where to read on after a Seq, and how many events are lost in
// between. A number that was never given out comes from an earlier pool: it
// stands for the beginning.
func (r *ring) from(after uint64) (next, missed uint64) {
	if after > r.last {
		after = 0
	}
	if k := r.kept(); after < k {
		return k, k - after
	}
	return after, 0
}

// after returns the event that follows Seq n, which must not be lost.
func (r *ring) after(n uint64) (Event, bool) {
	if n >= r.last {
		return Event{}, false
	}
	return r.events[(n+1)%keptEvents], true
}
