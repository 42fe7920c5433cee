package pool

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"time"
)

// slot is one place of the bound and the agent in it. It is the identity of an
// agent: whatever is known of an old slot cannot touch the next one of its key.
type slot struct {
	id      string
	nr      uint64 // in order of making
	line    *line
	fresh   bool
	variant Variant
	fence   bool // held by a process of an earlier daemon
	state   State
	agent   Agent // nil while it starts; the table never calls it
	pid     int
	job     *job // its turn

	elem    *list.Element // in table.idle or table.busy
	alarm   alarm         // idle: its time-out; busy: when to look for progress
	since   time.Time     // reserved
	readyAt time.Time
	used    time.Time // end of the last turn, or readyAt
	turnAt  time.Time // start of the turn
	turns   int       // turns given to it
	ended   int       // turns ended
	stalled time.Time // the progress that was reported as a stall

	why      string // why it stops
	replaced string // why the agent before it was not used again
	retire   string // why it will, after its turn
	again    bool   // start another when it goes
	stopped  bool   // by us
	exited   bool   // no process any more
	told     bool   // its last event is out

	memory   int64
	checking bool // a check is under way
	checked  int  // turns at the last check
	skipped  int  // checks left out since

	cancel context.CancelFunc // of its start
	gone   chan struct{}
}

func (t *table) newSlot(k Key, id string) *slot {
	l := t.line(k)
	t.seq++
	s := &slot{id: id, nr: t.seq, line: l, since: t.now, checked: -1, gone: make(chan struct{})}
	s.alarm.slot = s
	t.slots[id] = s
	t.armTick()
	return s
}

// started is called when Start has returned an agent.
func (t *table) started(s *slot, a Agent, pid int) {
	t.starting--
	s.agent, s.pid = a, pid
	s.readyAt, s.used = t.now, t.now
	l := s.line
	l.fails, l.err, l.why = 0, nil, ""
	t.emit(s.event(ProcessSpawned, ""))
	if s.state == Stopping {
		t.do(step{kind: stepStop, slot: s}) // given up while it started
		return
	}
	t.rest(s)
	t.place(l)
	unwanted := !l.wants() && (s.retire != "" || s.fresh)
	if unwanted {
		t.stop(s, cmp.Or(s.retire, "nobody waits for it any more"))
	}
}

// notStarted is called when Start has failed. Nothing has been spawned, so the
// slot leaves without a word of its own.
func (t *table) notStarted(s *slot, err error) {
	t.starting--
	s.exited, s.told = true, true
	if s.state == Starting {
		t.emit(s.event(ProcessError, err.Error()))
		t.failed(s, err)
		t.leave(s)
	}
	t.goneIfDone(s)
}

// rest makes a slot idle. The list is in the order of last use, so only a turn
// that was not one has to look for its place.
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
func (t *table) run(s *slot, j *job) {
	t.unlist(s)
	s.state = Busy
	s.elem = t.busy.PushBack(s)
	s.job, s.turns, s.stalled = j, s.turns+1, time.Time{}
	j.phase, j.slot = running, s
	if !j.turn.Begun {
		s.turnAt = t.now
	}
	t.arm(s)
	t.place(s.line)
	t.do(step{kind: stepGrant, slot: s, job: j})
}

// arm sets the one timer of a slot.
func (t *table) arm(s *slot) {
	t.alarms.remove(&s.alarm)
	set := t.settings(s.line.key.Team)
	switch {
	case s.state == Idle && set.IdleTimeout > 0:
		t.wakeAt(&s.alarm, s.used.Add(set.IdleTimeout))
	case s.state == Busy && set.StallTimeout > 0 && s.job.cause == nil:
		t.wakeAt(&s.alarm, t.now.Add(set.StallTimeout))
	}
}

// sent is called when Begin has agreed, just before Send. It reports false
// when the turn has been ended in the meantime.
func (t *table) sent(s *slot, j *job) bool {
	if j.cause != nil {
		return false
	}
	j.sent = true
	t.about(s, j, MessageSent, "")
	return true
}

// giveBack puts a turn that its agent did not take back to the head of its
// line, and replaces the agent. It reports false when the turn should end.
func (t *table) giveBack(s *slot, j *job, why string) bool {
	if t.closed || j.cause != nil || j.tries >= maxTries || j.turn.Begun {
		return false
	}
	j.tries++
	if j.sent {
		j.sent = false
		t.about(s, j, MessageResponse, why)
	}
	s.job = nil
	t.disown(j)
	t.push(j, true)
	s.line.replaced = why
	t.stop(s, why)
	t.goneIfDone(s)
	t.place(s.line)
	if j.parent != nil {
		t.untangle()
	}
	return true
}

