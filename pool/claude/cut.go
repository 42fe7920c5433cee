package claude

import (
	"context"
	"time"

	"iris/pool/turn"
)

// On a full disk the agent goes on, and what it has to say is lost, or kept by it until it
// writes again. Either way the result of a turn does not come by itself. The agent says
// whether it is still in the turn: the answer to initialize names its state, and what it
// has kept comes before that answer. It is asked at the signs of such a loss:
//
//	no room could be reserved ahead of the turn
//	the last line of the spool has no end, and nothing follows
//	the agent is idle, and no result of the turn was read
//
// and only while there is room, since its answers must not take that of the result.
const (
	lookEvery = 2 * time.Second  // for a line without an end, and between two questions at first
	lookLate  = 30 * time.Second // between two questions later
	quietFor  = time.Minute      // without a word, where a program does not say its state
)

// missed reports whether the agent, by its own account, has ended the turn under way
// without a result.
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

// resultLost asks the agent, after some of its output was lost, whether the turn is over
// all the same, and returns its end then: nobody knows how it went. It returns nil when
// the turn ends otherwise, or is to end.
func (p *Process) resultLost(ctx context.Context, u *activeTurn) *turn.Result {
	idle := 0 // answers of that kind in a row: the first may have crossed the message
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

// saysOver asks the agent whether it is idle. All that it wrote before its answer has
// been handled by then. One that does not say it must have been quiet for long.
func (p *Process) saysOver(ctx context.Context) bool {
	if p.spool.room() != nil {
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

// unknownEnd is the end of a turn whose result was lost. Its agent is not used again: what
// it has lost besides is not known, and its sums go on with what this turn has cost.
func (p *Process) unknownEnd(ctx context.Context) *turn.Result {
	return &turn.Result{
		Outcome: turn.Unknown, SessionID: p.Session(), CostUSD: p.costNow(ctx),
		Err:    "the agent has ended the turn, and the disk had no room for its answer",
		Retire: "its output was cut short",
	}
}

// costNow is what the turn has cost by the agent's sums; 0 where they say nothing of it.
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
