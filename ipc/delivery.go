package ipc

import (
	"encoding/json"
	"time"

	"iris/pool/turn"
)

// MessageID names a message.
type MessageID struct {
	ID string `json:"id"`
}

// Send is one message to a team.
type Send struct {
	ID      string          `json:"id,omitempty"`      // made by NewID; if empty, the daemon makes one
	Team    string          `json:"team"`              // a name, or an absolute directory
	Session string          `json:"session,omitempty"` // empty for the team's own session
	Text    string          `json:"text,omitempty"`
	Content json.RawMessage `json:"content,omitempty"`            // instead of Text: a list of blocks as in the Messages API (text, image, document)
	Fresh   bool            `json:"fresh,omitempty"`              // in a conversation of its own
	NoWait  bool            `json:"no_background_wait,omitempty"` // its turn ends with the first answer, even if subagents still work for it
	EnvKeys []string        `json:"env_keys,omitempty"`           // names of the caller's credential variables, never their values

	Key       string       `json:"key,omitempty"`        // idempotency key: the same key and message is accepted once
	TTL       int64        `json:"ttl_ms,omitempty"`     // the message expires if its turn has not begun by then
	IfBusy    string       `json:"if_busy,omitempty"`    // "fail": refuse with CodeFull, reason "busy", if its conversation has a turn or a queue
	OnLimit   string       `json:"on_limit,omitempty"`   // what to do if its account is limited before its turn begins: wait, fail; empty for on_limit of the team
	Spare     *bool        `json:"spare,omitempty"`      // run only while its account has capacity to spare; null for spare of the team
	OnUnknown string       `json:"on_unknown,omitempty"` // what to do if nobody can prove how the turn ended: continue (default), hold, retry
	Origin    string       `json:"origin,omitempty"`     // who sends, as shown to people; it has no other effect
	Options   turn.Variant `json:"options,omitzero"`

	// Of message.send alone: notify the agent's output as it comes, as message.stream
	// does. With Stream set, Partial and Place mean what they mean there.
	Stream  bool `json:"stream,omitempty"`
	Partial bool `json:"partial,omitempty"`
	Place   bool `json:"place,omitempty"`

	Approvals bool `json:"approvals,omitempty"` // of message.send: send NotifyAsked and NotifyDecided
}

// MessageState tells a sender or a waiter how far a message is.
type MessageState struct {
	ID       string     `json:"id"`
	State    string     `json:"state"`               // as in Message
	Position int        `json:"position,omitempty"`  // place in its queue, from 1
	WaitsFor string     `json:"waits_for,omitempty"` // in words, if Place was set, or if it is held, or waits for its account; of a running message, what its agent waits for before it begins
	Resets   *time.Time `json:"resets,omitempty"`    // of a queued message whose account is limited: when that ends
	Process  string     `json:"process,omitempty"`
	Existing bool       `json:"existing,omitempty"` // the key was known: nothing new was accepted
	Retried  bool       `json:"retried,omitempty"`  // an attempt ended, and nobody knows how
}

// Wait waits until one of some messages has ended. If one has ended already, the
// answer comes at once.
type Wait struct {
	IDs       []string `json:"ids"`
	Approvals bool     `json:"approvals,omitempty"` // send NotifyAsked and NotifyDecided
}

// MessageRef names a message: by its ID, or by the beginning of an ID, at least 4
// characters that only one message on record has (else the error has the reason
// "ambiguous"); or, with an empty ID, the newest message of the conversation that Team
// and Session name, or with an empty Team, too, of all. For message.result the newest
// message is the newest that has ended.
type MessageRef struct {
	ID      string `json:"id,omitempty"`
	Team    string `json:"team,omitempty"`
	Session string `json:"session,omitempty"`
}

// Retry runs an ended message again. An unknown message gets another attempt and keeps
// its id. The text of any other message is sent as a new message to the same
// conversation; the old one stays.
type Retry struct {
	ID    string `json:"id"`
	NewID string `json:"new_id,omitempty"` // the id of the new message, as in Send.ID; a repeated call with it does not run it again
	Key   string `json:"key,omitempty"`    // of the new message; not allowed for an unknown message
}

// Resolve records how an unknown message ended, after a person has looked.
type Resolve struct {
	ID    string `json:"id"`
	State string `json:"state"` // done, failed or cancelled
	Note  string `json:"note,omitempty"`
}

// MessageQuery chooses messages; a zero field does not filter.
type MessageQuery struct {
	Team    string    `json:"team,omitempty"`
	Session *string   `json:"session,omitempty"` // empty for the team's own session
	States  []string  `json:"states,omitempty"`
	Since   time.Time `json:"since,omitzero"`   // accepted at this time or later
	Before  string    `json:"before,omitempty"` // older than the message of this id
	Limit   int       `json:"limit,omitempty"`  // at most 1,000; 0 means 1,000
}

// MessageList is a page of messages, newest first. More says that there are older
// ones: ask again with the last id as Before. Damaged names the messages whose
// records are damaged.
type MessageList struct {
	Messages []Message `json:"messages"`
	More     bool      `json:"more,omitempty"`
	Damaged  []string  `json:"damaged,omitempty"`
}

