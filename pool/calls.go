package pool

import (
	"cmp"
	"context"
	"slices"
	"time"

	"iris/pool/turn"
)

// Submit adds a turn to the queue of its key and returns at once. The position is its
// place in that queue, from 1; 0 if an idle agent takes it now. An error means that
// the turn was refused: run will not be called.
func (p *Pool[A]) Submit(turn Turn, run Run[A]) (position int, err error) {
	p.update(func(t *table) {
		var e *entry
		if e, position, err = t.submit(turn, false); err == nil {
			p.runs[e] = run
		}
	})
	return position, err
}

// Cancel ends a turn. A waiting turn is gone when Cancel returns, and its Run is
// called with ErrCancelled. A running turn is interrupted and keeps its agent: the
// context of its Run ends. The error is ErrNotRunning if the pool does not know the
// id.
func (p *Pool[A]) Cancel(id string) (err error) {
	p.update(func(t *table) { err = t.cancel(t.entries[id], ErrCancelled) })
	return err
}

// Detach says that no sender waits for a turn any more: the turn that was its Parent
// no longer depends on it.
func (p *Pool[A]) Detach(id string) {
	p.update(func(t *table) {
		if e := t.entries[id]; e != nil {
			t.detach(e)
		}
	})
}

// Await says that the running turn of an agent waits for a message that was submitted before;
// Detach ends that. It does nothing and returns false if the message has ended, another turn
// waits for it, or the agent has no turn. The error is a [DeadlockError] if the turn would
// wait for ever.
func (p *Pool[A]) Await(id, process string) (waits bool, err error) {
	p.update(func(t *table) { waits, err = t.await(t.entries[id], process) })
	return waits, err
}

// Hold makes the messages and wakes of a key wait until Unhold: none begins and none
// asks for a place. A running turn goes on. An idle agent of the key may still be
// evicted or reach its idle timeout. When the Run of a turn calls Hold, it takes
// effect before the next turn of that key. The reason completes "waits for", and must
// not be empty; of two the last counts.
func (p *Pool[A]) Hold(k Key, reason string) {
	p.update(func(t *table) { t.hold(k, reason) })
}

// Unhold ends a Hold. The waiting messages go on, oldest first.
func (p *Pool[A]) Unhold(k Key) {
	p.update(func(t *table) { t.unhold(k) })
}

// Position returns the place of a message in the queue of its key, from 1, and says
// what that queue waits for; 0 if the message does not wait.
func (p *Pool[A]) Position(id string) (position int, waitsFor string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	t.now = time.Now()
	e := t.entries[id]
	if position = t.position(e); position > 0 {
		waitsFor = t.waitsFor(e.queue)
	}
	return position, waitsFor
}

// Held returns what a message waits for because its key is held; empty if it does not
// wait or is not held.
func (p *Pool[A]) Held(id string) (reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.table.entries[id]; p.table.position(e) > 0 {
		reason = e.queue.held
	}
	return reason
}

// Wake returns an idle agent of a key, and starts one if needed. It waits in the same
// queue as the messages of the key, within the same limits. It does not change a live
// agent, its timer or its order of use. The end of ctx ends only the wait: a start
// under way goes on.
func (p *Pool[A]) Wake(ctx context.Context, k Key) (Process[A], error) {
	type answer struct {
		proc Process[A]
		err  error
	}
	done := make(chan answer, 1)
	var e *entry
	var err error
	p.update(func(t *table) {
		if e, _, err = t.submit(Turn{Key: k}, true); err == nil {
			p.runs[e] = func(_ context.Context, g *Grant[A], err error) {
				if err != nil {
					g = new(Grant[A])
				}
				done <- answer{g.Process, err}
			}
		}
	})
	if err != nil {
		return Process[A]{}, err
	}
	select {
	case a := <-done:
		return a.proc, a.err
	case <-ctx.Done():
		p.update(func(t *table) { t.cancel(e, ErrCancelled) })
		return Process[A]{}, context.Cause(ctx)
	}
}

// Kill stops agents now, even busy ones, whose turns end with ErrKilled unless the
// result is already there. It returns them as they were, once they are gone. Waiting
// messages go on in a new agent; a restart that is under way is dropped.
func (p *Pool[A]) Kill(match func(Key) bool) (killed []Process[A]) {
	var hit []*slot
	p.update(func(t *table) {
		hit = t.each(match, func(*slot) bool { return true })
		killed = p.processes(hit)
		for _, s := range hit {
			s.again = false
			t.kill(s, "killed", ErrKilled)
		}
		for k, q := range t.queues {
			if match(k) {
				p.dropRestart(t, q)
			}
		}
	})
	await(hit)
	return killed
}

// dropRestart withdraws the wakes of a queue that nobody waits for: those of a restart.
func (p *Pool[A]) dropRestart(t *table, q *queue) {
	for _, e := range slices.Clone(q.entries) {
		if e.wake && p.runs[e] == nil {
			t.drop(e, ErrKilled)
		}
	}
}

