package daemon

import (
	"context"
	"errors"
	"log/slog"

	"iris/ipc"
	"iris/pool"
)

func wireEvent(e pool.Event) ipc.Event {
	return ipc.Event{
		Seq: e.Seq, Time: e.Time, Type: string(e.Type), Team: e.Key.Team, Session: e.Key.Session,
		Process: e.Process, PID: e.PID, Message: e.Message, Detail: e.Detail, Total: e.Total, Max: e.Max,
	}
}

func (d *Daemon) kept(after uint64) ipc.EventList {
	events, last, missed := d.pool.Events(after)
	list := ipc.EventList{Events: make([]ipc.Event, 0, len(events)), Last: last, Missed: missed}
	for _, e := range events {
		list.Events = append(list.Events, wireEvent(e))
	}
	return list
}

func (d *Daemon) events(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Since
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	return d.kept(p.After), nil
}

// logEvents writes what happens in the pool to the log.
func (d *Daemon) logEvents(ctx context.Context) {
	sub := d.pool.Subscribe(d.logged.Load())
	defer sub.Close()
	for {
		e, err := sub.Next(ctx)
		if err != nil {
			return
		}
		d.logged.Store(e.Seq)
		level := slog.LevelInfo
		switch e.Type {
		case pool.HealthCheck, pool.MessageQueued, pool.MessageSent, pool.MessageResponse:
			level = slog.LevelDebug
		case pool.ProcessError, pool.ProcessStalled:
			level = slog.LevelWarn
		}
		d.log.Log(ctx, level, string(e.Type), "seq", e.Seq, "team", e.Key.Team, "session", e.Key.Session,
			"process", e.Process, "pid", e.PID, "message", e.Message, "detail", e.Detail)
	}
}

// subscribe streams events until the client goes, or until it reads too slowly
// and is told what it has seen last.
func (d *Daemon) subscribe(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Since
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	sub := d.pool.Subscribe(p.After)
	defer sub.Close()
	last := p.After
	for {
		e, err := sub.Next(ctx)
		if errors.Is(err, pool.ErrSlow) {
			return ipc.Gap{Last: last}, nil
		}
		if errors.Is(err, pool.ErrClosed) {
			return nil, coded(ipc.CodeDaemon, "stopping", errors.New("the daemon has stopped"))
		}
		if err != nil {
			return nil, err
		}
		if err := c.NotifyWait(ipc.NotifyEvent, wireEvent(e)); err != nil {
			return nil, err
		}
		last = e.Seq
	}
}
