package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// maxPage is how many messages one answer lists; maxYear is before times end
// that the journal can compare.
const (
	maxPage = 1000
	maxYear = 2200
)

// stateOf says how far a live message is.
func (d *Daemon) stateOf(m *delivery) ipc.MessageState {
	st := ipc.MessageState{ID: m.new.ID, State: string(journal.Running)}
	if st.Position = d.pool.Position(m.new.ID); st.Position > 0 {
		st.State = string(journal.Queued)
	}
	return st
}

// endedState answers for a message that is not live: it has ended, or it waits
// for the next daemon.
func (d *Daemon) endedState(ctx context.Context, id string) (any, error) {
	m, err := d.journal.Message(id)
	if err != nil {
		return nil, d.lookupError(id, err)
	}
	if !m.State.Ended() {
		return d.comeBack(ctx, stoppingError(conversationOf(&m), id))
	}
	return ipc.MessageState{ID: id, State: string(m.State)}, nil
}

// which finds the message that a call names.
func (d *Daemon) which(c *ipc.Call) (string, error) {
	var p ipc.Which
	if err := c.Bind(&p); err != nil {
		return "", err
	}
	if p.ID != "" {
		return p.ID, nil
	}
	k, err := d.key(p.Team, p.Session)
	if err != nil {
		return "", err
	}
	f := journal.Filter{Team: k.Team, Session: &k.Session, Limit: 1, States: []journal.State{
		journal.Done, journal.Failed, journal.Cancelled, journal.Expired, journal.Unknown,
	}}
	for m, err := range d.journal.List(f) {
		if err != nil {
			return "", d.lookupError(m.ID, err)
		}
		return m.ID, nil
	}
	return "", coded(ipc.CodeNotFound, "no-such-message", fmt.Errorf("team %s: no message of it has ended", k))
}

// result answers message.result as message.send would have been answered.
func (d *Daemon) result(_ context.Context, c *ipc.Call) (any, error) {
	id, err := d.which(c)
	if err != nil {
		return nil, err
	}
	return d.recall(id, nil)
}

// listMessages answers message.list, newest first.
func (d *Daemon) listMessages(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.List
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	f, err := d.filter(&p)
	if err != nil {
		return nil, err
	}
	limit := f.Limit
	f.Limit++ // to see whether there are more
	list := ipc.MessageList{Messages: []ipc.Message{}}
	for m, err := range d.journal.List(f) {
		if damage, ok := errors.AsType[*journal.DamageError](err); ok && damage.ID != "" {
			list.Damaged = append(list.Damaged, damage.Error())
			continue
		}
		if err != nil {
			return nil, coded(ipc.CodeFailed, "journal", d.journalError(err))
		}
		if len(list.Messages) == limit {
			list.More = true
			break
		}
		list.Messages = append(list.Messages, wireMessage(&m))
	}
	return list, nil
}

func (d *Daemon) filter(p *ipc.List) (journal.Filter, error) {
	f := journal.Filter{Session: p.Session, Before: p.Before, Since: p.Since, Limit: p.Limit}
	if p.Team != "" {
		k, err := d.key(p.Team, "")
		if err != nil {
			return f, err
		}
		f.Team = k.Team
	}
	if p.Since.Year() > maxYear {
		return f, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("since is in the year %d: it must be at most %d", p.Since.Year(), maxYear))
	}
	if f.Limit <= 0 || f.Limit > maxPage {
		f.Limit = maxPage
	}
	for _, s := range p.States {
		state := journal.State(s)
		if !state.Known() {
			return f, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("no state %q: it must be queued, running, done, failed, cancelled, expired or unknown", s))
		}
		f.States = append(f.States, state)
	}
	return f, nil
}

func wireMessage(m *journal.Message) ipc.Message {
	w := ipc.Message{
		ID: m.ID, Team: m.Team, Session: m.Session, State: string(m.State),
		Accepted: m.Accepted(), Started: moment(m.Last().At), Ended: moment(m.Ended()),
		Outcome: m.Outcome, Error: m.Error, CostUSD: ipc.Cost(m.CostUSD),
		Key: m.Options.Key, Deadline: moment(m.Options.Deadline), RetryOf: m.Options.RetryOf,
		Attempts: len(m.Attempts), Bytes: m.Body.Size,
	}
	return w
}

// show answers message.show: all that is known of a message but its texts.
func (d *Daemon) show(_ context.Context, c *ipc.Call) (any, error) {
	id, err := d.which(c)
	if err != nil {
		return nil, err
	}
	m, err := d.journal.Message(id)
	if err != nil {
		return nil, d.lookupError(id, err)
	}
	w := wireMessage(&m)
	w.Process, w.Fresh, w.OnUnknown, w.Origin = m.Last().Process, m.Options.Fresh, m.Options.OnUnknown, m.Options.Origin
	if v := ipc.Variant(m.Options.Variant.Value()); v != (ipc.Variant{}) {
		w.Options = &v
	}
	w.Blocks = m.Options.Blocks
	w.Position = d.pool.Position(id)
	for _, step := range m.History {
		w.History = append(w.History, ipc.Change{State: string(step.State), At: step.At, By: step.By, Note: step.Note})
	}
	r, err := d.journal.Result(id)
	if err != nil {
		return nil, d.lookupError(id, err)
	}
	if r != nil {
		w.Error = r.Error
		usage := wireUsage(r.Usage)
		w.Usage = &usage
		w.SessionID = r.SessionID
	}
	return d.locate(w, m.Session), nil
}

