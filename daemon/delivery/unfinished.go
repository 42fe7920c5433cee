package delivery

import (
	"fmt"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/ipc"
)

// Unfinished returns an error that names a message of the team that waits or runs, or
// one that nobody knows the end of and that holds its conversation; nil if there is
// none.
func (d *Dispatcher) Unfinished(team string) error {
	if m := d.inflight.live.anyOf(team); m != nil {
		return fault.NotEnded(m.key(), m.new.ID, d.stateOf(m).State)
	}
	for m, err := range d.o.Store.Unresolved() {
		if ok, err := d.readable(err); err != nil {
			return fault.New(ipc.CodeFailed, "journal", d.o.Store.Heed(err))
		} else if ok && m.Holds() && m.Team == team {
			e := fault.New(ipc.CodeFull, "held", fmt.Errorf("team %s: its session is held, since nobody knows how message %s ended", conversation.Of(&m), m.ID))
			e.Data.Hint = fmt.Sprintf("%q or %q decides", "iris retry "+m.ID, "iris resolve "+m.ID+" --as done")
			return fault.WithID(e, m.ID)
		}
	}
	return nil
}

// anyOf returns a queued or running message of a team, nil if there is none.
func (l *live) anyOf(team string) *delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.byID {
		if m.new.Team == team {
			return m
		}
	}
	return nil
}
