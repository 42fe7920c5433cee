package pool

import (
	"context"
	"strings"
	"time"
)

// Key names a conversation: a team, and one session of it. The empty session
// is the team's own. One agent serves a key, one turn at a time.
type Key struct {
	Team    string
	Session string
}

// String returns "team" or "team@session", the form used in commands and logs.
func (k Key) String() string {
	if k.Session == "" {
		return k.Team
	}
	return k.Team + "@" + k.Session
}

// Agent is one live agent process. The pool calls Send for one turn at a time
// and Stop at most from one goroutine; the other methods may be called at any
// time. An Agent is ready for its first turn when Start has returned it.
type Agent interface {
	// Send runs one turn and returns when it is over. A Result means that the
	// turn ended by the agent's own word and the agent may be used again, also
	// when Result.Outcome says that it failed. An error means that nobody can
	// say so (the agent died, its output is garbage, it does not answer an
	// interrupt): the pool then stops the agent. An error that wraps
	// ErrNotDispatched promises that no byte of the turn reached the agent.
	//
	// A turn with Begun set has been sent: Send waits for its end only.
	//
	// When ctx ends, Send interrupts the turn and returns its result (outcome
	// OutcomeInterrupted), or an error when the agent does not answer in time.
	Send(ctx context.Context, t *Turn) (*Result, error)

	// Stop ends the process and all that its turn started, gently first, and
	// returns when it is gone. A turn under way ends. Safe to call twice.
	Stop()

	// Done is closed when the process is gone and its output read to the end.
	Done() <-chan struct{}

	// Exit says how the process ended, such as "exit status 1" or "signal:
	// killed". Valid once Done is closed.
	Exit() string

	// PID is the operating system's process id.
	PID() int

	// Progress is when the agent last wrote anything.
	Progress() time.Time

	// Stale says why the agent should be replaced before its next turn, such
	// as "CLAUDE.md changed"; empty when it need not be. It may touch the disk.
	Stale() string

	// Check asks an idle agent for a sign of life and measures it. With ping
	// false it only measures, so that it may be called during a turn.
	Check(ctx context.Context, ping bool) (Health, error)
}

// Health is what a health check found.
type Health struct {
	Memory int64 // bytes of the whole process tree (PSS where the system has it), 0 when unknown
}

// Turn is one message on its way through the pool. The caller fills it in,
// hands it to Submit and does not change it afterwards, except for Text.
type Turn struct {
	ID     string // the message's id, for events and Cancel; unique among live turns
	Key    Key
	Text   string // read by the agent only, never by the pool: Begin may set it
	Parent string // process id of the agent whose turn waits for this one; empty for none
	Fresh  bool   // a conversation of its own: the agent goes after this turn
	Blocks bool   // Text is a JSON list of content blocks

	// Begun says that Agent has the turn already: an image of this program before
	// this one has sent it. Pool.Restore sets it; such a turn is taken to no other
	// agent. Begin is called once, before Send, and cannot refuse.
	Begun bool

	// IfIdle has Submit refuse the message with ErrBusy unless its conversation
	// has nothing to do: no turn runs, no message waits, every Finish has
	// returned, and no fenced process ends a turn of an earlier daemon.
	IfIdle bool

	// Variant is what its agent has to be started as, nil for the usual one. An
	// idle one of another variant is replaced first.
	Variant *Variant

	// Kept, when it is not 0, says that an earlier daemon accepted the message,
	// and is its place in the order of acceptance. It waits before those of its
	// key that are new or have a later place. Submit does not refuse it for want
	// of room: it counts against QueueLimit and may exceed it, waits for a place
	// also with WhenFullFail, and for the next try where starts fail. ErrClosed
	// remains. Its Parent is empty, and IfIdle is not asked again.
	Kept uint64

	// Begin runs just before the first byte goes to the agent; its error gives
	// the turn up unstarted, and its context ends with the wish for the turn. It
	// may set Text, so that a long line need not be held in memory. It runs again
	// when the turn is taken to another agent because the first did not take it
	// (ErrNotDispatched, which Begin may return too). Output sees each line the
	// agent writes during the turn, in order; the slice is only valid during the
	// call. Both may be nil; neither is called with the pool's lock held.
	Begin  func(context.Context, Process) error
	Output func(line []byte)

	// Finish is called exactly once, after the slot is free again and without
	// the pool's lock: with a Result when the agent ended the turn by its own
	// word, else with the error that says why not. The next turn of the same
	// key does not begin before Finish has returned.
	Finish func(*Result, error)
}

// Outcome says how a turn ended in one word.
type Outcome string

// The outcomes of a turn that an agent ended by its own word.
const (
	OutcomeSuccess     Outcome = "success"
	OutcomeDenied      Outcome = "denied"        // answered, but a tool was denied
	OutcomeFailed      Outcome = "failed"        // the agent says so, no better word
	OutcomeInterrupted Outcome = "interrupted"   // aborted on request
	OutcomeIncomplete  Outcome = "incomplete"    // stalled or partial
	OutcomeNotLoggedIn Outcome = "not-logged-in" // no usable credentials
	OutcomeRateLimited Outcome = "rate-limited"
	OutcomeLimit       Outcome = "limit" // turn or budget limit
	OutcomeAPIError    Outcome = "api-error"
)

// Result is how an agent ended a turn. Costs and counts are of this turn alone.
type Result struct {
	Outcome    Outcome
	Text       string // the answer; with a failed outcome what the agent said of it
	Err        string // one line on what went wrong; empty on success
	SessionID  string // the agent's own id of the conversation
	Subtype    string // the agent's own words: subtype, stop reason, terminal reason
	Stop       string
	Terminal   string
	Status     int // HTTP status of a failed API call, 0 for none
	Turns      int // model calls in this turn
	CostUSD    float64
	Duration   time.Duration
	API        time.Duration // of which waiting for the API
	Usage      Usage
	Denials    []Denial
	Resets     time.Time // of a rate limit: when it is over; zero when nobody said
	Structured bool      // Text is JSON that follows the schema of the turn's Variant
	Model      string    // that answered, as the agent names it

	// Background says what this turn has begun and left to run beside it. When
	// the agent is stopped right after the turn, the result is CutOff.
	Background []string

	Reason string // one more word on the outcome, such as ReasonApprovalLost; mostly empty
	Retire string // why the agent is of no further use, empty when it is
}

// CutOff is r as the result of a turn whose agent has gone with what it still did
// beside the turn: that was a part of what was asked for.
func (r *Result) CutOff() *Result {
	if r == nil || len(r.Background) == 0 || r.Outcome != OutcomeSuccess && r.Outcome != OutcomeDenied {
		return r
	}
	cut := *r
	cut.Outcome = OutcomeIncomplete
	cut.Err = "background work was ended with the agent: " + strings.Join(r.Background, "; ")
	return &cut
}

// ReasonApprovalLost says of a denied turn that nobody had decided about its
// tool call when the daemon ended: the agent then denies by itself.
const ReasonApprovalLost = "approval-lost"

// ReasonDecided says of a denied turn that somebody was asked about its tool call
// and has denied it, or let the deadline do so.
const ReasonDecided = "decided"

// Usage counts tokens.
type Usage struct {
	Input, Output, CacheRead, CacheWrite int64
}

// Denial is a tool call that was not permitted.
type Denial struct {
	Tool  string
	Input []byte // JSON as the agent wrote it
}
