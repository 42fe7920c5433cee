package claude

import (
	"cmp"
	"strings"
	"time"

	"iris/pool/turn"
)

// apply acts on the content of a line.
func (p *Process) apply(f *found) {
	a := &p.reading.notes
	p.mu.Lock()
	if p.status.take(a); f.state {
		p.marks.stateAt = p.reading.lines.off
	}
	if f.result {
		p.status.answered = time.Now()
	}
	p.marks.needed, _ = a.needs()
	if t := p.current.open(); t != nil {
		if a.Message != nil {
			t.waiting = a.Message.First != nil
		}
		if f.state && a.State == "idle" && a.missed() {
			t.cutLocked()
		}
	}
	p.mu.Unlock()
	p.modeIs(f.mode, f.begins)
	p.sessionIs(f.session)
	if f.result {
		p.closeRequests()
	}
	if f.state && a.State == "idle" {
		p.closeAllRequests()
	}
	if f.own != nil {
		p.tellOwn(f.own)
	}
	p.tellWork(f.over != nil || f.dropped) // first: a turn that has ended leaves the agent idle or at work
	switch {
	case f.over != nil:
		p.end(f.over, f.cutOff)
	case f.dropped:
		p.drop()
	}
}

// tellOwn reports a turn that nobody has sent, and records that: the next daemon
// reads the spool too.
func (p *Process) tellOwn(o *OwnTurn) {
	if p.o.OnOwnTurn != nil {
		p.o.OnOwnTurn(p, *o)
	}
	end := p.reading.lines.next
	if err := p.spool.save(func(r *record) { r.Told = end }); err != nil {
		p.log.Warn("turn of its own not noted", "err", err)
	}
}

// tellWork reports the agent's own work between two sent turns. With ended set, a
// sent turn ends now.
func (p *Process) tellWork(ended bool) {
	a, on := &p.reading.notes, ""
	p.mu.Lock()
	ours := p.current.open() != nil && !ended
	p.mu.Unlock()
	work := a.working()
	if a.State != "idle" {
		work = a.tasks(func(t Task) bool { return !t.Shell })
	}
	switch {
	case ours, a.State == "":
	case a.InTurn && a.State != "idle":
		on = cmp.Or(a.Wakeup, "a turn of its own")
	case len(work) > 0:
		on = "subagents: " + strings.Join(work, "; ")
	}
	if on != p.reading.working && p.o.OnWorking != nil {
		p.o.OnWorking(p, on)
	}
	p.reading.working = on
}

// sessionIs records the conversation's id. /clear gives a new one.
func (p *Process) sessionIs(id string) {
	p.mu.Lock()
	old := p.status.session
	if id == "" || id == old || !ValidSessionID(id) {
		p.mu.Unlock()
		return
	}
	p.status.session = id
	p.mu.Unlock()
	p.log.Info("session changed", "from", old, "to", id)
	p.moveSpool(id)
	if p.o.OnSession != nil {
		p.o.OnSession(id)
	}
}

func (p *Process) moveSpool(id string) {
	p.reading.unfollow()
	if err := p.spool.rename(id); err != nil {
		p.log.Warn("spool not renamed", "err", err)
	}
	p.reading.unfollow = p.o.Follower.add(p.spool.path(".out"), p.wake)
}

// end gives the running turn its result; cutOff says that work of its subagents has
// ended without a report.
func (p *Process) end(r *turn.Result, cutOff bool) {
	if r.Outcome == turn.NotLoggedIn {
		explainLogin(r, p.spool.stderr(4096))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.current.open()
	if t == nil {
		return
	}
	p.reading.turnEnded = true
	p.marks.endAt = p.reading.lines.next
	for s := range p.marks.streams {
		s.endLocked(p.marks.endAt)
	}
	t.result, t.cutOff = r, cutOff
	close(t.done)
}

// drop ends the running turn, whose message the agent has dropped unread.
func (p *Process) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.current.open(); t != nil {
		t.dropped = true
		close(t.done)
	}
}
