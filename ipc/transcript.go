package ipc

import "time"

// Transcript says where an agent keeps the transcript of a conversation and, for a
// message, which part of it is the message's turn.
type Transcript struct {
	Team      string     `json:"team"`
	Session   string     `json:"session"`
	Agent     string     `json:"agent"`           // claude; or echo, which keeps no transcript
	SessionID string     `json:"session_id"`      // empty before the first message
	Path      string     `json:"path"`            // empty while there is no file
	State     string     `json:"state,omitempty"` // of the message
	Since     *time.Time `json:"since,omitempty"` // when its turn began; absent when it has not
	Until     *time.Time `json:"until,omitempty"` // when the message ended; absent when it has not
}
