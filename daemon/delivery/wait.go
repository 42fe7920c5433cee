package delivery

import (
	"context"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// Wait answers message.wait when the first of the messages has ended.
func (d *Dispatcher) Wait(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Wait
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if len(p.IDs) == 0 || len(p.IDs) > maxPage {
		return nil, fault.BadOption("%d ids to wait for: there must be 1 to %d", len(p.IDs), maxPage)
	}
	if len(p.IDs) == 1 { // of several, the others may end the wait
		stop, err := d.await(c, p.IDs[0])
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	defer d.o.Approvals.Watch(c, p.Approvals, p.IDs...)()
	news := make(chan string, 2*len(p.IDs))
	for _, id := range p.IDs {
		d.findLive(id) // waits for a message that is being accepted
		m := d.inflight.live.watch(id, news)
		if m == nil {
			return d.endedState(ctx, id)
		}
		defer d.inflight.live.unwatch(m, news)
		c.Notify(ipc.NotifyState, d.stateOf(m))
	}
	for {
		select {
		case id := <-news:
			m := d.inflight.live.watch(id, news) // the message may have another attempt by now
			if m == nil {
				return d.endedState(ctx, id)
			}
			defer d.inflight.live.unwatch(m, news)
			c.Notify(ipc.NotifyState, d.stateOf(m))
		case <-d.o.TurnsLeft:
			return nil, d.reconnectLater(ctx, fault.Left(d.keyOf(p.IDs[0]), p.IDs[0]))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// reconnectLater is the error for a client whose message goes on without this daemon. If
// another daemon follows, the client is not told: it is cut off, and asks that daemon.
func (d *Dispatcher) reconnectLater(ctx context.Context, err error) error {
	if d.o.HasSuccessor() {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// findLive returns a queued or running message, nil if it is neither. It waits for a
// message that is being accepted or queued again.
func (d *Dispatcher) findLive(id string) *delivery {
	if m := d.inflight.live.get(id); m != nil {
		return m
	}
	d.inflight.ids.accepting.lock(id)()
	return d.inflight.live.get(id)
}

// keyOf returns the conversation of a live message.
func (d *Dispatcher) keyOf(id string) pool.Key {
	if m := d.inflight.live.get(id); m != nil {
		return m.key()
	}
	return pool.Key{}
}
