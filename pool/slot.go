package pool

import (
	"cmp"
	"container/list"
	"context"
	"time"

	"iris/pool/turn"
)

// slot is one place of the limit and the agent in it. It is the identity of an agent:
// late news of an old slot cannot touch the next slot of its key.
type slot struct {
	// Set when the slot is made.
	id     string
	nr     uint64 // in order of creation
	queue  *queue
	fresh  bool
	orphan bool          // an agent of an earlier daemon
	since  time.Time     // reserved
	gone   chan struct{} // closed when it has left the table

	// Set when its agent has started; variant also before, as the wanted one.
	pid     int
	variant turn.Variant // the part of a Variant that it was started with
	modes   bool         // the agent can set the permission mode of a turn
	readyAt time.Time

	// Its state.
	state    State
	lingers  bool      // an orphan whose turn is over
	reserved turn.Cost // for the turn of an orphan
	entry    *entry    // its turn
	work     *entry    // its own work; nil for none
	works    string
	elem     *list.Element // in table.idle or table.busy
	alarm    alarm         // idle: its timeout; busy: when to look for progress

	// Its use so far.
	used    time.Time // end of the last turn, or readyAt
	turnAt  time.Time // start of the turn
	turns   int       // turns given to it
	ended   int       // turns ended
	own     int       // ended turns that nobody has sent
	stalled time.Time // the time of the progress before the last reported stall

	checks
	ending

	cancel context.CancelFunc // ends its start
}

// checks holds the results of a slot's health checks.
type checks struct {
	load     load
	checking bool // a check is under way
	checked  int  // turns at the last check
	skipped  int  // checks passed over since
	sampled  int  // turns at the last sample, -1 if it was taken during a turn
}

// ending says how and why a slot ends, or will end.
type ending struct {
	why      string // why it stops
	replaced string // why the agent before it was replaced
	retire   string // why it will stop, after its turn
	again    bool   // start another agent when it ends
	stopped  bool   // by the pool
	exited   bool   // its process is gone
	notified bool   // its last event was sent
}

func (t *table) newSlot(k Key, id string) *slot {
	q := t.queue(k)
	s := &slot{id: id, nr: t.number(), queue: q, since: t.now, gone: make(chan struct{})}
	s.checked, s.sampled = -1, -1
	s.alarm.slot = s
	t.slots[id] = s
	t.weigh(s, 0)
	t.armTick()
	return s
}

// started is called when Start has returned an agent.
func (t *table) started(s *slot, pid int, setsMode bool) {
	t.starting--
	s.pid, s.modes = pid, setsMode
	s.variant = cold(s.variant, setsMode)
	s.readyAt, s.used = t.now, t.now
	q := s.queue
	q.fails, q.err, q.why = 0, nil, ""
	t.emit(s.event(ProcessSpawned, ""))
	if s.state == Stopping {
		t.do(step{kind: stepStop, slot: s}) // it was given up during its start
		return
	}
	t.free(s)
	t.reindex(q)
	unwanted := s.state == Idle && !q.wants() && (s.retire != "" || s.fresh)
	if unwanted {
		t.stop(s, cmp.Or(s.retire, "nobody waits for it any more"))
	}
}

// notStarted is called when Start has failed. No process was spawned, so the slot
// ends without an event of its own.
func (t *table) notStarted(s *slot, err error) {
	t.starting--
	s.exited, s.notified = true, true
	if s.state == Starting {
		t.emit(s.event(ProcessError, err.Error()))
		t.failed(s, err)
		t.withdraw(s)
	}
	t.goneIfDone(s)
}

// rest makes a slot idle. The list is in order of last use: only a slot that had no
// turn since it left the list has to look for its place.
func (t *table) rest(s *slot) {
	t.unlist(s)
	s.state = Idle
	e := t.idle.Back()
	for e != nil && e.Value.(*slot).used.After(s.used) {
		e = e.Prev()
	}
	if e == nil {
		s.elem = t.idle.PushFront(s)
	} else {
		s.elem = t.idle.InsertAfter(s, e)
	}
	t.arm(s)
}

