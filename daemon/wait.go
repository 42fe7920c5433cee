package daemon

import (
	"context"
	"fmt"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// wait answers message.wait with the first of some messages that has ended. In
// the place of one that was sent again the other one is waited for.
func (d *Daemon) wait(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Wait
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if len(p.IDs) == 0 || len(p.IDs) > maxPage {
		return nil, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("%d ids to wait for: there must be 1 to %d", len(p.IDs), maxPage))
	}
	defer d.watchApprovals(c, p.Approvals, p.IDs...)()
	w := waiter{d: d, call: c, approvals: p.Approvals, ended: make(chan string, 2*len(p.IDs)), asked: map[string]string{}}
	defer w.stop()
	for _, id := range p.IDs {
		if !w.watch(id) {
			return w.answer(ctx, id)
		}
	}
	for {
		select {
		case id := <-w.ended:
			if !w.watch(id) { // else another one runs in its place
				return w.answer(ctx, id)
			}
		case <-d.left:
			return d.comeBack(ctx, leftError(d.keyOf(p.IDs[0]), p.IDs[0]))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// A waiter is the wait of one call.
type waiter struct {
	d         *Daemon
	call      *ipc.Call
	approvals bool
	ended     chan string       // ids; has room for each message and for the one in its place
	asked     map[string]string // by the message in its place, the one that was asked for
	undo      []func()
}

// watch has the end of a message noticed, or that of the one in its place. It
// reports false when that is not live.
func (w *waiter) watch(id string) bool {
	m := w.d.live.watch(id, w.ended)
	if m == nil {
		now := w.d.standIn(id)
		if now == id {
			return false
		}
		w.asked[now] = id
		if m = w.d.live.watch(now, w.ended); m == nil {
			return false
		}
		w.undo = append(w.undo, w.d.watchApprovals(w.call, w.approvals, now))
	}
	w.undo = append(w.undo, func() { w.d.live.unwatch(m, w.ended) })
	st := w.d.stateOf(m)
	st.InsteadOf = w.asked[m.new.ID]
	w.call.Notify(ipc.NotifyState, st)
	return true
}

// answer is the end of a message, or that of the one in its place.
func (w *waiter) answer(ctx context.Context, id string) (any, error) {
	st, err := w.d.endedState(ctx, w.d.standIn(id))
	if s, ok := st.(ipc.MessageState); ok {
		s.InsteadOf = w.asked[s.ID]
		return s, err
	}
	return st, err
}

func (w *waiter) stop() {
	for _, undo := range w.undo {
		undo()
	}
}

// standIn returns the message that was sent in the place of one that nobody can
// prove the end of, as its sender wished (on_unknown = retry); the id itself when
// there is none. There is one at most, and none for it.
func (d *Daemon) standIn(id string) string {
	m, err := d.journal.Message(id)
	if err != nil || m.State != journal.Unknown || m.Options.OnUnknown != "retry" {
		return id
	}
	for other, err := range d.journal.List(journal.Filter{Team: m.Team, After: id}) {
		if err == nil && other.Options.RetryOf == id {
			return other.ID
		}
	}
	return id
}

// instead tells a client that from now on another message is waited for.
func (d *Daemon) instead(c *ipc.Call, id, now string) {
	st := ipc.MessageState{ID: now}
	if m := d.live.get(now); m != nil {
		st = d.stateOf(m)
	} else if m, err := d.journal.Message(now); err == nil {
		st.State = string(m.State)
	}
	st.InsteadOf = id
	c.Notify(ipc.NotifyState, st)
}

// keyOf is the conversation of a live message.
func (d *Daemon) keyOf(id string) pool.Key {
	if m := d.live.get(id); m != nil {
		return m.key()
	}
	return pool.Key{}
}
