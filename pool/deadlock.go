package pool

import (
	"cmp"
	"slices"
)

// parent returns the entry of the agent that waits for a new turn: its running turn,
// or the work that it does by itself.
func (t *table) parent(turn Turn) *entry {
	if turn.Parent == "" {
		return nil
	}
	if s := t.slots[turn.Parent]; s != nil && s.state != Starting {
		return cmp.Or(s.entry, s.work)
	}
	return nil
}

// attach makes e one of the entries that p waits for.
func (t *table) attach(e, p *entry) {
	if p != nil {
		e.parent = p
		p.children = append(p.children, e)
	}
}

// detach undoes attach.
func (t *table) detach(e *entry) {
	if p := e.parent; p != nil {
		e.parent = nil
		p.children = slices.DeleteFunc(p.children, func(c *entry) bool { return c == e })
	}
}

// dropChildren detaches everything that e waited for, since e runs no more.
func (t *table) dropChildren(e *entry) {
	for _, c := range e.children {
		c.parent = nil
	}
	e.children = nil
}

// stuck reports whether a new turn could never run, because every place that it could
// get is held by a turn that would, in the end, wait for it.
func (t *table) stuck(turn Turn) bool {
	live := t.live(&turn)
	return !t.reachable(turn.Key, live)
}

// live returns the busy slots whose turn and own work can end, as if next (if not
// nil) had been submitted. It is the least fixpoint of these rules: a turn can end
// when every turn that it waits for can end; a running turn can end when its slot is
// live; a waiting turn, when its key can get an agent.
func (t *table) live(next *Turn) map[*slot]bool {
	live := make(map[*slot]bool, t.busy.Len())
	can := func(s *slot) bool {
		if s.entry != nil && s.entry.cause != nil {
			return true // it is being ended
		}
		for _, c := range s.children() {
			if c.slot != nil && c.slot.state == Busy && !live[c.slot] || c.slot == nil && !t.reachable(c.queue.key, live) {
				return false
			}
		}
		return next == nil || next.Parent != s.id || t.reachable(next.Key, live)
	}
	for changed := true; changed; {
		changed = false
		for e := t.busy.Front(); e != nil; e = e.Next() {
			if s := e.Value.(*slot); !live[s] && can(s) {
				live[s], changed = true, true
			}
		}
	}
	return live
}

// reachable reports whether a key can get an agent: its own agent must not be stuck,
// and stuck turns must not hold every place, since every other place becomes free
// sooner or later. An idle or starting agent alone proves nothing: it may have to be
// replaced.
func (t *table) reachable(k Key, live map[*slot]bool) bool {
	if t.busy.Len()-len(live) >= t.MaxProcesses {
		return false
	}
	q := t.queues[k]
	return q == nil || q.slot == nil || q.slot.state != Busy || live[q.slot]
}

// failDeadlocked ends waiting turns that can never run since the limit was lowered:
// at once, or when their agent did not take them and there is no place for another
// agent.
func (t *table) failDeadlocked() {
	live := t.live(nil)
	if len(live) == t.busy.Len() {
		return
	}
	for _, q := range t.sortedQueues() {
		if t.reachable(q.key, live) {
			continue
		}
		for _, e := range slices.Clone(q.entries) {
			if e.parent != nil {
				t.drop(e, ErrDeadlock)
			}
		}
	}
}
