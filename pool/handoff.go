package pool

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"iris/pool/turn"
)

// Handoff is the state of a frozen pool that another image of the same program needs
// to continue: process ids do not repeat, events go on, the order of use is kept.
// Waiting messages are not in it: the caller keeps them.
type Handoff struct {
	Seq    uint64 // last number given to entries and slots
	Serial uint64 // last number given to process ids
	Last   uint64 // Seq of the last event
	Events []Event

	Accounts map[string]string // of teams; the caller keeps the gates
	Agents   []HandoffAgent    // idle ones, least recently used first, then busy ones by the start of their turn
}

// handedVariant is a Variant with the field names of the handoff format.
type handedVariant struct {
	Model, PermissionMode          string
	MaxTurns                       int
	MaxCost                        float64
	AppendSystemPrompt, JSONSchema string
	Effort, AllowedTools           string
}

// HandoffAgent is one agent in Handoff.
type HandoffAgent struct {
	ID       string
	Key      Key
	Fresh    bool
	Variant  handedVariant
	Number   uint64 // in order of creation
	Started  time.Time
	Ready    time.Time
	Used     time.Time
	Turns    int // turns ended
	Memory   int64
	Replaced string
	Retire   string
	Again    bool

	Own        int    // turns that nobody has sent
	Works      string // its own work, empty for none
	WorksSince time.Time

	Turn      string // id of the running message, empty for none
	TurnSince time.Time
	Cancelled bool // its turn is being interrupted
	Stalled   bool // the interrupted turn made no progress
}

// Adopted is a live agent for Restore, with its running turn.
type Adopted[A Agent] struct {
	Agent A
	Turn  Turn
	Run   Run[A] // called with AlreadySent set; nil if the agent has no turn
}

// Handoff returns the state for Restore. quiescent is false if something is under way
// that the state would miss. The pool must be frozen.
func (p *Pool[A]) Handoff() (h Handoff, quiescent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	h = Handoff{Seq: t.seq, Serial: t.serial, Last: t.events.last, Accounts: maps.Clone(t.accounts)}
	for e, ok := t.events.after(t.events.kept()); ok; e, ok = t.events.after(e.Seq) {
		h.Events = append(h.Events, e)
	}
	for e := t.idle.Front(); e != nil; e = e.Next() {
		h.Agents = append(h.Agents, e.Value.(*slot).handoff())
	}
	for e := t.busy.Front(); e != nil; e = e.Next() {
		h.Agents = append(h.Agents, e.Value.(*slot).handoff())
	}
	return h, t.frozen && t.underWay() == ""
}

func (s *slot) handoff() HandoffAgent {
	h := HandoffAgent{
		ID: s.id, Key: s.queue.key, Fresh: s.fresh, Variant: handedVariant(s.variant), Number: s.nr, Started: s.since, Ready: s.readyAt, Used: s.used,
		Turns: s.ended, Memory: s.load.used, Replaced: s.replaced, Retire: s.retire, Again: s.again,
		Own: s.own, Works: s.works,
	}
	if s.work != nil {
		h.WorksSince = s.work.since
	}
	if e := s.entry; e != nil {
		h.Turn, h.TurnSince = e.turn.ID, s.turnAt
		h.Stalled = e.cause == ErrStalled
		h.Cancelled = e.cause != nil && !h.Stalled
	}
	return h
}

// Restore takes over the agents of the earlier image that still live, by their
// process ids, and leaves the pool frozen: nothing is stopped, started or sent before
// Thaw. Call it before all other methods. Agents over the new limit stop after Thaw.
func (p *Pool[A]) Restore(h *Handoff, live map[string]Adopted[A]) {
	p.update(func(t *table) {
		t.frozen = true
		t.seq, t.serial = h.Seq, h.Serial
		t.events.restore(h.Events, h.Last)
		maps.Copy(t.accounts, h.Accounts)
		for i := range h.Agents {
			if a, ok := live[h.Agents[i].ID]; ok {
				p.adopt(&h.Agents[i], a)
			}
		}
	})
}

// adopt takes over one agent with its turn; the caller must hold the lock. The order
// of the calls becomes the order of use.
func (p *Pool[A]) adopt(h *HandoffAgent, a Adopted[A]) {
	t := &p.table
	s := t.restore(h, a.Agent.PID(), a.Agent.SetsMode())
	p.agents[s] = a.Agent
	if a.Run != nil {
		p.runs[t.rejoin(s, h, a.Turn)] = a.Run
	}
	t.reindex(s.queue)
	p.wg.Go(func() { p.outlive(s, a.Agent) })
}

// restore makes the slot of a live agent.
func (t *table) restore(h *HandoffAgent, pid int, setsMode bool) *slot {
	s := t.newSlot(h.Key, h.ID)
	s.nr, s.fresh, s.variant, s.pid, s.modes = h.Number, h.Fresh, turn.Variant(h.Variant), pid, setsMode
	s.since, s.readyAt, s.used, s.turnAt = h.Started, h.Ready, h.Used, h.TurnSince
	s.turns, s.ended = h.Turns, h.Turns
	t.learn(s, h.Memory)
	t.weigh(s, h.Memory)
	s.replaced, s.retire, s.again, s.own = h.Replaced, h.Retire, h.Again, h.Own
	s.queue.slot = s
	s.state = Idle
	s.elem = t.idle.PushBack(s)
	t.arm(s)
	if h.Works != "" {
		t.beginWork(s, h.Works)
		s.work.since = h.WorksSince
	}
	return s
}

// rejoin makes an entry of this pool for the running turn of an agent.
func (t *table) rejoin(s *slot, h *HandoffAgent, turn Turn) *entry {
	e := &entry{turn: turn, queue: s.queue, since: h.TurnSince, adopted: true, sent: true}
	t.active++
	t.entries[turn.ID] = e
	t.run(s, e)
	switch {
	case h.Stalled:
		t.cancel(e, ErrStalled)
	case h.Cancelled:
		t.cancel(e, ErrCancelled)
	}
	return e
}

// restore puts kept events back. Events after the newest of them, up to last, are
// lost.
func (r *ring) restore(events []Event, last uint64) {
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Seq, b.Seq) })
	r.last, r.first = last, last
	for i := len(events) - 1; i >= 0 && events[i].Seq == r.first && r.first > 0; i-- {
		r.events[r.first%keptEvents] = events[i]
		r.first--
	}
}
