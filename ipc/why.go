package ipc

import "time"

// WhyQuery asks what a message waits or waited for, or why the agents of a team went.
// If ID and Team are both set, Team is asked for if there is such a team, else ID.
type WhyQuery struct {
	ID      string  `json:"id,omitempty"`      // of a message, or its beginning, as in MessageRef
	Team    string  `json:"team,omitempty"`    // a name, or an absolute directory
	Session *string `json:"session,omitempty"` // empty for the team's own session; without it, all sessions
}

// Why answers a WhyQuery: about a message or about a team. Damaged names the records of
// the journal that are damaged, and missing in the answer.
type Why struct {
	Message *WhyMessage `json:"message,omitempty"`
	Team    *WhyTeam    `json:"team,omitempty"`
	Damaged []string    `json:"damaged,omitempty"`
}

// WhyMessage says what a message waits or waited for.
type WhyMessage struct {
	ID       string       `json:"id"`
	Team     string       `json:"team"`
	Session  string       `json:"session"`
	State    string       `json:"state"` // as in Message
	Accepted time.Time    `json:"accepted"`
	Ended    *time.Time   `json:"ended,omitempty"`
	Deadline *time.Time   `json:"deadline,omitempty"`
	Position int          `json:"position,omitempty"`  // place in its queue, from 1, while it waits
	WaitsFor []string     `json:"waits_for,omitempty"` // in words: what its queue waits for while it waits, what its turn waits for while it runs
	Waited   int64        `json:"waited_ms"`           // in the queue, over all attempts
	Took     int64        `json:"took_ms"`             // its turn, over all attempts
	Attempts []WhyAttempt `json:"attempts,omitempty"`  // the oldest first; the last may still wait
	Outcome  string       `json:"outcome,omitempty"`   // as in Message
	Error    string       `json:"error,omitempty"`     // one line
	CostUSD  float64      `json:"cost_usd,omitempty"`  // of its last attempt, as the agent says
	Broken   *Broken      `json:"broken,omitempty"`    // why its agent does not start, while it waits
}

// WhyAttempt is the wait for one attempt of a message, and the attempt.
type WhyAttempt struct {
	Queued  time.Time  `json:"queued"`
	Began   *time.Time `json:"began,omitempty"` // its turn
	Ended   *time.Time `json:"ended,omitempty"`
	Process string     `json:"process,omitempty"`
	Waited  int64      `json:"waited_ms"`
	Start   *int64     `json:"start_ms,omitempty"` // how long its agent took to start, if it started while the message waited, and that is known
	Took    int64      `json:"took_ms"`
	State   string     `json:"state"`          // in which it ended; of the last one, the state of the message
	Note    string     `json:"note,omitempty"` // why it ended so, in words
}

// WhyTeam says why the agents of a team went, the last first, and what it cost to come
// back.
type WhyTeam struct {
	Team     string      `json:"team"`
	Session  *string     `json:"session,omitempty"` // as asked for
	Since    time.Time   `json:"since"`             // what follows is about agents that went since then
	Live     []Process   `json:"live"`
	Queued   int         `json:"queued"`              // messages that wait
	WaitsFor string      `json:"waits_for,omitempty"` // what the first of them waits for, in words
	Broken   []Broken    `json:"broken,omitempty"`    // sessions whose agents do not start
	Gone     []GoneAgent `json:"gone"`
	Reasons  []WhyReason `json:"reasons"` // the most frequent first
	Back     WhyBack     `json:"back"`
}

// WhyReason counts the agents that went for a reason.
type WhyReason struct {
	Why   string `json:"why"`
	Times int    `json:"times"`
}

// WhyBack sums up what it cost that agents went: what the next agents of their
// conversations have taken.
type WhyBack struct {
	Times      int     `json:"times"`
	Start      int64   `json:"start_ms"`
	CacheWrite int64   `json:"cache_write_tokens"` // of the first turns
	CostUSD    float64 `json:"cost_usd"`           // of the first turns, as the agents say
}

// GoneAgent is an agent that is gone.
type GoneAgent struct {
	ID       string    `json:"id"`
	PID      int       `json:"pid"`
	Team     string    `json:"team"`
	Session  string    `json:"session"`
	Started  time.Time `json:"started"`
	Start    int64     `json:"start_ms"` // until it was ready for its first turn
	Ended    time.Time `json:"ended"`
	Messages int       `json:"messages_processed"`
	Own      int       `json:"own_turns"`      // ended turns that nobody has sent
	Why      string    `json:"why"`            // why it went
	Back     *Return   `json:"back,omitempty"` // of why alone: the next agent of its conversation; null while there is none
}

// Return is how a conversation came back after its agent had gone. The tokens and the
// cost are those of whole turns of messages, as the agent reports them; they are 0 if no
// such turn has ended.
type Return struct {
	ID         string  `json:"id"`       // of the next agent
	After      int64   `json:"after_ms"` // from the end of the one to the start of the other
	Start      int64   `json:"start_ms"`
	Message    string  `json:"message,omitempty"`  // of its first turn
	Cached     int64   `json:"cached_tokens"`      // read from the cache and written to it by the last turn before
	CacheRead  int64   `json:"cache_read_tokens"`  // by the first turn after
	CacheWrite int64   `json:"cache_write_tokens"` // by the first turn after
	CostUSD    float64 `json:"cost_usd"`           // of that turn
}

// ProcessQuery asks for the live agents; with GoneSince also for those that went since
// then.
type ProcessQuery struct {
	GoneSince time.Time `json:"gone_since,omitzero"`
}