// Evict stops idle agents and waits until they are gone; busy and starting agents
// will stop after their turn. The reason is for people, as in "evicted". Conversations
// stay: the pool does not own them.
func (p *Pool[A]) Evict(match func(Key) bool, why string) (stopped, later []Process[A]) {
	return p.stopMatching(match, why, false)
}

// Restart replaces agents: idle ones now, busy and starting ones after their turn. It
// returns when the idle ones are gone and their successors are on their way.
func (p *Pool[A]) Restart(match func(Key) bool) (now, later []Process[A]) {
	return p.stopMatching(match, "restart", true)
}

func (p *Pool[A]) stopMatching(match func(Key) bool, why string, again bool) (stopped, later []Process[A]) {
	var hit []*slot
	p.update(func(t *table) {
		hit = t.each(match, func(s *slot) bool { return s.state == Idle || s.state == Stopping })
		stopped = p.processes(hit)
		for _, s := range hit {
			s.again = again && s.state == Idle
			t.stop(s, why)
		}
		rest := t.each(match, func(s *slot) bool { return s.state == Busy || s.state == Starting })
		later = p.processes(rest)
		for i, s := range rest {
			s.retire, s.again = why, again
			t.reindex(s.queue)
			later[i].Why = why
		}
	})
	await(hit)
	return stopped, later
}

// EvictOldest stops the least recently used idle agent and waits until it is gone.
// The error is ErrNotRunning if no agent is idle.
func (p *Pool[A]) EvictOldest() (proc Process[A], err error) {
	err = ErrNotRunning
	var s *slot
	p.update(func(t *table) {
		if s = t.victim(); s != nil {
			proc, err = p.process(s), nil
			t.stop(s, "evicted")
		}
	})
	if s != nil {
		<-s.gone
	}
	return proc, err
}

// each returns the slots whose key matches and that want accepts. It leaves out
// orphans: the pool cannot stop them.
func (t *table) each(match func(Key) bool, want func(*slot) bool) []*slot {
	return slices.DeleteFunc(t.sortedSlots(), func(s *slot) bool { return s.orphan || !match(s.queue.key) || !want(s) })
}

// processes returns the agents of slots; the caller must hold the lock.
func (p *Pool[A]) processes(slots []*slot) (all []Process[A]) {
	for _, s := range slots {
		all = append(all, p.process(s))
	}
	return all
}

// await returns when these slots are gone.
func await(slots []*slot) {
	for _, s := range slots {
		<-s.gone
	}
}

// Forgive lets agents whose starts have failed start again at once: a person may have
// removed the cause.
func (p *Pool[A]) Forgive() { p.update((*table).forgive) }

// Reconfigure changes the limits and reads the settings of all teams again, and does
// what Forgive does. If the limit falls, surplus agents stop: idle ones now, busy ones
// after their turn.
func (p *Pool[A]) Reconfigure(l Limits) {
	p.update(func(t *table) { t.reconfigure(l) })
}

// Report adds an event about an agent and a message, by default that of its running
// turn. It returns the agent; false if no agent has that id.
func (p *Pool[A]) Report(process, message string, typ EventType, detail string) (proc Process[A], ok bool) {
	p.update(func(t *table) {
		s := t.slots[process]
		if s == nil {
			return
		}
		proc, ok = p.process(s), true
		e := s.event(typ, detail)
		e.Message = cmp.Or(message, proc.Turn)
		t.emit(e)
	})
	return proc, ok
}

// ReportEnd adds an event about the end of a message, which need not have been in the pool.
func (p *Pool[A]) ReportEnd(k Key, message string, from turn.Sender, detail string) {
	p.update(func(t *table) {
		t.emit(Event{Type: MessageEnded, Key: k, Message: message, Sender: from, Detail: detail})
	})
}

// Busy reports whether a turn is running or an agent works by itself.
func (p *Pool[A]) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.table.slots {
		if s.entry != nil || s.work != nil {
			return true
		}
	}
	return false
}

// Drain refuses new turns, ends the waiting ones with ErrClosed, stops idle agents,
// and waits until the running turns and every Run are over, or until ctx ends. It
// cannot be undone.
func (p *Pool[A]) Drain(ctx context.Context) {
	p.update((*table).drain)
	select {
	case <-p.drained:
	case <-ctx.Done():
	}
}

// Close stops every agent and returns when all agents and all goroutines of the pool
// are gone. The turns end with ErrShutdown, or with ErrClosed if nothing of them has
// reached the agent. Close may be called again, but not from a Run.
func (p *Pool[A]) Close() {
	p.update((*table).close)
	p.quit()
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table.events.closed = true
	p.setTimer(time.Time{})
	p.table.events.notify()
}
