package journal

import (
	"fmt"
	"slices"
	"time"

	"iris/pool/turn"
)

// State is the state of a message.
type State string

// The states of a message. The last five are ends.
const (
	Queued    State = "queued"
	Running   State = "running"
	Done      State = "done"      // the agent answered
	Failed    State = "failed"    // the agent failed, or iris could not run it
	Cancelled State = "cancelled" // by a person
	Expired   State = "expired"   // its deadline passed before its turn began
	Unknown   State = "unknown"   // it began, and nobody can prove how it ended
)

var states = []State{Queued, Running, Done, Failed, Cancelled, Expired, Unknown}

// code is the byte of a state in records and indexes, 0 of any other word: the first
// letter, which is never changed.
func (s State) code() byte {
	if !s.Known() {
		return 0
	}
	return s[0]
}

// stateOf is the state with that code; empty if there is none.
func stateOf(code byte) State {
	for _, s := range states {
		if s[0] == code {
			return s
		}
	}
	return ""
}

// Known reports whether s is a state.
func (s State) Known() bool { return slices.Contains(states, s) }

// Ended reports whether s is an end.
func (s State) Ended() bool { return s != Queued && s != Running }

// indexed reports whether the journal has an index of the messages in state s. Most
// messages are done.
func (s State) indexed() bool { return s != Done && s.Known() }

// leads lists the possible changes. Only Resolve and Reattempt change an unknown
// message.
var leads = map[State][]State{
	Queued:  {Running, Failed, Cancelled, Expired},
	Running: {Done, Failed, Cancelled, Unknown, Queued},
	Unknown: {Done, Failed, Cancelled, Queued},
}

// Options are the options of the sender. The journal uses only Deadline and Key.
type Options struct {
	Key       string        `json:"key,omitempty"`        // idempotency key: the same key and message is accepted once
	Deadline  time.Time     `json:"deadline,omitzero"`    // the message expires if its turn has not begun by then
	Fresh     bool          `json:"fresh,omitempty"`      // in a conversation of its own
	OnUnknown string        `json:"on_unknown,omitempty"` // hold, continue, retry
	OnLimit   string        `json:"on_limit,omitempty"`   // wait, fail; empty for that of the team
	Spare     *bool         `json:"spare,omitempty"`      // only with capacity to spare; nil for that of the team
	RetryOf   string        `json:"retry_of,omitempty"`   // id of the message that this one repeats
	Origin    string        `json:"origin,omitempty"`     // who sent it, for people
	Sender    turn.Sender   `json:"sender,omitzero"`      // the agent that sent it
	Variant   *turn.Variant `json:"variant,omitempty"`
	Blocks    bool          `json:"blocks,omitempty"`  // the body is a JSON list of content blocks, and not text
	NoWait    bool          `json:"no_wait,omitempty"` // do not wait for background work of the agent
}

// New is a message to accept.
type New struct {
	ID      string // letters, digits, "-" and "_", at most 64; sorts by time
	Team    string
	Session string
	Body    []byte
	Options Options
	At      time.Time

	Gone func() bool // reports whether the sender has hung up; checked last, just before writing; may be nil
}

// Attempt is one dispatch: enough to find the agent's output of it.
type Attempt struct {
	Process string    `json:"process"`
	Offset  int64     `json:"offset"`
	UUID    string    `json:"uuid,omitempty"`    // the agent's name for the message
	NoWait  bool      `json:"no_wait,omitempty"` // the first answer ends it, whatever subagents do
	Boot    string    `json:"boot,omitempty"`    // boot id, so that a reboot is noticed
	At      time.Time `json:"at"`
}

// Change is one step of a message's history.
type Change struct {
	State State     `json:"state"`
	At    time.Time `json:"at"`
	By    string    `json:"by,omitempty"`   // who, if neither the agent nor the sender
	Note  string    `json:"note,omitempty"` // why

	Request string `json:"request,omitempty"` // id of the request for another attempt, to recognise its repetition
}

// Message is the record of one message; Body and Result read the rest.
type Message struct {
	ID       string    `json:"id"`
	Seq      uint64    `json:"seq"` // order of acceptance, independent of clocks
	Team     string    `json:"team"`
	Session  string    `json:"session,omitempty"`
	State    State     `json:"state"`
	Options  Options   `json:"options,omitzero"`
	History  []Change  `json:"history"`
	Attempts []Attempt `json:"attempts,omitempty"`
	Body     Content   `json:"body"`
	Result   Content   `json:"result,omitzero"`

	// From the result, for lists.
	Outcome string     `json:"outcome,omitempty"`
	Error   string     `json:"error,omitempty"`
	CostUSD float64    `json:"cost_usd,omitempty"`
	Usage   turn.Usage `json:"usage,omitzero"` // also zero if an earlier iris wrote the record
}

// Accepted is when the message was accepted.
func (m *Message) Accepted() time.Time { return m.History[0].At }

// Ended is when the message reached its end, also an unknown end that was resolved;
// zero before.
func (m *Message) Ended() (at time.Time) {
	for _, c := range slices.Backward(m.History) {
		if !c.State.Ended() {
			break
		}
		at = c.At
	}
	return at
}

// Retried reports whether the message was queued again after an attempt with an
// unknown end.
func (m *Message) Retried() bool {
	for i, c := range m.History[1:] {
		if c.State == Queued && m.History[i].State == Unknown {
			return true
		}
	}
	return false
}

// Requested reports whether that request queued the message again; false for the
// empty request.
func (m *Message) Requested(request string) bool {
	return request != "" && slices.ContainsFunc(m.History, func(c Change) bool { return c.Request == request })
}

// Last is the latest attempt; the zero Attempt if there was none.
func (m *Message) Last() Attempt {
	if len(m.Attempts) == 0 {
		return Attempt{}
	}
	return m.Attempts[len(m.Attempts)-1]
}

// Result is how a turn ended. If the agent did not end it by its own word, Outcome is
// empty, and Err, Code, Reason and Hint are those of the error that the sender got.
type Result struct {
	Code   int    `json:"code,omitempty"`
	Hint   string `json:"hint,omitempty"`
	Notice string `json:"notice,omitempty"` // what else the sender was told
	turn.Result
}

func checkID(id string) error {
	if len(id) == 0 || len(id) > 64 {
		return fmt.Errorf("message id %q has %d characters, not 1 to 64", id, len(id))
	}
	for _, c := range []byte(id) {
		if c != '-' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return fmt.Errorf("message id %q has a character that is not a letter, digit, %q or %q", id, "-", "_")
		}
	}
	return nil
}