// locate adds where the conversation of a message is.
func (d *Daemon) locate(w ipc.Message, session string) ipc.Message {
	s, ok, err := d.journal.Session(record(pool.Key{Team: w.Team, Session: session}))
	if err == nil && ok {
		w.Dir = s.Dir
		if w.SessionID == "" {
			w.SessionID = s.ID
		}
	}
	t, err := d.team(w.Team)
	if err != nil {
		return w
	}
	if w.Dir == "" {
		w.Dir = t.Dir
	}
	if t.Agent == "claude" && w.SessionID != "" {
		w.Transcript = d.transcript(t, w.SessionID)
	}
	return w
}

// cancel answers message.cancel: a message that waits is gone at once, a turn is
// interrupted and its agent kept. Whoever waits for it is told.
func (d *Daemon) cancel(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.MessageID
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	none := coded(ipc.CodeNotFound, "no-such-message", fmt.Errorf("no message %q waits or runs", p.ID))
	none.Data.Hint = `"iris messages --state queued,running" lists those that do`
	m := d.live.get(p.ID)
	if m == nil {
		p.ID = d.standIn(p.ID)
		m = d.live.get(p.ID)
	}
	if m == nil {
		return nil, none
	}
	if m.orphan.Load() != nil {
		e := coded(ipc.CodeFull, "orphan", fmt.Errorf("team %s: message %s runs in an agent that a daemon before this one has left", m.key(), p.ID))
		e.Data.Hint = fmt.Sprintf(`"%s" ends that agent`, command("kill", m.key()))
		return nil, withID(e, p.ID)
	}
	waits := d.pool.Position(p.ID) > 0
	if err := d.pool.Cancel(p.ID); err != nil {
		return nil, none
	}
	if !waits {
		return ipc.MessageState{ID: p.ID, State: "interrupting"}, nil
	}
	select {
	case <-m.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return d.endedState(ctx, p.ID)
}

// retry answers message.retry: the same text once more, as a new message. One
// that was unknown has been looked at with that.
func (d *Daemon) retry(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Retry
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	old, err := d.journal.Message(p.ID)
	if err != nil {
		return nil, d.lookupError(p.ID, err)
	}
	k := conversationOf(&old)
	if !old.State.Ended() {
		return nil, notEnded(k, &old)
	}
	body, err := d.journal.Body(p.ID)
	if err != nil {
		return nil, d.lookupError(p.ID, err)
	}
	send := ipc.Send{
		Team: old.Team, Session: old.Session, Text: string(body), Fresh: old.Options.Fresh,
		Key: p.Key, OnUnknown: old.Options.OnUnknown, Origin: old.Options.Origin, Options: ipc.Variant(old.Options.Variant.Value()),
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
	_, st, err := d.accept(c, n, terms{})
	if err != nil {
		return nil, err
	}
	if st.ID == p.ID {
		return nil, withID(coded(ipc.CodeConflict, "conflict", fmt.Errorf("key %q is that of message %s itself: it would not be sent again", p.Key, p.ID)), p.ID)
	}
	if old.State == journal.Unknown {
		e := journal.End{State: journal.Failed, At: time.Now(), By: "retry", Note: "sent again as " + st.ID}
		if _, err := d.journal.Resolve(p.ID, e); err != nil {
			d.log.Error("message not resolved", "message", p.ID, "err", d.journalError(err))
		}
		d.unhold(k)
	}
	return st, nil
}

// resolve answers message.resolve: a person says how an unknown message ended.
func (d *Daemon) resolve(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Resolve
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	state := journal.State(p.State)
	if state != journal.Done && state != journal.Failed && state != journal.Cancelled {
		return nil, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("state is %q: it must be done, failed or cancelled", p.State))
	}
	m, err := d.journal.Resolve(p.ID, journal.End{State: state, At: time.Now(), By: "a person", Note: p.Note})
	if wrong, ok := errors.AsType[*journal.StateError](err); ok {
		return nil, withID(coded(ipc.CodeUsage, "not-unknown", fmt.Errorf("message %s is %s: only one that is unknown can be resolved", p.ID, wrong.From)), p.ID)
	}
	if err != nil {
		return nil, d.lookupError(p.ID, err)
	}
	d.unhold(conversationOf(&m))
	return ipc.MessageState{ID: p.ID, State: p.State}, nil
}

// hold bars the conversation of a message that is unknown until somebody
// resolves it, which may have been done already. One that was for a single
// message has nothing more to bar.
func (d *Daemon) hold(m *delivery) {
	d.holding.Lock()
	defer d.holding.Unlock()
	now, err := d.journal.Message(m.new.ID)
	if !isFresh(m.key()) && (err != nil || now.State == journal.Unknown) {
		d.pool.Hold(m.key())
	}
}

// unhold lets a conversation go on unless another unknown message holds it.
func (d *Daemon) unhold(k pool.Key) {
	d.holding.Lock()
	defer d.holding.Unlock()
	for m, err := range d.journal.Unresolved() {
		if damage, ok := errors.AsType[*journal.DamageError](err); err != nil && (!ok || damage.ID == "") {
			d.log.Error("conversation stays held", "team", k.Team, "session", k.Session, "err", d.journalError(err))
			return
		}
		if err == nil && m.Holds() && conversationOf(&m) == k {
			return
		}
	}
	d.pool.Release(k)
}
