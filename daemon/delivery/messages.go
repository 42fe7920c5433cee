package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// maxPage is the most messages that one answer lists; maxYear is the last year that the
// journal can compare.
const (
	maxPage = 1000
	maxNote = 16 << 10 // bytes of the note of a person
	maxYear = 2200
)

// stateOf returns the state of a live message.
func (d *Dispatcher) stateOf(m *delivery) ipc.MessageState {
	st := d.queuedState(m.new.ID)
	if st.Retried = m.retried.Load(); st.Position == 0 {
		st.State = string(journal.Running)
	}
	return st
}

// queuedState returns the state of a message that waits in the pool. Its position is 0 if
// it does not wait any more.
func (d *Dispatcher) queuedState(id string) ipc.MessageState {
	position, _ := d.o.Pool.Position(id)
	on, resets := d.waitsFor(id)
	return ipc.MessageState{ID: id, State: string(journal.Queued), Position: position, WaitsFor: on, Resets: ipc.Moment(resets)}
}

// endedState answers for a message that is not live: it has ended, or waits for the next
// daemon.
func (d *Dispatcher) endedState(ctx context.Context, id string) (any, error) {
	m, err := d.o.Store.Message(id)
	if err != nil {
		return nil, d.o.Store.LookupError(id, err)
	}
	if !m.State.Ended() {
		return nil, d.reconnectLater(ctx, fault.Stopping(conversation.Of(&m), id))
	}
	return ipc.MessageState{ID: id, State: string(m.State)}, nil
}

// Result answers message.result, with the answer that message.send gets.
func (d *Dispatcher) Result(_ context.Context, c *ipc.Call) (any, error) {
	id, err := d.messageID(c, true)
	if err != nil {
		return nil, err
	}
	return d.recall(id, nil)
}

// List answers message.list, newest first.
func (d *Dispatcher) List(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.MessageQuery
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	f, err := d.filter(&p)
	if err != nil {
		return nil, err
	}
	limit := f.Limit
	f.Limit++ // shows whether there are more
	list := ipc.MessageList{Messages: []ipc.Message{}}
	for m, err := range d.o.Store.List(f) {
		if damage, ok := errors.AsType[*journal.DamageError](err); ok && damage.ID != "" {
			list.Damaged = append(list.Damaged, damage.Error())
			continue
		}
		if err != nil {
			return nil, fault.New(ipc.CodeFailed, "journal", d.o.Store.Heed(err))
		}
		if len(list.Messages) == limit {
			list.More = true
			break
		}
		list.Messages = append(list.Messages, d.wireMessage(&m))
	}
	return list, nil
}

func (d *Dispatcher) filter(p *ipc.MessageQuery) (journal.Filter, error) {
	f := journal.Filter{Session: p.Session, Before: p.Before, Since: p.Since, Limit: p.Limit}
	if p.Team != "" {
		k, err := d.key(p.Team, "")
		if err != nil {
			return f, err
		}
		f.Team = k.Team
	}
	if p.Session != nil && *p.Session != conversation.FreshPrefix { // all single messages, as in sums of the usage
		if err := conversation.CheckSession(*p.Session); err != nil {
			return f, err
		}
	}
	if p.Since.Year() > maxYear {
		return f, fault.BadOption("since is in the year %d: it must be at most %d", p.Since.Year(), maxYear)
	}
	if f.Limit <= 0 || f.Limit > maxPage {
		f.Limit = maxPage
	}
	for _, s := range p.States {
		state := journal.State(s)
		if !state.Known() {
			return f, fault.BadOption("no state %q: it must be queued, running, done, failed, cancelled, expired or unknown", s)
		}
		f.States = append(f.States, state)
	}
	return f, nil
}

func (d *Dispatcher) wireMessage(m *journal.Message) ipc.Message {
	w := ipc.Message{
		ID: m.ID, Team: m.Team, Session: m.Session, State: string(m.State),
		Accepted: m.Accepted(), Started: ipc.Moment(m.Last().At), Ended: ipc.Moment(m.Ended()),
		Outcome: m.Outcome, Error: m.Error, CostUSD: ipc.Cost(m.CostUSD),
		Key: m.Options.Key, Deadline: ipc.Moment(m.Options.Deadline), RetryOf: m.Options.RetryOf,
		Attempts: len(m.Attempts), Bytes: m.Body.Size,
		From: m.Options.Sender.From, FromMessage: m.Options.Sender.Message, Depth: m.Options.Sender.Depth,
	}
	if m.State == journal.Queued {
		w.Error = d.heldFor(m.ID)
		_, resets := d.waitsFor(m.ID)
		w.Resets = ipc.Moment(resets)
	}
	return w
}