// end is called when a turn is over, as Send or Begin has said. The agent rests
// only if the turn was ended by its own word or never reached it.
func (t *table) end(s *slot, j *job, res *Result, err error) {
	if errors.Is(err, ErrNotDispatched) && t.giveBack(s, j, "did not take the message") {
		return
	}
	if t.closed && neverTaken(j, err) {
		res, err = nil, ErrClosed
	} else {
		res, err = verdict(j, res, err)
	}
	if j.sent {
		s.ended++
		s.used = t.now
	}
	s.job = nil
	s.line.settling = j
	why := ""
	if s.state == Busy && !s.exited {
		why = t.leaving(s, j, res, err)
	}
	if s.state != Busy || s.exited || why != "" {
		res = res.CutOff()
	}
	if j.sent {
		t.about(s, j, MessageResponse, outcome(res, err))
	} else {
		t.about(s, j, MessageDropped, outcome(res, err))
	}
	t.finish(j, res, err)
	if s.state == Busy {
		t.after(s, why)
	}
	t.goneIfDone(s)
	t.place(s.line)
}

// neverTaken reports that no byte of a turn reached an agent, and that it is not
// somebody's wish or the fault of the turn itself.
func neverTaken(j *job, err error) bool {
	if j.cause != nil && !errors.Is(j.cause, ErrKilled) {
		return false
	}
	return errors.Is(err, ErrNotDispatched) || !j.sent && j.cause != nil
}

// stop begins the end of a slot. It keeps its place until its process is gone.
func (t *table) stop(s *slot, why string) {
	if s.state == Stopping {
		return
	}
	starting := s.state == Starting
	s.why, s.stopped, s.line.why = why, true, why
	t.leave(s)
	switch {
	case starting:
		t.do(step{kind: stepAbort, slot: s})
	case !s.exited:
		t.do(step{kind: stepStop, slot: s})
	}
	if s.again && !t.closed {
		// Nobody waits for it, so it cannot be refused.
		j := &job{turn: &Turn{Key: s.line.key}, wake: true, line: s.line, since: t.now}
		t.seq++
		j.seq = t.seq
		t.active++
		t.push(j, false)
	}
	t.place(s.line)
}

// kill ends a slot now, and its turn with that cause.
func (t *table) kill(s *slot, why string, cause error) {
	if s.job != nil {
		t.condemn(s.job, cause)
	}
	t.stop(s, why)
}

// leave takes a slot out of everything that could give it work.
func (t *table) leave(s *slot) {
	t.unlist(s)
	t.alarms.remove(&s.alarm)
	s.state = Stopping
	t.stopping++
}

// exited is called when an agent's process is gone, whoever ended it.
func (t *table) exited(s *slot, how string) {
	if s.exited {
		return
	}
	s.exited = true
	if !s.stopped {
		s.told = true
		t.emit(s.event(ProcessExited, how))
	}
	if s.state == Idle {
		t.leave(s)
	}
	t.goneIfDone(s)
}

// goneIfDone frees the place of a slot that has neither process nor turn.
func (t *table) goneIfDone(s *slot) {
	if s.state != Stopping || !s.exited || s.job != nil || t.slots[s.id] != s {
		return
	}
	delete(t.slots, s.id)
	if s.fence {
		s.line.fences--
	} else {
		t.stopping--
		s.line.slot = nil
	}
	if !s.told {
		s.told = true
		t.emit(s.event(ProcessTerminated, s.why))
	}
	t.do(step{kind: stepGone, slot: s})
	t.place(s.line)
}

// fence takes a place for a process of an earlier daemon.
func (t *table) fence(k Key, id string, pid int) *slot {
	s := t.newSlot(k, id)
	s.fence, s.state, s.pid = true, Stopping, pid
	s.why = "left over from an earlier daemon"
	s.line.fences++
	t.emit(s.event(ProcessFenced, s.why))
	t.place(s.line)
	return s
}

func (t *table) about(s *slot, j *job, typ EventType, detail string) {
	e := s.event(typ, detail)
	e.Message = j.turn.ID
	t.emit(e)
}

func (s *slot) event(typ EventType, detail string) Event {
	return Event{Type: typ, Key: s.line.key, Process: s.id, PID: s.pid, Detail: detail}
}

// verdict is what the caller of a turn is told: the agent's own word before
// anything else, then why we ended the turn, then what went wrong. The word of
// an agent that was interrupted because we stopped it is ours.
func verdict(j *job, res *Result, err error) (*Result, error) {
	switch {
	case err == nil && res == nil:
		return nil, errors.New("bug: the agent returned neither result nor error")
	case err != nil && j.cause != nil:
		return nil, j.cause
	case err != nil:
		return nil, err
	case res.Outcome != OutcomeInterrupted:
		return res, nil
	case errors.Is(j.cause, ErrKilled), j.cause == ErrEvicted:
		return nil, j.cause
	case j.cause == ErrStalled:
		cut := *res
		cut.Outcome = OutcomeIncomplete
		return &cut, nil
	}
	return res, nil
}

// outcome is a result or an error as one word, for events.
func outcome(res *Result, err error) string {
	if err != nil {
		return reason(err)
	}
	return string(res.Outcome)
}

// reason names an error without what an agent may have put into its text.
func reason(err error) string {
	for _, known := range []error{
		ErrCancelled, ErrStalled, ErrShutdown, ErrKilled, ErrEvicted, ErrClosed, ErrDeadlock, ErrNotDispatched, ErrUnknown,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	var start *StartError
	if errors.As(err, &start) {
		return "no agent could be started"
	}
	return "an error"
}
