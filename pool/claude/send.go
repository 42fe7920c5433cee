package claude

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/config/sys"
	"iris/pool"
	"iris/pool/turn"
)

const (
	ownTurn  = 10 * time.Minute       // without progress, for a turn that the agent began by itself
	askAgain = 500 * time.Millisecond // between two interrupts of one turn

	retryScarce = 100 * time.Millisecond // between two tries of what needs a descriptor
)

// Message is the message that Send takes to the agent.
type Message struct {
	Text    string
	Blocks  bool         // Text is a JSON list of content blocks
	Variant turn.Variant // what the message asks of the agent; the parts for a start are set already

	// NoBackgroundWait ends the turn with the agent's first answer, even if subagents
	// still work for it. Otherwise the turn ends when they have reported.
	NoBackgroundWait bool
}

// Send runs one turn and returns when it is over: see the package comment. A result
// means that the turn ended by the agent's own word, even if its outcome says that it
// failed. An error means that the end is unknown; an error that wraps
// pool.ErrNotDispatched promises that no byte of the turn has reached the agent.
//
// When ctx ends, Send interrupts the turn and returns its result, or an error if the
// agent does not answer in time.
func (p *Process) Send(ctx context.Context, m *Message) (*turn.Result, error) {
	line, err := userLine(m, p.name())
	if err == nil {
		err = p.prepare(ctx, m.Variant)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", pool.ErrNotDispatched, err)
	}
	u := p.beginSend(m)
	defer p.endSend()
	defer p.takeBack(ctx)
	n, err := p.writeMessage(u, line)
	if n == 0 && Scarce(err) { // of the daemon, not of this agent: another one would help as little
		p.log.Warn("message waits", "err", err)
	}
	for n == 0 && Scarce(err) && sys.Sleep(ctx, retryScarce) {
		n, err = p.writeMessage(u, line)
	}
	switch {
	case err != nil && n == 0:
		return nil, fmt.Errorf("%w: %w", pool.ErrNotDispatched, p.withExit(err))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", pool.ErrUnknown, p.withExit(err))
	}
	p.mu.Lock()
	u.written = true
	p.mu.Unlock()
	return p.outcome(ctx, u)
}

// outcome waits for the end of the turn, and looks whether the conversation is kept.
func (p *Process) outcome(ctx context.Context, u *activeTurn) (*turn.Result, error) {
	r, err := p.await(ctx, u)
	p.checkTranscript(ctx, r)
	return r, err
}

// name returns the uuid of the next message.
func (p *Process) name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.current.startNoted {
		p.current.uuid = NewSessionID()
	}
	return p.current.uuid
}

// prepare makes the turn possible: it reserves room for the answer, has changed
// commands, agents and skills read, sets what the message asks for, and last waits
// until the agent is idle.
func (p *Process) prepare(ctx context.Context, v turn.Variant) error {
	if p.isDone() {
		return p.withExit(errGone)
	}
	p.mu.Lock()
	noted := p.current.startNoted
	p.mu.Unlock()
	if !noted {
		p.forgetTurn()
	}
	p.spool.trimErr()
	if err := p.spool.room(0); err != nil {
		return err
	}
	if err := p.idle(ctx); err != nil {
		return err
	}
	if err := p.reload(ctx); err != nil {
		return err
	}
	if err := p.adjust(ctx, v); err != nil {
		return err
	}
	p.watchFirst()
	p.markTranscript()
	return p.idle(ctx)
}

// forgetTurn gives back the part of the spool that the last turn needed.
func (p *Process) forgetTurn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.resultPending, p.current.startNoted = false, false
	p.freeLocked()
}

// writeMessage writes the message of the turn, after recording that it may be
// written. If this daemon is killed before, the record tells the next daemon that the
// turn never began, even if the agent has written something by itself.
func (p *Process) writeMessage(u *activeTurn, line []byte) (n int, err error) {
	p.input.mu.Lock()
	defer p.input.mu.Unlock()
	p.mu.Lock()
	base, begun := p.status.totals, p.current.begun
	p.mu.Unlock()
	if err := p.spool.save(func(r *record) { r.Base, r.Given, r.UUID, r.NoWait = base, &begun, u.uuid, u.noWait }); err != nil {
		return 0, fmt.Errorf("record of the turn: %w", err)
	}
	return p.writeLocked(line)
}

// idle waits until a message may be written and every line of the agent was read. A
// message written in a turn of the agent's own might get no turn of its own.
func (p *Process) idle(ctx context.Context) error {
	tick := time.NewTicker(p.timing.ownTurn)
	defer tick.Stop()
	for {
		ready, changed := p.readyNow()
		switch {
		case p.stopping.Load():
			return errGone
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case p.isDone():
			return p.withExit(errGone)
		case ready:
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
		case <-ctx.Done():
		case <-tick.C:
			if time.Since(p.Progress()) >= p.timing.ownTurn {
				return errors.New("the agent is in a turn of its own, without progress")
			}
		}
	}
}

