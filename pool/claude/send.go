package claude

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/pool"
)

const (
	ownTurn  = 30 * time.Second       // for the end of a turn that the agent began by itself
	askAgain = 500 * time.Millisecond // between two interrupts of one turn
)

// Send runs one turn: see the package comment. Turn.Begin is the pool's to
// call; by then nothing of the turn has reached the agent.
func (p *Process) Send(ctx context.Context, t *pool.Turn) (*pool.Result, error) {
	if t.Begun {
		return p.rejoin(ctx, t)
	}
	line, err := userLine(t)
	if err == nil {
		err = p.prepare(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", pool.ErrNotDispatched, err)
	}
	u := p.enter(t)
	defer p.leave(u)
	n, err := p.give(line)
	switch {
	case err != nil && n == 0:
		return nil, fmt.Errorf("%w: %w", pool.ErrNotDispatched, p.orExit(err))
	case err != nil:
		return nil, fmt.Errorf("%w: %w", pool.ErrUnknown, p.orExit(err))
	}
	p.mu.Lock()
	u.written = true
	p.mu.Unlock()
	return p.await(ctx, u)
}

// prepare sees to it that the turn can begin: there is room for the answer, and,
// last, the agent is idle.
func (p *Process) prepare(ctx context.Context) error {
	if p.isDone() {
		return p.orExit(errGone)
	}
	p.mu.Lock()
	noted := p.noted
	p.mu.Unlock()
	if !noted {
		p.forgetTurn()
	}
	p.spool.trimErr()
	if err := p.spool.room(); err != nil {
		return err
	}
	return p.idle(ctx, p.ownTurn)
}

// forgetTurn lets go of what the spool holds of the last turn.
func (p *Process) forgetTurn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.untaken, p.noted = false, false
	p.giveLocked()
}

// give writes the message of the turn, after the record has it that it may be
// written. If this daemon is killed before, the next one knows by that record that
// the turn never began, whatever the agent has written of its own accord.
func (p *Process) give(line []byte) (n int, err error) {
	p.in.Lock()
	defer p.in.Unlock()
	p.mu.Lock()
	base, begun := p.totals, p.begun
	p.mu.Unlock()
	if err := p.spool.save(func(r *record) { r.Base, r.Given = base, &begun }); err != nil {
		return 0, fmt.Errorf("record of the turn: %w", err)
	}
	return p.writeLocked(line)
}

// idle waits until the agent's last state line says idle, and no line of it is
// unread. A message written in a turn that the agent has begun by itself would
// get no turn of its own.
func (p *Process) idle(ctx context.Context, limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		state, changed := p.stateNow()
		switch {
		case p.stopping.Load():
			return errGone
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case p.isDone():
			return p.orExit(errGone)
		case changed == nil:
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
		case <-ctx.Done():
		case <-timer.C:
			return fmt.Errorf("the agent is busy with a turn of its own (%s)", state)
		}
	}
}

// stateNow returns the agent's state and what is closed at the next reading of
// the spool: nil when the agent is idle and all has been read.
func (p *Process) stateNow() (string, <-chan struct{}) {
	info, err := p.spool.out.Stat()
	p.mu.Lock()
	defer p.mu.Unlock()
	behind := err == nil && info.Size() > p.scanned
	if !behind && (p.state == "" || p.state == "idle") {
		return p.state, nil
	}
	if behind {
		p.wake()
	}
	if p.changed == nil {
		p.changed = make(chan struct{})
	}
	return p.state, p.changed
}

func (p *Process) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// enter makes the turn the one whose lines and result are awaited.
func (p *Process) enter(t *pool.Turn) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.untaken, p.noted = true, false
	p.turn = &turn{
		output: t.Output, done: make(chan struct{}),
		freed: (p.read/block + 16) * block, reserved: p.read + reserve,
	}
	return p.turn
}

// leave takes the turn off. No line reaches its watcher any more.
func (p *Process) leave(u *turn) {
	p.mu.Lock()
	p.turn = nil
	p.mu.Unlock()
	u.mu.Lock()
	u.output = nil
	u.mu.Unlock()
}

// await waits for the result.
func (p *Process) await(ctx context.Context, u *turn) (*pool.Result, error) {
	select {
	case <-u.done:
		return p.over(u), nil
	case <-p.done:
		return p.died(u)
	case <-ctx.Done():
	}
	return p.interrupt(ctx, u)
}

// over does not wait for the state line that follows the result: whoever waits
// for the answer would wait for it too. The next turn does, in Spool and Send.
func (p *Process) over(u *turn) *pool.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	return u.result
}

// died looks once more: the result may have been the last thing written.
func (p *Process) died(u *turn) (*pool.Result, error) {
	select {
	case <-u.done:
		return p.over(u), nil
	default:
		return nil, fmt.Errorf("%w: %w", pool.ErrUnknown, p.orExit(errors.New("the agent exited in mid-turn")))
	}
}

// orExit says how the process ended, if it has.
func (p *Process) orExit(err error) error {
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.withWords(fmt.Errorf("%w (%s)", err, p.exit))
	case <-timer.C:
		return err
	}
}

// interrupt asks the agent to break off, and again when it was asked before it
// had begun: an idle agent takes no notice.
func (p *Process) interrupt(ctx context.Context, u *turn) (*pool.Result, error) {
	stalled := errors.Is(context.Cause(ctx), pool.ErrStalled)
	limit := time.NewTimer(p.o.Grace)
	defer limit.Stop()
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		if _, id, err := p.ask("interrupt"); err == nil {
			defer p.forget(id)
		}
		select {
		case <-u.done:
			return broken(p.over(u), stalled), nil
		case <-p.done:
			return p.died(u)
		case <-limit.C:
			return nil, fmt.Errorf("%w: no answer to an interrupt in %v", pool.ErrUnknown, p.o.Grace)
		case <-again.C:
		}
	}
}

// broken is the result of a turn that we interrupted. It may have ended well
// all the same.
func broken(r *pool.Result, stalled bool) *pool.Result {
	if r.Outcome == pool.OutcomeInterrupted && stalled {
		r.Outcome, r.Err = pool.OutcomeIncomplete, "stalled and interrupted"
	}
	return r
}
