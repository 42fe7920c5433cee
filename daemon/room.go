package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"iris/daemon/journal"
	"iris/ipc"
)

// retryRoom is how often a full disk is tried again.
const retryRoom = time.Second

// room waits for a journal, or for agents, that have no room on their disk.
type room struct {
	mu    sync.Mutex
	found chan struct{} // closed when there is room again; nil while there is
	why   string
	doubt []string // messages that were refused, and may be on disk all the same
	spool string   // why the last agent was not started, when that was for want of room
}

func (r *room) agents(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spool = why
}

// journalError hands on what the journal said, and has done what that calls
// for: wait for room, or end the daemon.
func (d *Daemon) journalError(err error) error {
	if s, ok := errors.AsType[*journal.StoppedError](err); ok {
		if s.Full {
			d.needRoom(s)
		} else {
			d.fail(s)
		}
	}
	return err
}

// persist records something that is not to be lost, or reads what is needed for
// that. While the disk is full it waits, and tries again; any other error is
// handed on. f may be repeated.
func (d *Daemon) persist(f func() error) error { return d.persistUntil(d.patient, f) }

// persistUntil is persist for somebody who waits until ctx ends.
func (d *Daemon) persistUntil(ctx context.Context, f func() error) error {
	for {
		err := d.journalError(f())
		s, ok := errors.AsType[*journal.StoppedError](err)
		if !ok || !s.Full {
			return err
		}
		select {
		case <-d.opened:
		default: // nobody could be told what a daemon waits for that only comes up
			return err
		}
		select {
		case <-d.needRoom(s):
		case <-ctx.Done():
			return err
		case <-d.patient.Done():
			return err
		}
	}
}

// awaitOpen waits until the daemon is up, or ends without that, or ctx ends. Before,
// the recovery does not expect a turn to begin or to end, and nothing waits for room
// on the disk: what cannot be recorded then would be left to the next daemon.
func (d *Daemon) awaitOpen(ctx context.Context) {
	select {
	case <-d.opened:
	case <-d.serving.Done():
	case <-ctx.Done():
	}
}

// pause waits that long; false when ctx has ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// redispatch is Dispatch that may be repeated when its fate is open.
func redispatch(j *journal.Journal, id string, a journal.Attempt) error {
	_, err := j.Dispatch(id, a)
	if s, ok := errors.AsType[*journal.StateError](err); ok && s.From == journal.Running {
		if now, err := j.Message(id); err == nil && now.Last().At.Equal(a.At) {
			return nil
		}
	}
	return err
}

// requeue is Requeue that may be repeated when its fate is open.
func requeue(j *journal.Journal, id, why string) error {
	_, err := j.Requeue(id, why, time.Now())
	if s, ok := errors.AsType[*journal.StateError](err); ok && s.From == journal.Queued {
		return nil
	}
	return err
}

// notTaken has the journal know that the agent which a message was dispatched to
// has not taken it, if there is one. Until then its spool shows that. It waits for
// room on the disk until ctx ends. The caller holds mu.
func (m *delivery) notTaken(ctx context.Context, why string) error {
	if !m.running {
		return nil
	}
	err := m.d.persistUntil(ctx, func() error { return requeue(m.d.journal, m.new.ID, why) })
	if err != nil {
		return err
	}
	m.running = false
	m.needs("")
	if m.agent != nil {
		m.agent.Taken()
	}
	return nil
}

// notRecorded is what the sender of a message is told that was not accepted.
func (d *Daemon) notRecorded(id string, err error) *ipc.Error {
	s, stopped := errors.AsType[*journal.StoppedError](d.journalError(err))
	conflict, conflicts := errors.AsType[*journal.ConflictError](err)
	switch {
	case conflicts:
		e := coded(ipc.CodeConflict, "conflict", conflict)
		e.Data.Hint = "use another key, or send the same message to the same conversation"
		return e
	case errors.Is(err, journal.ErrClosed):
		return coded(ipc.CodeFull, "stopping", errors.New("the daemon is stopping"))
	case stopped && s.Full:
		d.room.mu.Lock()
		d.room.doubt = append(d.room.doubt, id)
		d.room.mu.Unlock()
		return coded(ipc.CodeFull, "disk-full", fmt.Errorf("the message was not accepted: %w", err))
	case stopped:
		return coded(ipc.CodeUnknown, "journal", fmt.Errorf("nobody knows whether the message was accepted: %w", err))
	}
	return coded(ipc.CodeFailed, "journal", err)
}

// needRoom returns what is closed when the journal serves again.
func (d *Daemon) needRoom(s *journal.StoppedError) <-chan struct{} {
	r := &d.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.found == nil {
		r.found, r.why = make(chan struct{}), s.Error()
		d.log.Error("the journal waits for room on its disk", "err", s)
		d.wg.Go(d.awaitRoom)
	}
	return r.found
}

// awaitRoom tries the journal until it serves again or the daemon ends.
func (d *Daemon) awaitRoom() {
	d.recent.close() // room that nobody needs
	tick := time.NewTicker(retryRoom)
	defer tick.Stop()
	for {
		select {
		case <-d.patient.Done():
			return
		case <-tick.C:
		}
		err := d.journal.Retry()
		if s, ok := errors.AsType[*journal.StoppedError](err); ok && !s.Full {
			d.fail(s)
			return
		}
		if err == nil {
			break
		}
	}
	d.log.Info("the journal has room again")
	r := &d.room
	r.mu.Lock()
	doubt := r.doubt
	close(r.found)
	r.found, r.why, r.doubt = nil, "", nil
	r.mu.Unlock()
	for _, id := range doubt {
		d.withdraw(id)
	}
}

// withdraw ends a message that its sender was told was not accepted.
func (d *Daemon) withdraw(id string) {
	if d.live.get(id) != nil {
		return
	}
	m, err := d.journal.Message(id)
	if err != nil || m.State.Ended() {
		return
	}
	e := journal.End{State: journal.Cancelled, At: time.Now(), By: "iris", Note: "its sender was told that it was not accepted"}
	if _, err := d.journal.End(id, e); err != nil {
		d.log.Error("message not withdrawn", "message", id, "err", d.journalError(err))
	}
}

// waitsForRoom says why nothing is accepted or started now, or nothing.
func (d *Daemon) waitsForRoom() string {
	d.room.mu.Lock()
	defer d.room.mu.Unlock()
	return cmp.Or(d.room.why, d.room.spool)
}

// fail ends the daemon, whose journal can no longer be trusted. Running turns
// are left to their agents, and what they say to the next daemon.
func (d *Daemon) fail(err error) {
	if d.fatal.CompareAndSwap(nil, &err) {
		d.log.Error("the daemon ends", "err", err)
		d.forceNow()
		d.quit()
	}
}