// readyNow reports whether a message may be written now; if not, changed is closed at
// the next reading of the spool.
func (p *Process) readyNow() (ready bool, changed <-chan struct{}) {
	info, err := p.spool.out.Stat()
	p.mu.Lock()
	defer p.mu.Unlock()
	behind := err == nil && info.Size() > p.marks.scanned
	if !behind && (p.status.state == "" || p.status.state == "idle" || p.status.lifecycle && p.status.besides && !p.status.inTurn) {
		return true, nil
	}
	if behind {
		p.wake()
	}
	if p.marks.changed == nil {
		p.marks.changed = make(chan struct{})
	}
	return false, p.marks.changed
}

func (p *Process) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// beginSend makes the turn current: its lines and result are awaited.
func (p *Process) beginSend(m *Message) *activeTurn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.resultPending, p.current.startNoted, p.asks.denied = true, false, nil
	u := newTurn(p.current.uuid, m.NoBackgroundWait)
	u.freed, u.reserved = (p.marks.read/block+16)*block, p.marks.read+reserve
	p.current.turn = u
	return u
}

// endSend ends the current turn.
func (p *Process) endSend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.current.turn = nil
}

// await waits for the result.
func (p *Process) await(ctx context.Context, u *activeTurn) (*turn.Result, error) {
	look := time.NewTicker(p.timing.lookEvery)
	defer look.Stop()
	for cut := u.cut; ; {
		select {
		case <-u.done:
			r, err := p.over(u)
			return broken(r, errors.Is(context.Cause(ctx), pool.ErrStalled), false), err
		case <-p.done:
			return p.died(u)
		case <-ctx.Done():
			return p.interrupt(ctx, u)
		case <-look.C:
			p.lookForCut(u)
			p.spool.trimErr()
		case <-cut:
			if r := p.resultLost(ctx, u); r != nil {
				return r, nil
			}
			cut = nil
		}
	}
}

// over returns how the turn has ended. It does not wait for the state line after the
// result: the sender would wait too. The next turn waits for it, in NextTurn and
// Send.
func (p *Process) over(u *activeTurn) (*turn.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.dropped {
		return nil, fmt.Errorf("%w: the agent has dropped the message", pool.ErrNotDispatched)
	}
	return u.result, nil
}

// died checks once more: the result may have been the last line.
func (p *Process) died(u *activeTurn) (*turn.Result, error) {
	select {
	case <-u.done:
		return p.over(u)
	default:
		if p.flooded.Load() {
			return p.floodedEnd(), nil
		}
		return nil, fmt.Errorf("%w: %w", pool.ErrUnknown, p.withExit(errors.New("the agent exited in mid-turn")))
	}
}

// withExit adds how the process ended, if it has.
func (p *Process) withExit(err error) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.withStderr(fmt.Errorf("%w (%s)", err, p.exit))
	case <-timer.C:
		return err
	}
}

// interrupt asks the agent to stop the turn, and asks again if the turn had not
// begun: an idle agent ignores it.
func (p *Process) interrupt(ctx context.Context, u *activeTurn) (*turn.Result, error) {
	stalled := errors.Is(context.Cause(ctx), pool.ErrStalled)
	p.mu.Lock()
	waiting := u.waiting && !u.over()
	p.mu.Unlock()
	limit := time.NewTimer(p.o.Grace)
	defer limit.Stop()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		if _, id, err := p.ask("interrupt"); err == nil {
			defer p.calls.forget(id)
		}
		select {
		case <-u.done:
			r, err := p.over(u)
			return broken(r, stalled, waiting && u.cutOff), err
		case <-p.done:
			return p.died(u)
		case <-limit.C:
			return nil, fmt.Errorf("%w: no answer to an interrupt in %v", pool.ErrUnknown, p.o.Grace)
		case <-again.C:
		}
	}
}

// broken is the result of a turn that iris has interrupted. It may still have ended
// well, unless that has cut off work of subagents.
func broken(r *turn.Result, stalled, cutOff bool) *turn.Result {
	if r == nil {
		return nil
	}
	if cutOff && r.Outcome.Answered() {
		r.Outcome, r.Err = turn.Interrupted, "interrupted while subagents worked"
	}
	if r.Outcome == turn.Interrupted && stalled {
		r.Outcome, r.Err = turn.Incomplete, "stalled and interrupted"
	}
	return r
}
