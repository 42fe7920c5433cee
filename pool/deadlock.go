package pool

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// DeadlockError says why a turn could run only after the turn that waits for it. It is an
// ErrDeadlock.
type DeadlockError struct {
	// Ring are the conversations from that of the refused turn to that of the one that
	// waits: each waits for the next. It is nil if turns that wait hold every place.
	Ring []Key
	Max  int // places
}

func (e *DeadlockError) Error() string { return ErrDeadlock.Error() + ": " + e.Why() }

// Why says what waits for what.
func (e *DeadlockError) Why() string {
	switch len(e.Ring) {
	case 0:
		return fmt.Sprintf("turns that wait hold every slot (max_processes is %d)", e.Max)
	case 1:
		return "it is of the same session"
	}
	var names []string
	for _, k := range e.Ring {
		names = append(names, k.String())
	}
	return strings.Join(names, " waits for ")
}

func (e *DeadlockError) Unwrap() error { return ErrDeadlock }

// deadlock is the error for a turn of k that would keep the turn of p waiting for ever.
func (t *table) deadlock(k Key, p *entry) *DeadlockError {
	return &DeadlockError{Ring: t.chain(k, p.queue.key, map[Key]bool{}), Max: t.MaxProcesses}
}

// chain returns the conversations from k to last, each of which waits for the next; nil if
// there are none. It passes over those that it has seen.
func (t *table) chain(k, last Key, seen map[Key]bool) []Key {
	if k == last {
		return []Key{k}
	}
	q := t.queues[k]
	if seen[k] || q == nil || q.slot == nil {
		return nil
	}
	seen[k] = true
	for _, c := range q.slot.children() {
		if rest := t.chain(c.queue.key, last, seen); rest != nil {
			return append([]Key{k}, rest...)
		}
	}
	return nil
}

// await is Pool.Await.
func (t *table) await(e *entry, process string) (bool, error) {
	p := t.parent(Turn{Parent: process})
	if e == nil || p == nil || e.parent != nil {
		return false, nil
	}
	t.attach(e, p)
	if !t.canEnd(e, t.live(nil)) {
		t.detach(e)
		return false, t.deadlock(e.queue.key, p)
	}
	t.passed(p)
	if e.phase == queued && e.turn.Spare { // as in submit
		t.pull(e)
		e.turn.Spare = false
		t.push(e, false)
	}
	t.reindex(e.queue)
	return true, nil
}

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
			if !t.canEnd(c, live) {
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

// canEnd reports whether a turn that runs or waits can end.
func (t *table) canEnd(e *entry, live map[*slot]bool) bool {
	if e.slot == nil {
		return t.reachable(e.queue.key, live)
	}
	return e.slot.state != Busy || live[e.slot]
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