// Message is the record of a message, without its text and answer.
type Message struct {
	ID       string     `json:"id"`
	Team     string     `json:"team"`
	Session  string     `json:"session"`
	State    string     `json:"state"` // queued, running, done, failed, cancelled, expired, unknown
	Accepted time.Time  `json:"accepted"`
	Started  *time.Time `json:"started,omitempty"` // of the last attempt
	Ended    *time.Time `json:"ended,omitempty"`
	Outcome  string     `json:"outcome,omitempty"`
	Error    string     `json:"error,omitempty"` // one line, shortened in a list
	CostUSD  float64    `json:"cost_usd,omitempty"`
	Key      string     `json:"key,omitempty"`
	Deadline *time.Time `json:"deadline,omitempty"`
	RetryOf  string     `json:"retry_of,omitempty"`
	Resets   *time.Time `json:"resets,omitempty"` // of a queued message whose account is limited: when that ends; Error says why
	Attempts int        `json:"attempts,omitempty"`
	Bytes    int64      `json:"bytes"` // of its text

	// Of a message that an agent has sent.
	From        string `json:"from,omitempty"`         // the conversation of the agent: TEAM or TEAM@SESSION
	FromMessage string `json:"from_message,omitempty"` // the message during whose turn it was sent; absent between turns
	Depth       int    `json:"depth,omitempty"`        // how many agents in a row have sent messages: 1 if a person sent that message

	// Of message.show alone.
	SessionID  string        `json:"session_id,omitempty"` // the agent's own id of the conversation
	Dir        string        `json:"dir,omitempty"`
	Transcript string        `json:"transcript,omitempty"` // where Claude Code keeps the transcript, if there is one
	Process    string        `json:"process,omitempty"`    // of the last attempt
	Position   int           `json:"position,omitempty"`   // while it is queued
	Fresh      bool          `json:"fresh,omitempty"`
	OnUnknown  string        `json:"on_unknown,omitempty"`
	OnLimit    string        `json:"on_limit,omitempty"`
	Spare      *bool         `json:"spare,omitempty"`
	Origin     string        `json:"origin,omitempty"`
	Options    *turn.Variant `json:"options,omitempty"`
	Blocks     bool          `json:"blocks,omitempty"` // it contains files
	Usage      *Usage        `json:"usage,omitempty"`
	History    []Change      `json:"history,omitempty"`
}

// Change is one step of a message.
type Change struct {
	State   string    `json:"state"`
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"` // who made it, if neither sender nor agent
	Note    string    `json:"note,omitempty"`
	Process string    `json:"process,omitempty"` // of a running message: the process that this attempt is given to
	Request string    `json:"request,omitempty"` // NewID of the Retry that queued it again
}

// Reply is how a message ended by the agent's own word. A message that ended in
// another way is an Error.
type Reply struct {
	ID         string     `json:"id"`
	Team       string     `json:"team"`
	Session    string     `json:"session"`
	SessionID  string     `json:"session_id"`
	Outcome    string     `json:"outcome"` // how its turn ended: success, denied, failed, ...
	Text       string     `json:"text"`    // may be many MB
	Error      string     `json:"error,omitempty"`
	Hint       string     `json:"hint,omitempty"`
	Notice     string     `json:"notice,omitempty"`  // anything else to know, such as that the conversation is new
	Earlier    []string   `json:"earlier,omitempty"` // answers before the text, in order, from while subagents still worked
	Subtype    string     `json:"subtype,omitempty"`
	APIStatus  int        `json:"api_status,omitempty"`
	Turns      int        `json:"turns"`
	CostUSD    float64    `json:"cost_usd"`
	Duration   int64      `json:"duration_ms"`
	Usage      Usage      `json:"usage"`
	Denials    []Denial   `json:"denials,omitempty"`
	Model      string     `json:"model,omitempty"`      // the model that answered
	Resets     *time.Time `json:"resets,omitempty"`     // of a rate limit: when it ends, if known
	Background []string   `json:"background,omitempty"` // what the agent still did beside the turn when it ended
	Reason     string     `json:"reason,omitempty"`     // a word more on the outcome: approval-lost or decided
}

// AppendJSON appends the reply as JSON, with its text written by QuoteString.
func (r Reply) AppendJSON(dst []byte) ([]byte, error) {
	type plain Reply
	rest := struct {
		*plain
		Text *struct{} `json:"text,omitempty"` // hides the text of plain
	}{plain: (*plain)(&r)}
	dst, err := appendValue(dst, rest)
	if err != nil {
		return dst, err
	}
	dst = QuoteString(append(dst[:len(dst)-1], `,"text":`...), r.Text)
	return append(dst, '}'), nil
}

// Usage counts tokens.
type Usage struct {
	Input      int64 `json:"input_tokens"`
	Output     int64 `json:"output_tokens"`
	CacheRead  int64 `json:"cache_read_tokens"`
	CacheWrite int64 `json:"cache_write_tokens"`
}

// Denial is a tool call that was not permitted.
type Denial struct {
	Tool  string          `json:"tool"`
	Input json.RawMessage `json:"input,omitempty"`
}
