package pool

import (
	"cmp"
	"errors"

	"iris/pool/turn"
)

// begin records that the next byte goes to the agent. If the turn was ended
// meanwhile, the error says why.
func (t *table) begin(s *slot, e *entry) error {
	if e.cause != nil {
		return e.cause
	}
	e.sent = true
	t.about(s, e, MessageSent, "")
	return nil
}

// giveBack puts a turn that its agent did not take back at the head of its queue, and
// replaces the agent; a stale agent that works by itself is replaced after that work.
// It reports false if the turn must end.
func (t *table) giveBack(s *slot, e *entry, why string) bool {
	if t.closed || e.cause != nil || e.tries >= maxTries || e.adopted {
		return false
	}
	e.tries++
	stale := !e.sent
	if e.sent {
		e.sent = false
		t.about(s, e, MessageResponse, why)
	}
	s.entry = nil
	t.commit(s.queue, &e.reserved, 0)
	t.dropChildren(e)
	t.push(e, true)
	if stale && s.work != nil && s.state == Busy && !s.exited {
		s.retire = why
		t.occupy(s)
	} else {
		s.queue.replaced = why
		t.stop(s, why)
		t.goneIfDone(s)
	}
	t.reindex(s.queue)
	t.reconsider(false)
	if e.parent != nil {
		t.failDeadlocked()
	}
	return true
}

// release is called when a turn is over. The agent becomes idle only if it ended the
// turn by its own word or the turn never reached it.
func (t *table) release(s *slot, e *entry, end End) (r Released) {
	if end.NoRoom {
		e.tries--
	}
	if errors.Is(end.Err, ErrNotDispatched) && t.giveBack(s, e, "did not take the message") {
		return Released{Again: true}
	}
	end.Err = t.verdict(e, &end)
	if e.sent {
		s.ended++
		s.used = t.now
	}
	t.settle(e, &end)
	s.entry = nil
	s.queue.recording = e
	why := ""
	if s.state == Busy && !s.exited {
		why = t.retirement(s, e, &end)
	}
	stays := s.state == Busy && !s.exited && why == ""
	r = Released{Err: end.Err, CutOff: !stays && end.Running && end.Err == nil && end.Outcome.Answered()}
	if e.sent {
		t.about(s, e, MessageResponse, r.word(end.Outcome))
	} else {
		t.about(s, e, MessageDropped, r.word(end.Outcome))
	}
	t.end(e)
	if s.state == Busy {
		t.restOrStop(s, why)
	}
	t.goneIfDone(s)
	t.note(s.queue, &end)
	t.reindex(s.queue)
	return r
}

// verdict returns why a turn counts as ended from outside, or else what went wrong.
// The agent's own word comes first, unless the agent was interrupted because the pool
// stopped it.
func (t *table) verdict(e *entry, end *End) error {
	switch {
	case t.closed && neverTaken(e, end.Err):
		return ErrClosed
	case end.Err != nil:
		return cmp.Or(e.cause, end.Err)
	case end.Outcome == turn.Interrupted && (errors.Is(e.cause, ErrKilled) || e.cause == ErrEvicted):
		return e.cause
	}
	return nil
}

// word names the end of a turn, for events.
func (r *Released) word(o turn.Outcome) string {
	switch {
	case r.Err != nil:
		return reason(r.Err)
	case r.CutOff:
		return string(turn.Incomplete)
	}
	return string(o)
}

// neverTaken reports whether no byte of a turn reached an agent, and neither a person
// nor the turn itself is the cause.
func neverTaken(e *entry, err error) bool {
	if e.cause != nil && !errors.Is(e.cause, ErrKilled) {
		return false
	}
	return errors.Is(err, ErrNotDispatched) || !e.sent && e.cause != nil
}

// reason names an error without text that may come from an agent.
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