// Show answers message.show: all that is known about a message except its texts.
func (d *Dispatcher) Show(_ context.Context, c *ipc.Call) (any, error) {
	id, err := d.messageID(c, false)
	if err != nil {
		return nil, err
	}
	m, err := d.o.Store.Message(id)
	if err != nil {
		return nil, d.o.Store.LookupError(id, err)
	}
	w := d.wireMessage(&m)
	w.Process, w.Fresh, w.OnUnknown, w.Origin = m.Last().Process, m.Options.Fresh, m.Options.OnUnknown, m.Options.Origin
	if v := m.Options.Variant.Value(); v != (turn.Variant{}) {
		w.Options = &v
	}
	w.Blocks, w.OnLimit, w.Spare = m.Options.Blocks, m.Options.OnLimit, m.Options.Spare
	w.Position, _ = d.o.Pool.Position(id)
	attempts := m.Attempts
	for _, step := range m.History {
		change := ipc.Change{State: string(step.State), At: step.At, By: step.By, Note: step.Note, Request: step.Request}
		if step.State == journal.Running && len(attempts) > 0 {
			change.Process, attempts = attempts[0].Process, attempts[1:]
		}
		w.History = append(w.History, change)
	}
	r, err := d.o.Store.Result(id)
	if err != nil {
		return nil, d.o.Store.LookupError(id, err)
	}
	if r != nil {
		w.Error = r.Err
		usage := ipc.Usage(r.Usage)
		w.Usage = &usage
		w.SessionID = r.SessionID
	}
	return d.locate(w, m.Session), nil
}

// locate adds the directory and the transcript of a message's conversation.
func (d *Dispatcher) locate(w ipc.Message, session string) ipc.Message {
	s, _, _ := d.o.Conversations.Get(pool.Key{Team: w.Team, Session: session}) // the zero one if there is none
	w.Dir, w.SessionID = s.Dir, cmp.Or(w.SessionID, s.ID)
	t, err := d.team(w.Team)
	if err != nil {
		return w
	}
	if w.Dir == "" {
		w.Dir = t.Dir
	}
	if t.Agent == "claude" && w.SessionID != "" {
		w.Transcript = d.o.Agents.Transcript(t, w.SessionID)
	}
	return w
}

