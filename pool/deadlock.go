package pool

import "slices"

// parent returns the running turn that waits for a new one.
func (t *table) parent(turn *Turn) *job {
	if turn.Parent == "" {
		return nil
	}
	if s := t.slots[turn.Parent]; s != nil {
		return s.job
	}
	return nil
}

// attach makes j one of the turns that p waits for.
func (t *table) attach(j, p *job) {
	if p != nil {
		j.parent = p
		p.children = append(p.children, j)
	}
}

// detach takes the edge away again.
func (t *table) detach(j *job) {
	if p := j.parent; p != nil {
		j.parent = nil
		p.children = slices.DeleteFunc(p.children, func(c *job) bool { return c == j })
	}
}

// disown takes away all edges to j, which runs no more.
func (t *table) disown(j *job) {
	for _, c := range j.children {
		c.parent = nil
	}
	j.children = nil
}

// stuck reports whether a new turn could never run, because every place that
// it could get is held by a turn that would, in the end, wait for it.
func (t *table) stuck(turn *Turn) bool {
	live := t.live(turn)
	return !t.reachable(turn.Key, live)
}

// live is the set of busy slots whose turn can end, as if next (if not nil)
// had been submitted. It is the least fixpoint of: a turn can end when every
// turn that it waits for can; a running one when its slot is live; a waiting
// one when its key can get an agent.
func (t *table) live(next *Turn) map[*slot]bool {
	live := make(map[*slot]bool, t.busy.Len())
	can := func(s *slot) bool {
		if s.job.cause != nil {
			return true // it is being ended
		}
		for _, c := range s.job.children {
			if c.slot != nil && c.slot.state == Busy && !live[c.slot] || c.slot == nil && !t.reachable(c.line.key, live) {
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

// reachable reports whether a key can get an agent: not all places there are
// may be held by stuck turns, for every other comes free sooner or later, and
// its own agent must not be stuck. One that is idle or starts proves nothing
// by itself: it may have to be replaced.
func (t *table) reachable(k Key, live map[*slot]bool) bool {
	if t.busy.Len()-len(live) >= t.MaxProcesses {
		return false
	}
	l := t.lines[k]
	return l == nil || l.slot == nil || l.slot.state != Busy || live[l.slot]
}

// untangle ends waiting turns that a lower bound has made impossible: at once,
// or when the agent that they had did not take them and there is no place for
// another.
func (t *table) untangle() {
	live := t.live(nil)
	if len(live) == t.busy.Len() {
		return
	}
	for _, l := range t.sortedLines() {
		if t.reachable(l.key, live) {
			continue
		}
		for _, j := range slices.Clone(l.queue) {
			if j.parent != nil {
				t.drop(j, ErrDeadlock)
			}
		}
	}
}
