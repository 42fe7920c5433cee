package ipc

import "time"

// Account is what teams with the same credentials share.
type Account struct {
	Name    string     `json:"name"`
	State   string     `json:"state"`             // open; limited; trying: the reset has passed, and one message goes first
	Resets  *time.Time `json:"resets,omitempty"`  // of a limit; a guess if the agent has not said it
	Why     string     `json:"why,omitempty"`     // the limit
	Text    string     `json:"text,omitempty"`    // state, reset and limit in words; empty if it is open
	Message string     `json:"message,omitempty"` // id of the message that goes first
	Waiting int        `json:"waiting"`           // messages that wait for it
	Teams   []string   `json:"teams"`
	Used    []Window   `json:"used,omitempty"` // as an agent has last reported it; without limits that have been reset since
}

// Window is how much of a limit an account has used.
type Window struct {
	Name        string     `json:"name"`
	Utilization float64    `json:"utilization"` // from 0 to 1
	Resets      *time.Time `json:"resets,omitempty"`
}

// Lacking is an account whose spare messages wait.
type Lacking struct {
	Account  string `json:"account"`   // empty for the teams without an account
	Waiting  int    `json:"waiting"`   // spare messages that wait for nothing else
	WaitsFor string `json:"waits_for"` // in words
}

// AccountList is the answer to accounts, by name.
type AccountList struct {
	Accounts []Account `json:"accounts"`
}

// AccountName names an account.
type AccountName struct {
	Name string `json:"name"`
}