// Cancel answers message.cancel. A waiting message ends at once; a running turn is
// interrupted, and its agent stays. The waiting calls are told.
func (d *Dispatcher) Cancel(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.MessageID
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	none := fault.New(ipc.CodeNotFound, "no-such-message", fmt.Errorf("no message %q waits or runs", p.ID))
	none.Data.Hint = `"iris messages --state queued,running" lists those that do`
	m := d.inflight.live.get(p.ID)
	if m == nil {
		return nil, none
	}
	if m.orphan.Load() != nil {
		e := fault.New(ipc.CodeFull, "orphan", fmt.Errorf("team %s: message %s runs in an agent of an earlier daemon", m.key(), p.ID))
		e.Data.Hint = fmt.Sprintf(`"%s" ends that agent`, fault.Command("kill", m.key()))
		return nil, fault.WithID(e, p.ID)
	}
	position, _ := d.o.Pool.Position(p.ID)
	if err := d.o.Pool.Cancel(p.ID); err != nil {
		return nil, none
	}
	if position == 0 {
		return ipc.MessageState{ID: p.ID, State: "interrupting"}, nil
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return d.endedState(ctx, p.ID)
}

// Retry answers message.retry. An unknown message gets another attempt; the text of any
// other message is sent as a new message.
func (d *Dispatcher) Retry(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Retry
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if err := checkOwnID("new_id", p.NewID); err != nil {
		return nil, err
	}
	old, err := d.o.Store.Message(p.ID)
	if err != nil {
		return nil, d.o.Store.LookupError(p.ID, err)
	}
	switch {
	case old.State == journal.Unknown || old.Requested(p.NewID):
		return d.reattempt(c, &p)
	case !old.State.Ended():
		return nil, fault.NotEnded(conversation.Of(&old), old.ID, string(old.State))
	}
	body, err := d.o.Store.Body(p.ID)
	if err != nil {
		return nil, d.o.Store.LookupError(p.ID, err)
	}
	send := ipc.Send{
		ID: p.NewID, Team: old.Team, Session: old.Session, Text: string(body), Fresh: old.Options.Fresh, NoWait: old.Options.NoWait,
		Key: p.Key, OnUnknown: old.Options.OnUnknown, OnLimit: old.Options.OnLimit, Spare: old.Options.Spare,
		Origin: old.Options.Origin, Options: old.Options.Variant.Value(),
	}
	if old.Options.Blocks {
		send.Text, send.Content = "", body
	}
	if send.Fresh {
		send.Session = ""
	}
	n, err := d.newMessage(&send)
	if err != nil {
		return nil, err
	}
	n.Options.RetryOf = p.ID
	_, st, err := d.accept(c, n, acceptOptions{ownID: p.NewID != ""})
	if err != nil {
		return nil, err
	}
	if st.ID == p.ID {
		return nil, fault.WithID(fault.New(ipc.CodeConflict, "conflict", fmt.Errorf("message %s itself has the key %q: it would not be sent again", p.ID, p.Key)), p.ID)
	}
	return st, nil
}

// reattempt queues an unknown message for another attempt, before all waiting messages of
// its conversation. A repeated request does nothing. One call at a time does this for a
// message.
func (d *Dispatcher) reattempt(c *ipc.Call, p *ipc.Retry) (any, error) {
	defer d.inflight.ids.accepting.lock(p.ID)()
	old, err := d.o.Store.Message(p.ID)
	if err != nil {
		return nil, d.o.Store.LookupError(p.ID, err)
	}
	k := conversation.Of(&old)
	switch {
	case old.Requested(p.NewID):
		return ipc.MessageState{ID: old.ID, State: string(old.State), Retried: true}, nil
	case old.State != journal.Unknown:
		return nil, fault.NotEnded(k, old.ID, string(old.State))
	case p.Key != "":
		return nil, fault.WithID(fault.BadOption("message %s is unknown and is sent again under its own id: it takes no key", old.ID), old.ID)
	case c.Gone():
		return nil, d.o.Store.NotAccepted("", journal.ErrGone)
	}
	again := journal.Change{At: time.Now(), By: "a person", Request: cmp.Or(p.NewID, d.inflight.ids.next(time.Now()))}
	err = d.o.Store.Persist(func() (err error) {
		old, err = d.o.Store.Reattempt(p.ID, again)
		return err
	})
	if wrong, ok := errors.AsType[*journal.StateError](err); ok { // somebody else has resolved it
		return nil, fault.NotEnded(k, p.ID, string(wrong.From))
	}
	if err != nil {
		return nil, d.o.Store.NotAccepted("", err)
	}
	m := d.restored(&old)
	taken := d.resume(m)
	d.Unhold(k)
	if !taken {
		return nil, m.end.err
	}
	return d.stateOf(m), nil
}

// Resolve answers message.resolve: a person says how an unknown message ended.
func (d *Dispatcher) Resolve(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Resolve
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	state := journal.State(p.State)
	if state != journal.Done && state != journal.Failed && state != journal.Cancelled {
		return nil, fault.BadOption("state is %q: it must be done, failed or cancelled", ipc.Clip(p.State, 64))
	}
	if len(p.Note) > maxNote {
		return nil, fault.BadOption("the note has %d bytes: it must have at most %d", len(p.Note), maxNote)
	}
	m, err := d.o.Store.Resolve(p.ID, journal.End{State: state, At: time.Now(), By: "a person", Note: p.Note})
	if wrong, ok := errors.AsType[*journal.StateError](err); ok {
		return nil, fault.WithID(fault.New(ipc.CodeUsage, "not-unknown", fmt.Errorf("message %s is %s: only an unknown message can be resolved", p.ID, wrong.From)), p.ID)
	}
	if err != nil {
		return nil, d.o.Store.LookupError(p.ID, err)
	}
	d.Unhold(conversation.Of(&m))
	return ipc.MessageState{ID: p.ID, State: p.State}, nil
}
