package ipc

import (
	"encoding/json"
	"time"
)

// ApprovalFilter chooses approvals; the zero one all of them.
type ApprovalFilter struct {
	Team string `json:"team,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Approval is a tool call that waits for somebody's permission, or did.
type Approval struct {
	ID          string          `json:"id"`
	Process     string          `json:"process"`
	Team        string          `json:"team"`
	Session     string          `json:"session"`
	Message     string          `json:"message,omitempty"` // empty for a turn that the agent began by itself
	Tool        string          `json:"tool"`
	Input       json.RawMessage `json:"input,omitempty"` // of the tool, an object; left out where only the decision is told
	Description string          `json:"description,omitempty"`
	BlockedPath string          `json:"blocked_path,omitempty"` // what the tool would reach outside of where it may
	Why         string          `json:"why,omitempty"`          // the agent asks, in its words
	Questions   []Question      `json:"questions,omitempty"`    // of the tool to the user, also in its input; it is allowed with answers only
	Subagent    *Subagent       `json:"subagent,omitempty"`     // that wants to use the tool; left out for the agent itself
	Asked       time.Time       `json:"asked"`
	Deadline    *time.Time      `json:"deadline"`           // when it is denied; null for never
	Decision    string          `json:"decision,omitempty"` // allowed, denied, expired or withdrawn; empty while it waits
	By          string          `json:"by,omitempty"`       // who decided
}

// WithoutInput is a with only what tells it from others.
func (a Approval) WithoutInput() Approval {
	a.Input, a.Questions = nil, nil
	return a
}

// Question is one that an agent asks its user by a tool.
type Question struct {
	Text     string           `json:"question"`
	Header   string           `json:"header,omitempty"`   // a word or two for it
	Multiple bool             `json:"multiple,omitempty"` // several options may be chosen
	Options  []QuestionOption `json:"options"`
}

// QuestionOption is an answer that the agent proposes. Another one may be given.
type QuestionOption struct {
	Label       string `json:"label"`
	Description string `json:"description,omitempty"`
	Preview     string `json:"preview,omitempty"`
}

// Subagent is one that works for an agent.
type Subagent struct {
	ID   string `json:"id"`             // the agent's own
	Kind string `json:"kind,omitempty"` // such as Explore
	Task string `json:"task,omitempty"` // what it is to do, in the agent's words
}

// ApprovalList holds approvals, the oldest first.
type ApprovalList struct {
	Approvals []Approval `json:"approvals"`
}

// Decide decides about an approval. The error has the reason "no-such-approval"
// where there is none, or "decided" where somebody or something was faster. A tool
// that asks questions waits on after an error with the reason "needs-answer", when it
// is allowed without answers, or "bad-answer", when one is missing, empty or the number
// of no option.
type Decide struct {
	ID      string   `json:"id"`
	Allow   bool     `json:"allow,omitempty"`
	Reason  string   `json:"reason,omitempty"`  // for the agent, when it is denied
	Answers []string `json:"answers,omitempty"` // one for each question: a label, the number of an option or any text; for several options with commas
}

// Caller is who the daemon takes a caller for. Agent is the process id of the
// agent whose tree it is in, "?" where only that much is known, and empty for
// everybody else.
type Caller struct {
	PID   int    `json:"pid"`
	Agent string `json:"agent,omitempty"`
}