func (t *table) unlist(s *slot) {
	if s.elem != nil {
		switch s.state {
		case Idle:
			t.idle.Remove(s.elem)
		case Busy:
			t.busy.Remove(s.elem)
		}
		s.elem = nil
	}
}

// run gives an idle slot a turn.
func (t *table) run(s *slot, e *entry) {
	t.unlist(s)
	s.state = Busy
	s.elem = t.busy.PushBack(s)
	s.entry, s.turns, s.stalled = e, s.turns+1, time.Time{}
	e.phase, e.slot = running, s
	t.reserve(e)
	if !e.adopted {
		s.turnAt = t.now
	}
	t.arm(s)
	t.reindex(s.queue)
	t.do(step{kind: stepGrant, slot: s, entry: e})
}

// arm sets the timer of a slot.
func (t *table) arm(s *slot) {
	t.alarms.remove(&s.alarm)
	set := t.settings(s.queue.key.Team)
	switch {
	case s.state == Idle && set.IdleTimeout > 0:
		t.setAlarm(&s.alarm, s.used.Add(set.IdleTimeout))
	case s.state == Busy && set.StallTimeout > 0 && (s.entry == nil || s.entry.cause == nil):
		t.setAlarm(&s.alarm, t.now.Add(set.StallTimeout))
	}
}

// stop begins the end of a slot. It keeps its place until its process is gone.
func (t *table) stop(s *slot, why string) {
	if s.state == Stopping {
		return
	}
	starting := s.state == Starting
	s.why, s.stopped, s.queue.why = why, true, why
	t.withdraw(s)
	switch {
	case starting:
		t.do(step{kind: stepAbort, slot: s})
	case !s.exited:
		t.do(step{kind: stepStop, slot: s})
	}
	if s.again && !t.closed {
		// Nobody waits for this wake, so it cannot be refused.
		e := &entry{turn: Turn{Key: s.queue.key}, wake: true, queue: s.queue, seq: t.number(), since: t.now}
		t.active++
		t.push(e, false)
	}
	t.reindex(s.queue)
}

// kill ends a slot now, and its turn with that cause.
func (t *table) kill(s *slot, why string, cause error) {
	if s.entry != nil {
		t.setCause(s.entry, cause)
	}
	t.stop(s, why)
}

// withdraw removes a slot from every list that could give it work.
func (t *table) withdraw(s *slot) {
	t.unlist(s)
	t.endWork(s)
	t.alarms.remove(&s.alarm)
	s.state = Stopping
	t.stopping++
	t.mem.leaving.add(s.load)
}

// exited is called when an agent's process is gone, whether or not the pool stopped
// it.
func (t *table) exited(s *slot, how string) {
	if s.exited {
		return
	}
	s.exited = true
	if !s.stopped {
		s.notified = true
		if !s.orphan {
			s.why = "ended by itself: " + how
		}
		t.emit(s.event(ProcessExited, how))
	}
	if s.state == Idle || s.working() {
		t.withdraw(s)
	}
	t.goneIfDone(s)
}

// goneIfDone frees the place of a slot that has neither a process nor a turn.
func (t *table) goneIfDone(s *slot) {
	if s.state != Stopping || !s.exited || s.entry != nil || t.slots[s.id] != s {
		return
	}
	t.shift(s, s.load.minus())
	delete(t.slots, s.id)
	if s.orphan {
		s.queue.orphans--
		t.unreserve(s)
	} else {
		t.stopping--
		s.queue.slot = nil
	}
	if !s.notified {
		s.notified = true
		t.emit(s.event(ProcessTerminated, s.why))
	}
	t.do(step{kind: stepGone, slot: s})
	t.reindex(s.queue)
}

func (t *table) about(s *slot, e *entry, typ EventType, detail string) {
	ev := s.event(typ, detail)
	ev.Message, ev.Sender = e.turn.ID, e.turn.Sender
	t.emit(ev)
}

func (s *slot) event(typ EventType, detail string) Event {
	return Event{Type: typ, Key: s.queue.key, Process: s.id, PID: s.pid, Detail: detail}
}
