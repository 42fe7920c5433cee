package pool

import (
	"context"
	"fmt"
)

// Freeze has the pool decide nothing more until Thaw: no message gets an agent,
// and no start, stop, eviction, timeout or check begins. It returns when what was
// under way is over: no agent starts or stops, no turn is in its Begin, Finish or
// health check. Turns that have been sent go on. New messages wait; calls that
// stop agents still do.
//
// When ctx ends first, the error says what it waited for. The pool is frozen all
// the same; Freeze may be called again, to wait on.
func (p *Pool) Freeze(ctx context.Context) error {
	var settled <-chan struct{}
	closed := false
	p.update(func(t *table) {
		if closed = t.closed; closed {
			return
		}
		t.frozen = true
		if p.settled == nil {
			p.settled = make(chan struct{})
		}
		settled = p.settled
	})
	if closed {
		return ErrClosed
	}
	select {
	case <-settled:
		return nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if why := p.table.unsettled(); why != "" {
		return fmt.Errorf("%s: %w", why, context.Cause(ctx))
	}
	return nil
}

// Thaw ends Freeze. What has waited goes on.
func (p *Pool) Thaw() {
	p.update(func(t *table) { t.frozen = false })
}

// tellSettled tells whoever is in Freeze when nothing is under way any more; the
// caller must hold the lock.
func (p *Pool) tellSettled() {
	if p.settled != nil && p.table.unsettled() == "" {
		close(p.settled)
		p.settled = nil
	}
}

// unsettled says what is under way, of which nobody could say where it stands;
// empty when nothing is. A turn that has been sent is not meant, nor is a process
// of an earlier daemon.
func (t *table) unsettled() string {
	for _, s := range t.slots {
		switch k := s.line.key; {
		case s.fence:
		case s.state == Starting:
			return fmt.Sprintf("an agent of team %s is starting", k)
		case s.state == Stopping:
			return fmt.Sprintf("an agent of team %s is stopping", k)
		case s.checking:
			return fmt.Sprintf("the agent of team %s is asked for a sign of life", k)
		case s.job != nil && !s.job.sent:
			return fmt.Sprintf("a turn of team %s is beginning", k)
		}
	}
	for _, l := range t.lines {
		if l.finishing > 0 {
			return fmt.Sprintf("the end of a turn of team %s is being recorded", l.key)
		}
	}
	return ""
}
