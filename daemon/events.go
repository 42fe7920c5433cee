package daemon

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
)

func wireEvent(e pool.Event) ipc.Event {
	return ipc.Event{
		Seq: e.Seq, Time: e.Time, Type: string(e.Type), Team: e.Key.Team, Session: e.Key.Session,
		Process: e.Process, PID: e.PID, Message: e.Message, Detail: e.Detail, Total: e.Total, Max: e.Max,
		From: e.Sender.From, FromMessage: e.Sender.Message, Depth: e.Sender.Depth,
		Account: e.Account, Until: ipc.Moment(e.Until),
	}
}

func (d *Daemon) events(_ context.Context, c *ipc.Call) (any, error) {
	p, err := d.eventQuery(c)
	if err != nil {
		return nil, err
	}
	events, last, missed := d.pool.Events(p.After)
	list := ipc.EventList{Stream: d.program.prefix, After: last, Missed: missed, Events: []ipc.Event{}, Last: last}
	if len(events) > 0 {
		list.After = events[0].Seq - 1
	}
	for _, e := range events {
		if w := wireEvent(e); p.Wants(&w) {
			list.Events = append(list.Events, w)
		}
	}
	return list, nil
}

// eventQuery reads which events are wanted. A Seq from another daemon means the beginning.
// A team that is no longer in the configuration may still have events.
func (d *Daemon) eventQuery(c *ipc.Call) (ipc.EventQuery, error) {
	var p ipc.EventQuery
	if err := c.Bind(&p); err != nil {
		return p, err
	}
	if p.Stream != "" && p.Stream != d.program.prefix {
		p.After = 0
	}
	if p.Team == "" {
		return p, nil
	}
	k, err := d.key(p.Team, "")
	switch {
	case err == nil:
		p.Team = k.Team
	case !d.hasEventsOf(p.Team):
		return p, err
	}
	return p, nil
}

// hasEventsOf reports whether an event of this team is still kept.
func (d *Daemon) hasEventsOf(team string) bool {
	events, _, _ := d.pool.Events(0)
	return slices.ContainsFunc(events, func(e pool.Event) bool { return e.Key.Team == team })
}

// followEvents writes the events of the pool to the log, and has notify commands run for
// them, until ctx ends.
func (d *Daemon) followEvents(ctx context.Context) {
	for {
		sub := d.pool.Subscribe(d.logged.Load())
		if sub.Missed > 0 {
			d.log.Warn("events came too fast, so they are not in the log, and notify is not run", "events", sub.Missed)
		}
		err := d.follow(ctx, sub)
		sub.Close()
		if !errors.Is(err, pool.ErrSlow) {
			return
		}
	}
}

// follow is followEvents until a subscription ends.
func (d *Daemon) follow(ctx context.Context, sub *pool.Subscription) error {
	for {
		e, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		d.notify.Take(wireEvent(e))
		d.logEvent(ctx, &e)
		d.logged.Store(e.Seq)
	}
}

// takeEvents has notify commands run for events that followEvents may not have read yet.
func (d *Daemon) takeEvents(events []pool.Event) {
	for _, e := range events {
		d.notify.Take(wireEvent(e))
	}
}

func (d *Daemon) logEvent(ctx context.Context, e *pool.Event) {
	level := slog.LevelInfo
	switch e.Type {
	case pool.HealthCheck, pool.MessageQueued, pool.MessageSent, pool.MessageResponse, pool.MessageEnded:
		level = slog.LevelDebug
	case pool.ProcessError, pool.ProcessStalled:
		level = slog.LevelWarn
	}
	d.log.Log(ctx, level, string(e.Type), "seq", e.Seq, "team", e.Key.Team, "session", e.Key.Session,
		"process", e.Process, "pid", e.PID, "message", e.Message, "detail", e.Detail)
}

// subscribe streams events until the client goes. If the client reads too slowly, it ends
// with the Seq of the last event that was sent or filtered out.
func (d *Daemon) subscribe(ctx context.Context, c *ipc.Call) (any, error) {
	p, err := d.eventQuery(c)
	if err != nil {
		return nil, err
	}
	sub := d.pool.Subscribe(p.After)
	defer sub.Close()
	last := sub.After()
	if err := c.NotifyWait(ipc.NotifyBegin, ipc.Begin{Stream: d.program.prefix, After: last, Missed: sub.Missed}); err != nil {
		return nil, err
	}
	var lines ipc.Notice
	for {
		e, err := sub.Next(ctx)
		if errors.Is(err, pool.ErrSlow) {
			return ipc.Gap{Last: last}, nil
		}
		if errors.Is(err, pool.ErrClosed) {
			return nil, fault.New(ipc.CodeDaemon, "stopping", errors.New("the daemon has stopped"))
		}
		if err != nil {
			return nil, err
		}
		if lines, last, err = d.batch(lines[:0], sub, e, &p); err == nil && len(lines) > 0 {
			err = c.SendWait(lines)
		}
		if err != nil {
			return nil, err
		}
		if len(lines) < maxBatch {
			sub.Rest(ctx, eventPause)
		}
	}
}

// A follower gets the events in batches: one write wakes it for all that came in a pause.
const (
	eventPause = 50 * time.Millisecond
	maxBatch   = 64 << 10 // bytes, roughly
)

// batch appends the notifications of e and the events behind it that a query wants, and
// returns the Seq of the last event that it has looked at.
func (d *Daemon) batch(lines ipc.Notice, sub *pool.Subscription, e pool.Event, q *ipc.EventQuery) (_ ipc.Notice, last uint64, err error) {
	for more := true; more; {
		w, line, err := d.notices.of(e)
		if err != nil {
			return nil, last, err
		}
		if last = e.Seq; q.Wants(&w) {
			lines = append(lines, line...)
		}
		if more = len(lines) < maxBatch; more {
			e, more = sub.Ready()
		}
	}
	return lines, last, nil
}

// notices are the newest events as they are sent: each is encoded once for all followers.
type notices struct {
	mu   sync.Mutex
	last [64]notice // by Seq
}

type notice struct {
	event ipc.Event
	line  ipc.Notice
}

func (n *notices) of(e pool.Event) (ipc.Event, ipc.Notice, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	at := &n.last[e.Seq%uint64(len(n.last))]
	if at.event.Seq != e.Seq {
		w := wireEvent(e)
		line, err := ipc.AppendNotice(nil, ipc.NotifyEvent, w)
		if err != nil {
			return w, nil, err
		}
		*at = notice{w, line}
	}
	return at.event, at.line, nil
}
