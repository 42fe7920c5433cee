package pool

import "fmt"

// waitsFor says why the head of a queue does not run yet.
func (t *table) waitsFor(q *queue) string {
	switch {
	case q.held != "":
		return q.held
	case q.limited():
		return "account " + q.gate.account + ", " + q.gate.state().text(t.now)
	case q.short != nil:
		return q.short.text(t.now)
	case q.lacking():
		return t.lacks(q)
	case t.lingering(q):
		return "an agent of an earlier daemon to end its background work"
	case q.orphans > 0:
		return "an agent of an earlier daemon to end its turn"
	case q.slot != nil && q.slot.working() && q.recording == nil:
		return "its agent to end what it does by itself: " + q.slot.works
	case q.recording != nil || q.slot != nil && q.slot.state == Busy:
		return "the turn before it"
	case q.slot == nil && t.now.Before(q.retryAt):
		return "the next try to start an agent"
	case q.slot == nil && len(t.slots) >= t.MaxProcesses && t.MaxProcesses == 1:
		return "the only agent there may be"
	case q.slot == nil && len(t.slots) >= t.MaxProcesses:
		return fmt.Sprintf("one of %d agents", t.MaxProcesses)
	case q.slot == nil && q.waiting > 0 && t.lack(t.waiting.first().key.Team, load{}) > 0:
		return "memory"
	case q.slot != nil && q.slot.state == Stopping:
		return "its old agent to leave"
	}
	return "its agent to start"
}

// lingering reports whether a queue is blocked only by orphans whose turns are over.
func (t *table) lingering(q *queue) bool {
	n := 0
	for _, s := range t.slots {
		if s.queue == q && s.lingers {
			n++
		}
	}
	return n > 0 && n == q.orphans
}
