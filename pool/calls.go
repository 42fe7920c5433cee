package pool

import (
	"cmp"
	"context"
	"time"
)

// Submit hands a turn in and returns at once. The position is its place in the
// line of its key, from 1; 0 when an idle agent takes it now. An error means
// that the turn was refused: Finish will not be called.
func (p *Pool) Submit(t *Turn) (position int, err error) {
	p.update(func(tab *table) { _, position, err = tab.submit(t, false, nil) })
	return position, err
}

// Cancel ends a turn. One that waits is gone when Cancel returns, and its
// Finish is called with ErrCancelled. One that runs is interrupted and keeps
// its agent; its Finish gets the interrupted result, or ErrCancelled when the
// agent gave none. The error is ErrNotRunning for an id that the pool does not
// know, or no longer.
func (p *Pool) Cancel(id string) (err error) {
	p.update(func(t *table) { err = t.cancel(t.jobs[id], ErrCancelled) })
	return err
}

// Detach says that nobody waits for a turn any more: the turn that was its
// Parent no longer depends on it.
func (p *Pool) Detach(id string) {
	p.update(func(t *table) {
		if j := t.jobs[id]; j != nil {
			t.detach(j)
		}
	})
}

// Hold has the messages of a key wait, and its wakes, until Release: none
// begins and none asks for a place. What runs goes on. An idle agent of the key
// may be evicted, and its idle timeout ends it, whatever waits. Called from the
// Finish of a turn, it comes before the next turn of that key. A key that is
// held already stays held.
func (p *Pool) Hold(k Key) {
	p.update(func(t *table) { t.hold(k) })
}

// Release ends a Hold. What has waited goes on, by its age.
func (p *Pool) Release(k Key) {
	p.update(func(t *table) { t.release(k) })
}

// Position returns the place of a message in the line of its key, from 1; 0
// when it does not wait.
func (p *Pool) Position(id string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table.position(p.table.jobs[id])
}

// Wake returns an idle agent of a key, and starts one if need be. It waits in
// the same line as the messages of the key and is bound by the same limits. A
// live agent is not touched: neither its timer nor its order of use changes.
// When ctx ends only the waiting does: a start under way goes on.
func (p *Pool) Wake(ctx context.Context, k Key) (Process, error) {
	type answer struct {
		proc Process
		err  error
	}
	done := make(chan answer, 1)
	var j *job
	var err error
	p.update(func(t *table) {
		j, _, err = t.submit(&Turn{Key: k}, true, func(proc Process, err error) { done <- answer{proc, err} })
	})
	if err != nil {
		return Process{}, err
	}
	select {
	case a := <-done:
		return a.proc, a.err
	case <-ctx.Done():
		p.update(func(t *table) { t.cancel(j, ErrCancelled) })
		return Process{}, context.Cause(ctx)
	}
}

// Kill stops agents now, also busy ones, whose turns end with ErrKilled unless
// the result is already there. It returns them as they were, once they are
// gone. Messages that wait go on in a new agent.
func (p *Pool) Kill(match func(Key) bool) []Process {
	var hit []*slot
	var procs []Process
	p.update(func(t *table) {
		hit, procs = t.each(match, func(*slot) bool { return true })
		for _, s := range hit {
			s.again = false
			t.kill(s, "killed", ErrKilled)
		}
	})
	return await(hit, procs)
}

// Evict stops idle agents and waits until they are gone; busy and starting
// ones are marked to leave after their turn. Conversations are kept: they are
// not the pool's.
func (p *Pool) Evict(match func(Key) bool) (stopped, later []Process) {
	return p.retire(match, "evicted", false)
}

// Restart replaces agents: idle ones now, busy and starting ones after their
// turn. It returns when the idle ones are gone; their successors are on their
// way.
func (p *Pool) Restart(match func(Key) bool) (now, later []Process) {
	return p.retire(match, "restart", true)
}

