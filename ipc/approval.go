package ipc

import (
	"encoding/json"
	"time"
)

// ApprovalFilter chooses approvals; its zero value chooses all.
type ApprovalFilter struct {
	Team string `json:"team,omitempty"`
	ID   string `json:"id,omitempty"`
}

// Approval is a tool call that waits for a decision, or has had one.
type Approval struct {
	ID          string          `json:"id"`
	Process     string          `json:"process"`
	Team        string          `json:"team"`
	Session     string          `json:"session"`
	Message     string          `json:"message,omitempty"` // empty for a turn that the agent began by itself
	Tool        string          `json:"tool"`
	Input       json.RawMessage `json:"input,omitempty"` // the tool's input, an object; left out when only the decision is reported
	Description string          `json:"description,omitempty"`
	BlockedPath string          `json:"blocked_path,omitempty"` // the path that the tool wants outside its permitted directories
	Why         string          `json:"why,omitempty"`          // why the agent asks, in its own words
	Questions   []Question      `json:"questions,omitempty"`    // the tool's questions to the user, also in its input; the tool is allowed only with answers
	Always      []string        `json:"always,omitempty"`       // what the agent offers to be allowed from now on: rules, directories, a permission mode; with a decision, what that has allowed from now on
	Subagent    *Subagent       `json:"subagent,omitempty"`     // the subagent that wants the tool; absent when the agent itself wants it
	Asked       time.Time       `json:"asked"`
	Deadline    *time.Time      `json:"deadline"`           // when the tool is denied if nobody decides; null for never
	Decision    string          `json:"decision,omitempty"` // allowed, denied, expired or withdrawn; empty while it waits
	By          string          `json:"by,omitempty"`       // who decided
}

// WithoutInput returns a without its input and questions.
func (a Approval) WithoutInput() Approval {
	a.Input, a.Questions = nil, nil
	return a
}

// Question is a question that an agent asks its user by a tool.
type Question struct {
	Text     string           `json:"question"`
	Header   string           `json:"header,omitempty"`   // a short title
	Multiple bool             `json:"multiple,omitempty"` // several options may be chosen
	Options  []QuestionOption `json:"options"`
}

// QuestionOption is an answer that the agent proposes. The user may give another.
type QuestionOption struct {
	Label       string `json:"label"`
	Description string `json:"description,omitempty"`
	Preview     string `json:"preview,omitempty"`
}

// Subagent describes a subagent of an agent.
type Subagent struct {
	ID   string `json:"id"`             // the agent's own
	Kind string `json:"kind,omitempty"` // such as Explore
	Task string `json:"task,omitempty"` // its task, in the agent's words
}

// ApprovalList holds approvals, the oldest first.
type ApprovalList struct {
	Approvals []Approval `json:"approvals"`
}

// Decide decides about an approval. An error has the reason "no-such-approval" if
// there is no such approval, or "decided" if it was decided earlier. A tool that asks
// questions still waits after an error with the reason "needs-answer" (it was allowed
// without answers) or "bad-answer" (an answer is missing, empty or a number that no
// option has), and so does every tool after "not-offered" (Always was set, and the
// agent offers nothing).
type Decide struct {
	ID      string   `json:"id"`
	Allow   bool     `json:"allow,omitempty"`
	Reason  string   `json:"reason,omitempty"`  // for the agent, when the tool is denied
	Always  bool     `json:"always,omitempty"`  // allow also Approval.Always, as long as the agent lives
	Answers []string `json:"answers,omitempty"` // one for each question: a label, the number of an option, or any text; several options are separated by commas
}

// Caller says who the daemon takes the caller for. Agent is the process id of the
// agent whose process tree holds the caller; "?" if it is an agent, but not known
// which; empty for every other caller. Team, Session and Message are those of the agent
// and its running turn, as far as they are known.
type Caller struct {
	PID     int    `json:"pid"`
	Agent   string `json:"agent,omitempty"`
	Team    string `json:"team,omitempty"`
	Session string `json:"session,omitempty"`
	Message string `json:"message,omitempty"`
}
