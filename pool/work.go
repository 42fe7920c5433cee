package pool

import "time"

// Works says what an agent does by itself, between two turns of the pool or beside
// one, in a few words; an empty text ends that work. Until then the agent is busy: it
// is neither evicted nor replaced. A message of its own key may still go to it,
// unless the message needs another agent. A process that is gone is no error.
func (p *Pool[A]) Works(process, on string) {
	p.update(func(t *table) {
		if s := t.slots[process]; s != nil {
			t.works(s, on)
		}
	})
}

func (t *table) works(s *slot, on string) {
	switch {
	case s.state == Stopping:
	case on == "":
		t.rests(s)
	case s.work == nil:
		t.beginWork(s, on)
		t.reindex(s.queue)
	default:
		s.works = on
	}
}

// OwnTurn counts an ended turn of an agent that nobody has sent, and reports it as an
// event. The detail holds no text of the turn.
func (p *Pool[A]) OwnTurn(process, detail string) {
	p.update(func(t *table) {
		if s := t.slots[process]; s != nil {
			s.own++
			t.emit(s.event(OwnTurn, detail))
		}
	})
}

// working reports whether an agent works by itself without a turn of the pool.
func (s *slot) working() bool { return s.state == Busy && s.entry == nil }

// takes reports whether the live agent can have an entry now. An idle agent can have
// any: grant replaces it if needed. Own work is not ended for a message.
func (t *table) takes(s *slot, e *entry) bool {
	if s.state == Idle {
		return true
	}
	fits := e.wake || e.turn.Fresh == s.fresh && e.turn.Variant.Value() == s.variant
	return s.working() && fits && t.spent(s) == ""
}

// beginWork starts an agent's own work. The work is an entry that nobody has
// submitted, so that a message sent from it has a parent like any other.
func (t *table) beginWork(s *slot, on string) {
	s.works = on
	s.work = &entry{turn: Turn{Key: s.queue.key}, queue: s.queue, phase: running, slot: s, since: t.now}
	t.active++
	if s.state == Idle {
		t.occupy(s)
	}
}

// endWork forgets an agent's own work.
func (t *table) endWork(s *slot) {
	if s.work != nil {
		t.dropChildren(s.work)
		s.work, s.works = nil, ""
		t.active--
	}
}

// rests is called when an agent has ended its own work. It makes the decision that
// the end of its last turn left open.
func (t *table) rests(s *slot) {
	alone := s.working()
	t.endWork(s)
	if alone {
		s.used = t.now
		t.restOrStop(s, t.retirement(s, nil, new(End)))
	}
	t.reindex(s.queue)
}

// occupy makes a slot without a turn busy.
func (t *table) occupy(s *slot) {
	t.unlist(s)
	s.state, s.stalled = Busy, time.Time{}
	s.elem = t.busy.PushBack(s)
	t.arm(s)
}

// free makes a slot without a turn idle, unless its agent works by itself.
func (t *table) free(s *slot) {
	if s.work != nil {
		t.occupy(s)
	} else {
		t.rest(s)
	}
}

// busySince is when a busy slot began its turn or own work.
func (s *slot) busySince() time.Time {
	if s.entry != nil {
		return s.turnAt
	}
	return s.work.since
}

// children are the waiting messages that a busy slot waits for.
func (s *slot) children() (all []*entry) {
	for _, e := range []*entry{s.entry, s.work} {
		if e != nil {
			all = append(all, e.children...)
		}
	}
	return all
}
