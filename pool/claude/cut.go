package claude

import (
	"context"
	"time"

	"iris/pool/turn"
)

// On a full disk the agent goes on, but its output is lost, or kept by the agent
// until its next write. Either way the result of a turn does not come by itself. The
// agent can say whether the turn still runs: its answer to initialize names its
// state, and output that it has kept comes before that answer. The agent is asked
// when there are signs of a loss:
//
//	no room could be reserved ahead of the turn
//	the last line of the spool has no end, and nothing follows
//	the agent is idle, and no result of the turn was read
//
// and only while there is room, since its answers must not take the room of the
// result.
const (
	lookEvery = 2 * time.Second  // for a line without an end, and between the first questions
	lookLate  = 30 * time.Second // between later questions
	quietFor  = time.Minute      // without output, if a program does not report its state
)

// missed reports whether the agent says that it has ended the running turn without a
// result.
func (a *turnNotes) missed() bool {
	m := a.Message
	return m != nil && m.Mine && m.First == nil && m.Held == nil
}

// lookForCut looks for a line without an end.
func (p *Process) lookForCut(u *activeTurn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.marks.scanned > p.marks.read && time.Since(p.status.progress) >= p.timing.lookEvery {
		u.cutLocked()
	}
}

// resultLost asks the agent, after some of its output was lost, whether the turn is
// over, and then returns an unknown end. It returns nil if the turn ends in another
// way, or is being ended.
func (p *Process) resultLost(ctx context.Context, u *activeTurn) *turn.Result {
	idle := 0 // consecutive answers "idle": the first may have crossed the message
	for wait := p.timing.lookEvery; ; wait = min(2*wait, lookLate) {
		asked, cancel := context.WithTimeout(ctx, wait)
		if idle++; !p.saysOver(asked) {
			idle = 0
		} else {
			wait = p.timing.lookEvery
		}
		if idle == 2 && !p.isOver(u) {
			defer cancel()
			return p.unknownEnd(asked)
		}
		select {
		case <-u.done:
		case <-p.done:
		case <-asked.Done():
		}
		cancel()
		if p.isOver(u) || p.isDone() || ctx.Err() != nil {
			return nil
		}
	}
}

// saysOver asks the agent whether it is idle. All its earlier output has been handled
// by then. A program that does not report its state must have been quiet for long.
func (p *Process) saysOver(ctx context.Context) bool {
	if p.spool.room(0) != nil {
		return false
	}
	r, err := p.request(ctx, p.o.initialize())
	if err != nil {
		return false
	}
	var body struct {
		State string `json:"session_state"`
	}
	decode(r.Body, &body)
	return body.State == "idle" || body.State == "" && time.Since(p.Progress()) >= quietFor
}

func (p *Process) isOver(u *activeTurn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return u.over()
}

// unknownEnd is the end of a turn whose result was lost. The agent is not used again:
// it may have lost more, and the cost of this turn is still in its sums.
func (p *Process) unknownEnd(ctx context.Context) *turn.Result {
	return &turn.Result{
		Outcome: turn.Unknown, SessionID: p.Session(), CostUSD: p.costNow(ctx),
		Err:    "the agent has ended the turn, and the disk had no room for its answer",
		Retire: "its output was cut short",
	}
}

// costNow is the cost of the turn by the agent's sums; 0 if they do not say.
func (p *Process) costNow(ctx context.Context) float64 {
	p.mu.Lock()
	base, known := p.status.totals.Cost, !p.status.answered.IsZero() || !p.o.resume
	p.mu.Unlock()
	r, err := p.call(ctx, "get_usage")
	if err != nil || !known {
		return 0
	}
	var body struct {
		Session struct {
			Cost float64 `json:"total_cost_usd"`
		} `json:"session"`
	}
	decode(r.Body, &body)
	return max(0, body.Session.Cost-base)
}
