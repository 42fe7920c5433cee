package pool

import (
	"context"

	"iris/pool/turn"
)

// Turn is what the pool has to know of one message. Its contents and its result
// are for its [Run].
type Turn struct {
	ID     string // the message's id, for events and Cancel; unique among live turns
	Key    Key
	Parent string // process id of the agent whose turn waits for this one; empty for none
	Fresh  bool   // a conversation of its own: the agent goes after this turn

	// IfIdle has Submit refuse the message with ErrBusy unless its conversation
	// has nothing to do: no turn runs, no message waits, every Run has
	// returned, and no orphan ends a turn of an earlier daemon.
	IfIdle bool

	// Variant is what it asks of its agent, nil for the usual one. An idle agent
	// that has not been started as it says is replaced first; the rest is for
	// Run to set.
	Variant *turn.Variant

	// AcceptedSeq, when it is not 0, says that an earlier daemon accepted the
	// message, and is its place in the order of acceptance. It waits before those
	// of its key that are new or have a later place. Submit does not refuse it for
	// want of room: it counts against QueueLimit and may exceed it, waits for a
	// place also with WhenFullFail, and for the next try where starts fail.
	// ErrClosed remains. Its Parent is empty, and IfIdle is not asked again.
	AcceptedSeq uint64
}

// Run is a turn, from its grant to the record of its end. It calls
// [Grant.Begin] just before the first byte goes to the agent and
// [Grant.Release] when the turn is over. The next turn of the same key begins
// when Run has returned. When Release says
// Again, Run returns, and is called once more with another agent.
//
// Where g is nil the turn gets no agent any more, and err says why. Otherwise err
// is nil, and ctx ends with the wish for the turn: Run then has the agent break it
// off. The cause says why, [ErrCancelled] or [ErrStalled].
type Run[A Agent] func(ctx context.Context, g *Grant[A], err error)

// Grant is an agent that a turn has for itself.
type Grant[A Agent] struct {
	Process[A]

	// AlreadySent says that the agent has the turn: an image of this program
	// before this one has sent it. It is given to no other agent. Begin is not
	// called.
	AlreadySent bool

	pool     *Pool[A]
	slot     *slot
	entry    *entry
	released bool
	again    bool
}

// End is how a turn went, as far as the pool has to know.
type End struct {
	// Err says that nobody can tell how the turn ended (the agent died, it does
	// not answer an interrupt, its output is garbage), or why it did not begin.
	// After Begin the agent is then stopped, not used again. One that wraps
	// ErrNotDispatched promises that no byte of the turn reached the agent.
	Err error

	Outcome turn.Outcome // by the agent's own word; of no meaning beside Err
	Running bool         // it has left work running beside it, which ends with the agent
	Retire  string       // why the agent is of no further use, empty when it is
}

// Released is what became of a turn and its agent.
type Released struct {
	Again  bool  // another agent gets the turn
	Err    error // how the turn counts: why it was ended from outside, or else the Err of its End
	CutOff bool  // the agent goes, and what the turn has left running with it
}

// Begin tells the pool that the next byte goes to the agent. The error says why
// the turn has been ended in the meantime: then nothing may be written.
func (g *Grant[A]) Begin() (err error) {
	g.pool.update(func(t *table) { err = t.begin(g.slot, g.entry) })
	return err
}

// Release gives the agent back. It is called once.
func (g *Grant[A]) Release(end End) (r Released) {
	if g.released {
		panic("bug: a turn was released twice")
	}
	how, exited := "", false
	select {
	case <-g.Agent.Done():
		// It left by itself; the pool may not have come to hear of it.
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

// replaced reports that a stale agent goes, and that the turn waits for another.
func (p *Pool[A]) replaced(s *slot, e *entry, stale string) (given bool) {
	if stale != "" {
		p.update(func(t *table) { given = t.giveBack(s, e, stale) })
	}
	return given
}
