package delivery

import (
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

// Send answers message.send: it accepts the message, reports its id and position, and waits
// for the end. If the caller goes away, only the waiting ends.
func (d *Dispatcher) Send(ctx context.Context, c *ipc.Call) (any, error) {
	p, n, err := d.bind(c)
	if err != nil {
		return nil, err
	}
	out := &streamer{d: d, call: c}
	if p.Stream {
		out = d.newStreamer(c, p.Partial, p.Place)
		defer out.close()
	}
	m, st, err := d.accept(c, n, acceptOptions{ifIdle: p.IfBusy == "fail", waits: true, ownID: p.ID != "", opened: out.opened})
	if err != nil {
		return nil, err
	}
	if m == nil { // a message with the same key or id has ended already
		c.Notify(ipc.NotifyState, st)
		if p.Stream {
			out.id = st.ID
			out.rest()
		}
		return d.recall(st.ID, p.EnvKeys)
	}
	defer d.o.Approvals.Watch(c, p.Approvals, m.new.ID)()
	return d.answer(ctx, m, out, p.EnvKeys)
}

// Submit answers message.submit when the message is on disk.
func (d *Dispatcher) Submit(_ context.Context, c *ipc.Call) (any, error) {
	p, n, err := d.bind(c)
	if err != nil {
		return nil, err
	}
	_, st, err := d.accept(c, n, acceptOptions{ifIdle: p.IfBusy == "fail", ownID: p.ID != ""})
	if err != nil {
		return nil, err
	}
	return st, nil
}

// bind returns the parameters of a call that sends a message, and the record of that
// message.
func (d *Dispatcher) bind(c *ipc.Call) (p ipc.Send, n journal.New, err error) {
	if err = c.Bind(&p); err == nil {
		err = d.checkPermissionMode(c, &p.Options)
	}
	if err == nil {
		n, err = d.newMessage(&p)
	}
	return p, n, err
}

// answer waits for the end of a message and answers with it. Meanwhile out sends the output;
// if that fails, the answer still comes.
func (d *Dispatcher) answer(ctx context.Context, m *delivery, out *streamer, callerKeys []string) (any, error) {
	err := out.await(ctx, m)
	if _, unsent := errors.AsType[*outputError](err); unsent && ctx.Err() == nil {
		d.o.Log.Warn("output not sent", "message", m.new.ID, "err", err)
		mute := &streamer{d: d, call: out.call}
		err = mute.await(ctx, m)
	}
	if err != nil {
		d.o.Pool.Detach(m.new.ID)
		return nil, err
	}
	if m.end.err != nil {
		return nil, m.end.err
	}
	reply := d.reply(m.key(), m.new.ID, m.end.res, callerKeys)
	reply.Notice = m.end.notice
	return reply, nil
}

// acceptOptions says how a message is accepted.
type acceptOptions struct {
	ifIdle bool        // only if its conversation has nothing to do
	waits  bool        // the sender waits for the end
	ownID  bool        // the sender has made the id
	opened chan output // gets the output of each attempt; may be nil
}

// accept accepts a message, unless its sender has hung up: a sender that got no id must be
// able to rely on there being no message. The delivery is nil if a message with the same
// key or id has ended already.
func (d *Dispatcher) accept(c *ipc.Call, n journal.New, o acceptOptions) (*delivery, ipc.MessageState, error) {
	defer d.inflight.keys.lock(n.Options.Key)()
	defer d.inflight.ids.accepting.lock(n.ID)()
	found, err := d.find(n, o)
	if err != nil {
		return nil, ipc.MessageState{}, err
	}
	if found.Existing {
		return d.existing(c, &found, o.waits)
	}
	if err := d.checkSpace(); err != nil {
		return nil, ipc.MessageState{}, err
	}
	process, err := d.noteSender(c, &n)
	if err != nil {
		return nil, ipc.MessageState{}, err
	}
	n.Gone = c.Gone
	m := d.newDelivery(n)
	t := pool.Turn{IfIdle: o.ifIdle}
	m.eager = !o.waits // a sender that does not wait gets the id at once
	if o.opened != nil {
		m.attach(o.opened, 0)
	}
	if o.waits {
		t.Parent = process
		m.notify = func(s ipc.MessageState) { c.Notify(ipc.NotifyState, s) }
	}
	place, err := m.submit(t)
	if err != nil {
		return nil, ipc.MessageState{}, d.refusal(m, err)
	}
	st := d.queuedState(n.ID)
	if st.Position = place; place > 0 {
		m.notify(st)
	}
	m.heedLimit()
	return m, st, nil
}

// find returns the message that n repeats: it has the same key, or the sender sent it
// before with the same id and lost the daemon.
func (d *Dispatcher) find(n journal.New, o acceptOptions) (found journal.Accepted, err error) {
	if n.Options.Key != "" || o.ownID && d.onRecord(n.ID) {
		found, err = d.o.Store.Find(n)
	}
	switch {
	case errors.Is(err, journal.ErrExists), err == nil && !found.Existing && o.ownID && !d.inflight.ids.admit(n.ID, n.At):
		return found, d.otherID(n.ID)
	case err != nil:
		return found, d.o.Store.NotAccepted("", err)
	}
	return found, nil
}

// onRecord reports whether a message has that id. It also returns true if the message
// cannot be read.
func (d *Dispatcher) onRecord(id string) bool {
	_, err := d.o.Store.Message(id)
	return !errors.Is(err, journal.ErrNotFound)
}

// otherID refuses the id of a sender and offers another: the id does not sort by time, as
// after a clock change, or another message has it.
func (d *Dispatcher) otherID(id string) *ipc.Error {
	e := fault.New(ipc.CodeConflict, "other-id", fmt.Errorf("the id %s does not follow those on record", id))
	return fault.WithID(e, d.inflight.ids.next(time.Now()))
}

// refusal is the error for the sender of a message that the pool or the journal refused.
// It names no id, since nothing of the message is kept.
func (d *Dispatcher) refusal(m *delivery, err error) error {
	if e, ok := errors.AsType[*ipc.Error](err); ok {
		return e
	}
	return fault.Of(m.key(), "", err)
}

// existing answers for a message that find has found. The end of the wait for it is noted by
// answer.
func (d *Dispatcher) existing(c *ipc.Call, found *journal.Accepted, waits bool) (*delivery, ipc.MessageState, error) {
	st := ipc.MessageState{ID: found.ID, State: string(found.State), Existing: found.Options.Key != "" || found.Pruned}
	if found.Pruned && waits {
		err := fmt.Errorf("message %s with that key is %s, and its answer is no longer kept", found.ID, found.State)
		return nil, st, fault.WithID(fault.New(ipc.CodeNotFound, "pruned", err), found.ID)
	}
	m := d.inflight.live.get(found.ID)
	if m != nil && waits {
		if _, err := d.await(c, found.ID); err != nil {
			return nil, st, err
		}
		c.Notify(ipc.NotifyState, st)
	}
	return m, st, nil
}

// newMessage checks the parameters of a message, and makes its record.
func (d *Dispatcher) newMessage(p *ipc.Send) (journal.New, error) {
	var n journal.New
	body, err := bodyOf(p)
	if err != nil {
		return n, err
	}
	if err := checkOptions(p); err != nil {
		return n, err
	}
	k, err := d.key(p.Team, p.Session)
	if err != nil {
		return n, err
	}
	if err := conversation.CheckLasting(k); err != nil {
		return n, err
	}
	if err := d.checkVariant(k.Team, p); err != nil {
		return n, err
	}
	now := time.Now()
	n = journal.New{
		ID: p.ID, Team: k.Team, Session: k.Session, Body: body, At: now,
		Options: journal.Options{
			Key: p.Key, Fresh: p.Fresh, OnUnknown: p.OnUnknown, Origin: p.Origin, Blocks: len(p.Content) > 0, NoWait: p.NoWait, OnLimit: p.OnLimit,
			Spare: p.Spare,
		},
	}
	if p.ID == "" {
		n.ID = d.inflight.ids.next(now)
	}
	if p.Fresh {
		n.Session = conversation.FreshPrefix + n.ID
	}
	if p.Options != (turn.Variant{}) {
		v := p.Options
		n.Options.Variant = &v
	}
	if p.TTL > 0 {
		n.Options.Deadline = now.Add(time.Duration(p.TTL) * time.Millisecond)
	}
	return n, nil
}

// large is the size above which the memory of a text is given back afterwards.
const large = 64 << 10

// count adds an ended turn to the totals.
func (d *Dispatcher) count(size int64, res *turn.Result) {
	if size > large || res != nil && len(res.Text) > large {
		d.o.Tidy()
	}
	if res != nil {
		d.inflight.messages.Add(1)
		d.inflight.costs.Add(int64(res.CostUSD*1e6 + 0.5))
	}
}
