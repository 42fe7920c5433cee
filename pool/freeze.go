package pool

import (
	"context"
	"fmt"
)

// Freeze has the pool decide nothing more until Thaw: no message gets an agent,
// and no start, stop, eviction, timeout or check begins. It returns when what was
// under way is over: no agent starts or stops, no turn begins or has its end recorded, no
// agent is being checked. Turns that have been sent go on. New messages wait; calls that
// stop agents still do.
//
// When ctx ends first, the error says what it waited for. The pool is frozen all
// the same; Freeze may be called again, to wait on.
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

// Thaw ends Freeze. The messages that waited go on.
func (p *Pool[A]) Thaw() {
	p.update(func(t *table) { t.frozen = false })
}

// notifyQuiescent ends the waiting of Freeze when nothing is under way any more; the
// caller must hold the lock.
func (p *Pool[A]) notifyQuiescent() {
	if p.quiescent != nil && p.table.underWay() == "" {
		close(p.quiescent)
		p.quiescent = nil
	}
}

// underWay says what is under way, of which nobody could say where it stands;
// empty when nothing is. A turn that has been sent is not meant, nor is a process
// of an earlier daemon.
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
	for _, q := range t.queues {
		if q.finishing > 0 {
			return fmt.Sprintf("the end of a turn of team %s is being recorded", q.key)
		}
	}
	return ""
}
