package turn

import (
	"strings"
	"time"
)

// Outcome is one word for how a turn ended.
type Outcome string

// The outcomes of a turn that ended by the agent's own word.
const (
	Success     Outcome = "success"
	Denied      Outcome = "denied"        // answered, but a tool was denied
	Failed      Outcome = "failed"        // the agent says so, without a better word
	Interrupted Outcome = "interrupted"   // aborted on request
	Incomplete  Outcome = "incomplete"    // stalled or partial
	NotLoggedIn Outcome = "not-logged-in" // no usable credentials
	RateLimited Outcome = "rate-limited"
	Limit       Outcome = "limit" // turn or budget limit
	APIError    Outcome = "api-error"
	Unknown     Outcome = "unknown" // the agent has ended the turn, and its answer was lost
)

// Answered reports whether the agent has answered: the message is done.
func (o Outcome) Answered() bool { return o == Success || o == Denied }

// Result says how an agent ended a turn. Costs and counts are of this turn alone.
type Result struct {
	Outcome    Outcome       `json:"outcome"`
	Text       string        `json:"text,omitempty"`    // the answer; with a failed outcome, the agent's text about it
	Earlier    []string      `json:"earlier,omitempty"` // texts of the model before Text, in order: while subagents still worked, or before it failed
	Err        string        `json:"error,omitempty"`   // one line about the failure; empty on success
	SessionID  string        `json:"session_id,omitempty"`
	Subtype    string        `json:"subtype,omitempty"` // the agent's own words: subtype, stop reason, terminal reason
	Stop       string        `json:"stop,omitempty"`
	Terminal   string        `json:"terminal,omitempty"`
	Status     int           `json:"status,omitempty"` // HTTP status of a failed API call, 0 for none
	Turns      int           `json:"turns,omitempty"`  // model calls in this turn
	CostUSD    float64       `json:"cost_usd,omitempty"`
	Duration   time.Duration `json:"duration,omitempty"`
	API        time.Duration `json:"api,omitempty"` // the part spent waiting for the API
	Usage      Usage         `json:"usage,omitzero"`
	Denials    []Denial      `json:"denials,omitempty"`
	Resets     time.Time     `json:"resets,omitzero"`      // of a rate limit: when it ends; zero if unknown
	Limit      string        `json:"limit,omitempty"`      // which one, in words such as "five-hour limit"
	Structured bool          `json:"structured,omitempty"` // Text is JSON that follows the schema of the Variant
	Model      string        `json:"model,omitempty"`      // the model that answered, as the agent names it

	// Background describes the work that this turn began and left running. If the
	// agent is stopped right after the turn, the result is CutOff.
	Background []string `json:"background,omitempty"`

	NothingDone bool     `json:"-"` // neither text of the model nor a tool call in this turn
	Windows     []Window `json:"-"` // of the account, as the agent last reported them

	Reason string `json:"reason,omitempty"` // a word more on the outcome, such as ApprovalLost; usually empty
	Retire string `json:"retire,omitempty"` // why the agent cannot be used again, empty if it can
}

// The reasons of results.
const (
	// ApprovalLost, of a denied turn, says that nobody had decided about its tool
	// call when the daemon ended: the agent then denies by itself.
	ApprovalLost = "approval-lost"

	// Decided, of a denied turn, says that somebody was asked about its tool call,
	// and denied it or let the deadline pass.
	Decided = "decided"

	// RefusedAgain, of an API error, says that the message before it in the same
	// conversation had the same error: its cause may be in the conversation.
	RefusedAgain = "refused-again"

	// HelperFailed, of a turn without a login, says that the user's command that was
	// to print the key has failed.
	HelperFailed = "helper-failed"
)

// For returns r as the end of a message that asked for v: plain text is no answer to
// a sender that wants JSON.
func (r *Result) For(v Variant) *Result {
	if v.JSONSchema == "" || r.Structured || !r.Outcome.Answered() {
		return r
	}
	words := *r
	words.Outcome, words.Err = Failed, "the agent gave no answer that follows the JSON schema"
	return &words
}

// CutOff returns r as the result of a turn whose agent was stopped while work of the
// turn still ran: that work was part of the message.
func (r *Result) CutOff() *Result {
	if r == nil || len(r.Background) == 0 || !r.Outcome.Answered() {
		return r
	}
	cut := *r
	cut.Outcome = Incomplete
	cut.Err = "background work was ended with the agent: " + strings.Join(r.Background, "; ")
	return &cut
}

// Refused reports whether the API has read the request and refused it, for example
// for an unreadable picture; neither time nor a login changes that.
func (r *Result) Refused() bool {
	return r.Outcome == APIError && (r.Status == 400 || r.Status == 413 || r.Status == 422)
}

// Window is how much of a usage limit an account has used.
type Window struct {
	Name        string    // such as "five-hour limit"
	Utilization float64   // from 0 to 1
	Resets      time.Time // zero if unknown
}

// Usage counts tokens.
type Usage struct {
	Input      int64 `json:"input,omitempty"`
	Output     int64 `json:"output,omitempty"`
	CacheRead  int64 `json:"cache_read,omitempty"`
	CacheWrite int64 `json:"cache_write,omitempty"`
}

// Plus returns the sum.
func (u Usage) Plus(v Usage) Usage {
	return Usage{u.Input + v.Input, u.Output + v.Output, u.CacheRead + v.CacheRead, u.CacheWrite + v.CacheWrite}
}

// Minus returns the difference.
func (u Usage) Minus(v Usage) Usage {
	return Usage{u.Input - v.Input, u.Output - v.Output, u.CacheRead - v.CacheRead, u.CacheWrite - v.CacheWrite}
}

// Denial is a tool call that was not permitted.
type Denial struct {
	Tool  string `json:"tool"`
	Input []byte `json:"input,omitempty"` // JSON as the agent wrote it
}
