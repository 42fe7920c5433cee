package pool

import (
	"cmp"
	"errors"

	"iris/pool/turn"
)

// begin notes that the next byte goes to the agent, unless the turn has been
// ended in the meantime: the error says why.
func (t *table) begin(s *slot, e *entry) error {
	if e.cause != nil {
		return e.cause
	}
	e.sent = true
	t.about(s, e, MessageSent, "")
	return nil
}

// giveBack puts a turn that its agent did not take back to the head of its
// queue, and replaces the agent: one that is stale, and works by itself, when that
// is over. It reports false when the turn should end.
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
	if e.parent != nil {
		t.failDeadlocked()
	}
	return true
}

// release is called when a turn is over. The agent rests only if the turn was
// ended by its own word or never reached it.
func (t *table) release(s *slot, e *entry, end End) (r Released) {
	if errors.Is(end.Err, ErrNotDispatched) && t.giveBack(s, e, "did not take the message") {
		return Released{Again: true}
	}
	end.Err = t.verdict(e, &end)
	if e.sent {
		s.ended++
		s.used = t.now
	}
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
	t.reindex(s.queue)
	return r
}

// verdict is why a turn counts as ended from outside, or else what went wrong:
// the agent's own word comes before anything else. But that of an agent which
// was interrupted because we stopped it is ours.
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

// word is how a turn ended, for events.
func (r *Released) word(o turn.Outcome) string {
	switch {
	case r.Err != nil:
		return reason(r.Err)
	case r.CutOff:
		return string(turn.Incomplete)
	}
	return string(o)
}

// neverTaken reports that no byte of a turn reached an agent, and that it is not
// somebody's wish or the fault of the turn itself.
func neverTaken(e *entry, err error) bool {
	if e.cause != nil && !errors.Is(e.cause, ErrKilled) {
		return false
	}
	return errors.Is(err, ErrNotDispatched) || !e.sent && e.cause != nil
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
