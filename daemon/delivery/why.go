package delivery

import (
	"context"
	"errors"
	"time"

	"iris/daemon/agents"
	"iris/daemon/conversation"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// Why answers why: what a message waits or waited for, or why the agents of a team went.
func (d *Dispatcher) Why(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.WhyQuery
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	d.o.Agents.RecordGone() // those of this moment
	var missing error
	if p.Team != "" || p.ID == "" {
		f, err := d.filter(&ipc.MessageQuery{Team: p.Team, Session: p.Session})
		if err == nil && p.Team == "" {
			_, err = d.key("", "")
		}
		if err == nil {
			return d.whyTeam(ctx, f)
		}
		if missing = err; p.ID == "" {
			return nil, err
		}
	}
	id, err := d.fullID(p.ID)
	if err == nil {
		var why ipc.Why
		if why, err = d.whyMessage(ctx, id); err == nil {
			return why, nil
		}
	}
	if code := new(ipc.Error); missing != nil && !startsID(p.ID) && errors.As(err, &code) && code.Code == ipc.CodeNotFound {
		return nil, missing // it looks like the name of a team
	}
	return nil, err
}

// startsID reports whether a text could be the beginning of an id of our time.
func startsID(text string) bool { return text[0] == '0' }

// whyMessage says what a message waits or waited for.
func (d *Dispatcher) whyMessage(ctx context.Context, id string) (why ipc.Why, err error) {
	m, err := d.o.Store.Message(id)
	if err != nil {
		return why, d.o.Store.LookupError(id, err)
	}
	now := time.Now()
	w := &ipc.WhyMessage{
		ID: m.ID, Team: m.Team, Session: m.Session, State: string(m.State),
		Accepted: m.Accepted(), Ended: ipc.Moment(m.Ended()), Deadline: ipc.Moment(m.Options.Deadline),
		Attempts: attemptsOf(&m, now), Outcome: m.Outcome, Error: m.Error, CostUSD: ipc.Cost(m.CostUSD),
	}
	why.Message = w
	k := conversation.Of(&m)
	ps := d.o.Pool.Snapshot()
	switch m.State {
	case journal.Queued:
		d.waiting(w, k, ps.Broken)
	case journal.Running:
		w.WaitsFor = d.o.Agents.TurnWaits(m.Last().Process)
	}
	f := journal.Filter{Team: k.Team, Session: &k.Session, Since: w.Accepted}
	lives, _, err := d.lives(ctx, f, ps.Processes, &why)
	if err != nil {
		return why, err
	}
	for i := range w.Attempts {
		a := &w.Attempts[i]
		w.Waited, w.Took = w.Waited+a.Waited, w.Took+a.Took
		if l, ok := lives[a.Process]; ok && l.ready.After(a.Queued) {
			start := l.start()
			a.Start = &start
		}
	}
	return why, nil
}

// waiting adds what a queued message waits for, to the words of the pool and the journal.
func (d *Dispatcher) waiting(w *ipc.WhyMessage, k pool.Key, broken []pool.Broken) {
	on := ""
	if w.Position, on = d.o.Pool.Position(w.ID); on != "" {
		w.WaitsFor = append(w.WaitsFor, on)
	}
	if on := d.o.Store.WaitsFor(); on != "" {
		w.WaitsFor = append(w.WaitsFor, on)
	}
	for _, b := range brokenOf(broken, func(of pool.Key) bool { return of == k }) {
		w.Broken = &b
	}
}

// brokenOf returns the conversations whose agents do not start, of those that match.
func brokenOf(broken []pool.Broken, match func(pool.Key) bool) (all []ipc.Broken) {
	for _, b := range broken {
		if match(b.Key) {
			all = append(all, agents.BrokenView(b))
		}
	}
	return all
}

// attemptsOf divides the history of a message into attempts, each with the wait for it.
// What has not ended lasts until now.
func attemptsOf(m *journal.Message, now time.Time) (all []ipc.WhyAttempt) {
	var a *ipc.WhyAttempt // the last
	processes := m.Attempts
	for _, c := range m.History {
		if a != nil && c.State == journal.Queued && a.Ended == nil { // the agent has not taken it
			a.Ended, a.State, a.Note = &c.At, string(c.State), c.Note
		}
		if a == nil || c.State == journal.Queued {
			all = append(all, ipc.WhyAttempt{Queued: c.At})
			a = &all[len(all)-1]
		}
		a.State = string(c.State)
		switch {
		case c.State == journal.Running:
			a.Began = &c.At
			if len(processes) > 0 {
				a.Process, processes = processes[0].Process, processes[1:]
			}
		case c.State.Ended():
			if a.Note = c.Note; a.Ended == nil {
				a.Ended = &c.At
			}
		}
	}
	for i := range all {
		measure(&all[i], now)
	}
	return all
}

// measure sets how long an attempt waited, and how long its turn took.
func measure(a *ipc.WhyAttempt, now time.Time) {
	ended := now
	if a.Ended != nil {
		ended = *a.Ended
	}
	began := ended
	if a.Began != nil {
		began = *a.Began
	}
	a.Waited = max(0, began.Sub(a.Queued).Milliseconds())
	a.Took = max(0, ended.Sub(began).Milliseconds())
}
