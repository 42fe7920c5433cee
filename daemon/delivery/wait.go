package delivery

import (
	"context"
	"fmt"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

// Wait answers message.wait with the first of some messages that has ended.
func (d *Dispatcher) Wait(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Wait
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if len(p.IDs) == 0 || len(p.IDs) > maxPage {
		return nil, fault.New(ipc.CodeUsage, "bad-option", fmt.Errorf("%d ids to wait for: there must be 1 to %d", len(p.IDs), maxPage))
	}
	defer d.o.Approvals.Watch(c, p.Approvals, p.IDs...)()
	news := make(chan string, 2*len(p.IDs))
	for _, id := range p.IDs {
		d.findLive(id) // which waits for one that is about to be
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
			m := d.inflight.live.watch(id, news) // perhaps for another attempt by now
			if m == nil {
				return d.endedState(ctx, id)
			}
			defer d.inflight.live.unwatch(m, news)
			c.Notify(ipc.NotifyState, d.stateOf(m))
		case <-d.o.TurnsLeft:
			return d.reconnectLater(ctx, fault.Left(d.keyOf(p.IDs[0]), p.IDs[0]))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// findLive returns a message that is queued or running, nil for another one. One that is
// about to have another attempt is waited for.
func (d *Dispatcher) findLive(id string) *delivery {
	if m := d.inflight.live.get(id); m != nil {
		return m
	}
	d.inflight.ids.accepting.lock(id)()
	return d.inflight.live.get(id)
}

// keyOf is the conversation of a live message.
func (d *Dispatcher) keyOf(id string) pool.Key {
	if m := d.inflight.live.get(id); m != nil {
		return m.key()
	}
	return pool.Key{}
}
