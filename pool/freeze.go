package pool

import (
	"context"
	"fmt"
)

// Freeze stops the pool from deciding anything until Thaw: no message gets an agent,
// and no start, stop, eviction, timeout or check begins. It returns when no agent is
// starting, stopping or being checked, and no turn is beginning or having its end
// recorded. Turns that have been sent go on. New messages wait; calls that stop
// agents still do.
//
// If ctx ends first, the error says what Freeze waited for. The pool is frozen all
// the same; call Freeze again to continue waiting.
func (p *Pool[A]) Freeze(ctx context.Context) error {
	var quiescent <-chan struct{}
	closed := false
	p.update(func(t *table) {
		if closed = t.closed; closed {
			return
		}
		t.frozen = true
		if p.quiescent == nil {
			p.quiescent = make(chan struct{})
		}
		quiescent = p.quiescent
	})
	if closed {
		return ErrClosed
	}
	select {
	case <-quiescent:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if why := p.table.underWay(); why != "" {
		return fmt.Errorf("%s: %w", why, context.Cause(ctx))
	}
	return nil
}

// Thaw ends Freeze. The waiting messages go on.
func (p *Pool[A]) Thaw() {
	p.update(func(t *table) { t.frozen = false })
}

// notifyQuiescent ends the wait of Freeze when nothing is under way any more; the
// caller must hold the lock.
func (p *Pool[A]) notifyQuiescent() {
	if p.quiescent != nil && p.table.underWay() == "" {
		close(p.quiescent)
		p.quiescent = nil
	}
}

// underWay names a change that is under way and has no certain state yet; empty if
// there is none. Sent turns and processes of an earlier daemon do not count.
func (t *table) underWay() string {
	for _, s := range t.slots {
		switch k := s.queue.key; {
		case s.orphan:
		case s.state == Starting:
			return fmt.Sprintf("an agent of team %s is starting", k)
		case s.state == Stopping:
			return fmt.Sprintf("an agent of team %s is stopping", k)
		case s.checking:
			return fmt.Sprintf("the agent of team %s is asked for a sign of life", k)
		case s.entry != nil && !s.entry.sent:
			return fmt.Sprintf("a turn of team %s is beginning", k)
		}
	}
	if t.mem.sampling {
		return "the memory of the agents is being measured"
	}
	for _, q := range t.queues {
		if q.finishing > 0 {
			return fmt.Sprintf("the end of a turn of team %s is being recorded", q.key)
		}
	}
	return ""
}
