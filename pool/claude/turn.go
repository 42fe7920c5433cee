package claude

import (
	"iris/pool/turn"
)

// activeTurn is one sent message. The process' mu protects the fields that change.
type activeTurn struct {
	uuid   string        // of the message
	noWait bool          // for subagents
	done   chan struct{} // closed when result or dropped is set
	cut    chan struct{} // closed when output may be missing

	written  bool         // the agent has the whole line
	isCut    bool         // cut is closed
	freed    int64        // output of this turn before it was given back
	reserved int64        // room is reserved up to here
	result   *turn.Result // how it has ended
	dropped  bool         // the agent has dropped the message unread
	waiting  bool         // it has answered, and waits for subagents
	cutOff   bool         // work of its subagents has ended without a report
}

// over reports whether the turn has ended. The caller must hold the process' mu.
func (t *activeTurn) over() bool { return t.result != nil || t.dropped }

// newTurn returns a turn that has just begun.
func newTurn(uuid string, noWait bool) *activeTurn {
	return &activeTurn{uuid: uuid, noWait: noWait, done: make(chan struct{}), cut: make(chan struct{})}
}

// cutLocked records that output of the turn may be missing. The caller must hold
// p.mu.
func (t *activeTurn) cutLocked() {
	if !t.isCut {
		t.isCut = true
		close(t.cut)
	}
}
