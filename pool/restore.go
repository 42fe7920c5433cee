package pool

import (
	"cmp"
	"slices"
	"time"
)

// Handed is a frozen pool as another image of the same program needs it to go on
// without a seam: process ids do not repeat, events go on, the order of use is
// kept. What waits is not in it: that is for whoever keeps the messages.
type Handed struct {
	Seq    uint64 // of jobs and slots
	Serial uint64 // of process ids
	Last   uint64 // Seq of the last event
	Events []Event
	Agents []HandedAgent // idle ones, least recently used first, then busy ones by the start of their turn
}

// HandedAgent is one agent in Handed.
type HandedAgent struct {
	ID       string
	Key      Key
	Fresh    bool
	Variant  Variant
	Number   uint64 // in order of making
	Started  time.Time
	Ready    time.Time
	Used     time.Time
	Turns    int // ended
	Memory   int64
	Replaced string
	Retire   string
	Again    bool

	Turn      string // id of the running message, empty for none
	TurnSince time.Time
	Cancelled bool // its turn is being interrupted
	Stalled   bool // because it made no progress

	// Agent is the live one. Restore leaves an entry out where it is nil.
	Agent Agent `json:"-"`

	// Running is the turn that Agent is in, for Restore: its Send is called with
	// Begun set and returns the end of it.
	Running *Turn `json:"-"`
}

// HandOver returns what Restore needs, and whether nothing is under way that
// would be missing in it. The pool must be frozen.
func (p *Pool) HandOver() (h Handed, settled bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	h = Handed{Seq: t.seq, Serial: t.serial, Last: t.events.last}
	for e, ok := t.events.after(t.events.kept()); ok; e, ok = t.events.after(e.Seq) {
		h.Events = append(h.Events, e)
	}
	for e := t.idle.Front(); e != nil; e = e.Next() {
		h.Agents = append(h.Agents, e.Value.(*slot).handed())
	}
	for e := t.busy.Front(); e != nil; e = e.Next() {
		h.Agents = append(h.Agents, e.Value.(*slot).handed())
	}
	return h, t.frozen && t.unsettled() == ""
}

func (s *slot) handed() HandedAgent {
	h := HandedAgent{
		ID: s.id, Key: s.line.key, Fresh: s.fresh, Variant: s.variant, Number: s.nr, Started: s.since, Ready: s.readyAt, Used: s.used,
		Turns: s.ended, Memory: s.memory, Replaced: s.replaced, Retire: s.retire, Again: s.again, Agent: s.agent,
	}
	if j := s.job; j != nil {
		h.Turn, h.TurnSince = j.turn.ID, s.turnAt
		h.Stalled = j.cause == ErrStalled
		h.Cancelled = j.cause != nil && !h.Stalled
	}
	return h
}

// Restore takes over the agents of the image before this one and leaves the pool
// frozen: nothing is stopped, started or sent before Thaw. It is the first thing
// to be called. Agents of which the new limits leave no room go after Thaw.
func (p *Pool) Restore(h *Handed) {
	p.update(func(t *table) {
		t.frozen = true
		t.seq, t.serial = h.Seq, h.Serial
		t.events.restore(h.Events, h.Last)
		for i := range h.Agents {
			if a := &h.Agents[i]; a.Agent != nil {
				s := t.restore(a)
				p.wg.Go(func() { p.outlive(s) })
			}
		}
	})
}

// restore takes one agent over, with its turn. The order of the calls is the
// order of use.
func (t *table) restore(h *HandedAgent) *slot {
	s := t.newSlot(h.Key, h.ID)
	s.nr, s.fresh, s.variant, s.agent, s.pid = h.Number, h.Fresh, h.Variant, h.Agent, h.Agent.PID()
	s.since, s.readyAt, s.used, s.turnAt = h.Started, h.Ready, h.Used, h.TurnSince
	s.turns, s.ended, s.memory = h.Turns, h.Turns, h.Memory
	s.replaced, s.retire, s.again = h.Replaced, h.Retire, h.Again
	s.line.slot = s
	s.state = Idle
	s.elem = t.idle.PushBack(s)
	t.arm(s)
	if h.Running != nil {
		t.rejoin(s, h)
	}
	t.place(s.line)
	return s
}

// rejoin makes the turn that an agent is in one of this pool.
func (t *table) rejoin(s *slot, h *HandedAgent) {
	h.Running.Begun = true
	t.seq++
	j := &job{turn: h.Running, line: s.line, seq: t.seq, since: h.TurnSince, sent: true}
	t.active++
	t.jobs[j.turn.ID] = j
	t.run(s, j)
	switch {
	case h.Stalled:
		t.cancel(j, ErrStalled)
	case h.Cancelled:
		t.cancel(j, ErrCancelled)
	}
}

// restore puts kept events back. Those between the last of them and last are
// lost.
func (r *ring) restore(events []Event, last uint64) {
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	r.last, r.first = last, last
	for i := len(events) - 1; i >= 0 && events[i].Seq == r.first && r.first > 0; i-- {
		r.events[r.first%keptEvents] = events[i]
		r.first--
	}
}
