package pool

import (
	"context"

	"iris/pool/turn"
)

// Turn is what the pool must know of one message. Only its [Run] knows its contents
// and result.
type Turn struct {
	ID     string // the message's id, for events and Cancel; unique among live turns
	Key    Key
	Parent string      // process id of the agent whose turn waits for this one; empty for none
	Sender turn.Sender // for events
	Fresh  bool        // in a conversation of its own: the agent stops after this turn

	// IfIdle makes Submit refuse the message with ErrBusy unless its conversation has
	// nothing to do: no turn runs, no message waits, every Run has returned, it is not
	// held, and no orphan is still in a turn of an earlier daemon.
	IfIdle bool

	// Spare makes the message wait while its account has nothing to spare: another message
	// of it waits, or SpareBelow of one of its limits is used. It stays behind all other
	// messages of its key. It is ignored if Parent waits for the message.
	Spare bool

	// Variant says what the message asks of its agent; nil means the usual one. An
	// idle agent that was started differently is replaced first; Run sets the rest.
	Variant *turn.Variant

	// AcceptedSeq, if not 0, says that an earlier daemon accepted the message, and is
	// its place in the order of acceptance. It waits before messages of its key that
	// are new or have a later place. Submit does not refuse it when the pool or queue
	// is full: it counts against QueueLimit and may exceed it, and waits for a place
	// even with WhenFullFail, and for the next try when starts fail. Only ErrClosed
	// is possible. Its Parent is empty, and IfIdle is not checked again.
	AcceptedSeq uint64
}

// Run runs a turn, from its grant to the record of its end. It calls [Grant.Begin]
// just before the first byte goes to the agent and [Grant.Release] when the turn is
// over. The next turn of the same key begins when Run has returned. If Release says
// Again, Run returns, and is called once more with another agent.
//
// If g is nil, the turn gets no agent any more, and err says why. Otherwise err is
// nil, and the end of ctx means that the turn is no longer wanted: Run then
// interrupts it. The cause of ctx says why, [ErrCancelled] or [ErrStalled].
type Run[A Agent] func(ctx context.Context, g *Grant[A], err error)

// Grant gives a turn an agent of its own.
type Grant[A Agent] struct {
	Process[A]

	// AlreadySent says that the agent already has the turn: an earlier image of this
	// program sent it. No other agent gets it. Do not call Begin.
	AlreadySent bool

	pool     *Pool[A]
	slot     *slot
	entry    *entry
	released bool
	again    bool
}

// End says how a turn went, as far as the pool must know.
type End struct {
	// Err says that nobody can tell how the turn ended (the agent died, it does not
	// answer an interrupt, its output is garbage), or why it did not begin. After
	// Begin the agent is then stopped, not used again. An error that wraps
	// ErrNotDispatched promises that no byte of the turn reached the agent.
	Err error

	// NoRoom says, beside ErrNotDispatched, that the machine had no space or descriptor
	// left. Such a try does not count; the start of the next agent waits for room.
	NoRoom bool

	Outcome turn.Outcome // by the agent's own word; ignored if Err is set
	Cost    turn.Cost    // of the turn, as far as it is known
	Limit   *Limit       // the turn reported that the account of its team is limited; nil if not
	Running bool         // the turn has left work running, which ends with the agent
	Retire  string       // why the agent cannot be used again, empty if it can
}

// Released says what became of a turn and its agent.
type Released struct {
	Again  bool  // another agent gets the turn
	Err    error // why the turn was ended from outside, or else the Err of its End
	CutOff bool  // the agent stops, and with it the work that the turn has left running
}

// Begin tells the pool that the next byte goes to the agent. If the turn was ended
// meanwhile, the error says why, and nothing may be written.
func (g *Grant[A]) Begin() (err error) {
	g.pool.update(func(t *table) { err = t.begin(g.slot, g.entry) })
	return err
}

// Release gives the agent back. Call it once.
func (g *Grant[A]) Release(end End) (r Released) {
	if g.released {
		panic("bug: a turn was released twice")
	}
	how, exited := "", false
	select {
	case <-g.Agent.Done():
		// The agent ended by itself; the pool may not know it yet.
		how, exited = g.Agent.Exit(), true
	default:
	}
	g.pool.update(func(t *table) {
		if exited {
			t.exited(g.slot, how)
		}
		r = t.release(g.slot, g.entry, end)
	})
	g.released, g.again = true, r.Again
	return r
}

// turn takes one message to an agent.
func (p *Pool[A]) turn(s *slot, e *entry, proc Process[A], run Run[A]) {
	defer e.cancel(nil)
	if p.replaced(s, e, proc.Agent.Stale()) {
		return
	}
	g := &Grant[A]{Process: proc, AlreadySent: e.adopted, pool: p, slot: s, entry: e}
	run(e.ctx, g, nil)
	switch {
	case !g.released:
		panic("bug: a turn was not released")
	case !g.again:
		p.recorded(e)
	}
}

// replaced reports whether a stale agent is stopped and the turn waits for another.
func (p *Pool[A]) replaced(s *slot, e *entry, stale string) (given bool) {
	if stale != "" {
		p.update(func(t *table) { given = t.giveBack(s, e, stale) })
	}
	return given
}
