package pool

import (
	"fmt"
	"time"
)

// Place says where a message stands in the line of its key, from 1, and what
// that line waits for, in words; 0 when it does not wait.
func (p *Pool) Place(id string) (position int, waitsFor string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	j := t.jobs[id]
	if position = t.position(j); position == 0 {
		return 0, ""
	}
	t.now = time.Now()
	return position, t.waitsFor(j.line)
}

// waitsFor says why the head of a line does not run yet.
func (t *table) waitsFor(l *line) string {
	switch {
	case l.held:
		return "somebody to resolve the message before it"
	case l.fences > 0:
		return "an agent of an earlier daemon to end its turn"
	case l.settling != nil || l.slot != nil && l.slot.state == Busy:
		return "the turn before it"
	case l.slot == nil && t.now.Before(l.retryAt):
		return "the next try to start an agent"
	case l.slot == nil && len(t.slots) >= t.MaxProcesses && t.MaxProcesses == 1:
		return "the only agent there may be"
	case l.slot == nil && len(t.slots) >= t.MaxProcesses:
		return fmt.Sprintf("one of %d agents", t.MaxProcesses)
	case l.slot != nil && l.slot.state == Stopping:
		return "its old agent to leave"
	}
	return "its agent to start"
}
