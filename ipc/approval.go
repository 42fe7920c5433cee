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
	Asked       time.Time       `json:"asked"`
	Deadline    *time.Time      `json:"deadline"`           // when it is denied; null for never
	Decision    string          `json:"decision,omitempty"` // allowed, denied, expired or withdrawn; empty while it waits
	By          string          `json:"by,omitempty"`       // who decided
}

// ApprovalList holds approvals, the oldest first.
type ApprovalList struct {
	Approvals []Approval `json:"approvals"`
}

// Decide decides about an approval. The error has the reason "no-such-approval"
// where there is none, or "decided" where somebody or something was faster.
type Decide struct {
	ID     string `json:"id"`
	Allow  bool   `json:"allow,omitempty"`
	Reason string `json:"reason,omitempty"` // for the agent, when it is denied
}

// Caller is who the daemon takes a caller for. Agent is the process id of the
// agent whose tree it is in, "?" where only that much is known, and empty for
// everybody else.
type Caller struct {
	PID   int    `json:"pid"`
	Agent string `json:"agent,omitempty"`
}