func (p *Pool) retire(match func(Key) bool, why string, again bool) (stopped, later []Process) {
	var hit []*slot
	p.update(func(t *table) {
		hit, stopped = t.each(match, func(s *slot) bool { return s.state == Idle || s.state == Stopping })
		for _, s := range hit {
			s.again = again && s.state == Idle
			t.stop(s, why)
		}
		var rest []*slot
		rest, later = t.each(match, func(s *slot) bool { return s.state == Busy || s.state == Starting })
		for i, s := range rest {
			s.retire, s.again = why, again
			later[i].Why = why
		}
	})
	return await(hit, stopped), later
}

// EvictOldest stops the idle agent that was used least recently and waits
// until it is gone. The error is ErrNotRunning when none is idle.
func (p *Pool) EvictOldest() (proc Process, err error) {
	err = ErrNotRunning
	var s *slot
	p.update(func(t *table) {
		if s = t.victim(); s != nil {
			proc, err = t.process(s), nil
			t.stop(s, "evicted")
		}
	})
	if s != nil {
		<-s.gone
	}
	return proc, err
}

// each returns the slots of agents that match and are wanted. Fenced ones are
// not ours to stop.
func (t *table) each(match func(Key) bool, want func(*slot) bool) (hit []*slot, procs []Process) {
	for _, s := range t.sortedSlots() {
		if !s.fence && match(s.line.key) && want(s) {
			hit = append(hit, s)
			procs = append(procs, t.process(s))
		}
	}
	return hit, procs
}

func await(slots []*slot, procs []Process) []Process {
	for _, s := range slots {
		<-s.gone
	}
	return procs
}

// Fence takes a place for a process of an earlier daemon, which still ends its
// turn, and bars its key until gone is closed. The pool cannot stop it. To be
// called before the first message, so that there is no agent for k yet.
func (p *Pool) Fence(k Key, id string, pid int, gone <-chan struct{}) {
	p.update(func(t *table) {
		if t.closed {
			return
		}
		s := t.fence(k, id, pid)
		p.wg.Go(func() {
			select {
			case <-gone:
				p.update(func(t *table) { t.exited(s, "") })
			case <-p.ctx.Done():
			}
		})
	})
}

// Reconfigure changes the limits and looks at the settings of all teams again.
// With a lower bound idle agents leave, and busy ones after their turn.
func (p *Pool) Reconfigure(l Limits) {
	p.update(func(t *table) { t.reconfigure(l) })
}

// Report adds an event about an agent and a message, by default that of its
// running turn, and returns the agent as it is; false when there is none of that
// id.
func (p *Pool) Report(process, message string, typ EventType, detail string) (proc Process, ok bool) {
	p.update(func(t *table) {
		s := t.slots[process]
		if s == nil {
			return
		}
		proc, ok = t.process(s), true
		e := s.event(typ, detail)
		e.Message = cmp.Or(message, proc.Turn)
		t.emit(e)
	})
	return proc, ok
}

// Busy reports whether a turn is running.
func (p *Pool) Busy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.table.slots {
		if s.job != nil {
			return true
		}
	}
	return false
}

// Snapshot returns the state of the pool. It changes nothing, also not the
// order of use.
func (p *Pool) Snapshot() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.table.now = time.Now()
	return p.table.snapshot()
}

// Drain refuses new turns, ends those that wait with ErrClosed, stops idle
// agents, and waits until the running turns and every Finish are over, or
// until ctx ends. There is no way back.
func (p *Pool) Drain(ctx context.Context) {
	p.update((*table).drain)
	select {
	case <-p.quiet:
	case <-ctx.Done():
	}
}

// Close stops every agent, ends their turns with ErrShutdown, or with ErrClosed
// those of which nothing has reached the agent, and returns when all agents and
// all goroutines of the pool are gone. It may be called again.
// It must not be called from a function of a Turn.
func (p *Pool) Close() {
	p.update((*table).close)
	p.quit()
	p.wg.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	p.setTimer(time.Time{})
	p.tell()
}
