package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
)

// RetrySpace is the time between two tries on a full disk.
const RetrySpace = time.Second

// Options is what a Store needs from the daemon.
type Options struct {
	Opened  <-chan struct{} // closed when the daemon is up; before that, nothing waits for space
	Go      func(f func())  // runs f on a goroutine that the daemon waits for
	OnFull  func()          // frees space on the disk that is not needed
	OnFatal func()          // ends the daemon

	// OnPruned is called when old messages were removed, since the clock can be trusted, with
	// the time and how long they are kept.
	OnPruned func(now time.Time, keep time.Duration) error
	IsLive   func(id string) bool // reports whether a message is queued or running
}

// A Store is a journal whose users wait while its disk is full. Set Journal and Log
// before calling anything else.
type Store struct {
	*journal.Journal
	Log *slog.Logger

	o       Options
	waiting context.Context // ends when waiting for space must end
	stop    context.CancelFunc
	fatal   atomic.Pointer[error] // why the journal ends the daemon; nil while it does not

	damage atomic.Pointer[string]             // what Check found
	pruned atomic.Pointer[journal.PruneTimes] // nil before the first prune

	mu     sync.Mutex    // protects the fields below
	found  chan struct{} // closed when there is space again; nil while the disk is not full
	why    string        // why the journal waits for space; empty if it does not
	doubt  []string      // messages that were refused, but may be on disk
	agents string        // why the last agent was not started, if for lack of space
}

// New returns a Store without its journal.
func New(o Options) *Store {
	s := &Store{o: o}
	s.waiting, s.stop = context.WithCancel(context.Background())
	return s
}

// StopWaiting ends every wait for space, including later ones.
func (s *Store) StopWaiting() { s.stop() }

// Waiting is the context of waits for space.
func (s *Store) Waiting() context.Context { return s.waiting }

// Fatal is why the journal ends the daemon; nil while it does not.
func (s *Store) Fatal() error {
	if err := s.fatal.Load(); err != nil {
		return *err
	}
	return nil
}

// SetFatal sets why the daemon ends, unless that is set, and reports whether it did.
func (s *Store) SetFatal(err error) bool { return s.fatal.CompareAndSwap(nil, &err) }

// Fail ends the daemon, which can no longer record anything. Running turns are left
// to their agents, and their answers to the next daemon. The first reason stays.
func (s *Store) Fail(err error) {
	if s.SetFatal(err) {
		s.Log.Error("the daemon ends", "err", err)
		s.o.OnFatal()
	}
}

// Heed acts on an error of the journal and returns it: it waits for space in the
// background, or ends the daemon.
func (s *Store) Heed(err error) error {
	if stopped, ok := errors.AsType[*journal.StoppedError](err); ok {
		if stopped.Full {
			s.space(stopped)
		} else {
			s.Fail(stopped)
		}
	}
	return err
}

// Persist makes a change that must not be lost, or a read that such a change needs.
// While the disk is full it waits and tries again; any other error is returned. f may
// run more than once.
func (s *Store) Persist(f func() error) error { return s.PersistUntil(s.waiting, f) }

// PersistUntil is Persist for a caller that waits until ctx ends.
func (s *Store) PersistUntil(ctx context.Context, f func() error) error {
	for {
		err := s.Heed(f())
		stopped, ok := errors.AsType[*journal.StoppedError](err)
		if !ok || !stopped.Full {
			return err
		}
		select {
		case <-s.o.Opened:
		default: // while the daemon starts, no client could see what it waits for
			return err
		}
		select {
		case <-s.space(stopped):
		case <-ctx.Done():
			return err
		case <-s.waiting.Done():
			return err
		}
	}
}

// NotAccepted is the error for the sender of a message that the journal did not
// accept.
func (s *Store) NotAccepted(id string, err error) *ipc.Error {
	stopped, isStopped := errors.AsType[*journal.StoppedError](s.Heed(err))
	conflict, conflicts := errors.AsType[*journal.ConflictError](err)
	switch {
	case conflicts:
		e := fault.New(ipc.CodeConflict, "conflict", conflict)
		e.Data.Hint = "use another key, or send the same message to the same conversation"
		return e
	case errors.Is(err, journal.ErrGone):
		return fault.New(ipc.CodeCancelled, "cancelled", errors.New("the message was not accepted: its sender has hung up"))
	case errors.Is(err, journal.ErrClosed):
		return fault.New(ipc.CodeFull, "stopping", errors.New("the daemon is stopping"))
	case isStopped && stopped.Full:
		s.mu.Lock()
		s.doubt = append(s.doubt, id)
		s.mu.Unlock()
		return fault.New(ipc.CodeFull, "disk-full", fmt.Errorf("the message was not accepted: %w", err))
	case isStopped:
		return fault.New(ipc.CodeUnknown, "journal", fmt.Errorf("nobody knows whether the message was accepted: %w", err))
	}
	return fault.New(ipc.CodeFailed, "journal", err)
}

// LookupError is the error for a caller that asks for a message that cannot be read.
func (s *Store) LookupError(id string, err error) *ipc.Error {
	if errors.Is(err, journal.ErrNotFound) {
		return fault.NoMessage(id)
	}
	return fault.WithID(fault.New(ipc.CodeFailed, "journal", s.Heed(err)), id)
}

// WaitsFor says why messages are not accepted or agents not started now; empty if they are.
func (s *Store) WaitsFor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.why, s.agents)
}

// Refuses says why messages are not accepted now; empty if they are.
func (s *Store) Refuses() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.why
}

// AgentWarnings returns the warning of status while agents are not started.
func (s *Store) AgentWarnings() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.agents == "" {
		return nil
	}
	return []string{"no agent is started: " + s.agents}
}

// AgentsWait records why the last agent was not started for lack of space or descriptors;
// empty if it was started.
func (s *Store) AgentsWait(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.agents = why
}

// space returns a channel that is closed when the journal serves again.
func (s *Store) space(why *journal.StoppedError) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found == nil {
		s.found, s.why = make(chan struct{}), why.Error()
		s.Log.Error("the journal waits for room on its disk", "err", why)
		s.o.Go(s.waitForSpace)
	}
	return s.found
}

// waitForSpace tries the journal until it serves again or StopWaiting.
func (s *Store) waitForSpace() {
	s.o.OnFull()
	tick := time.NewTicker(RetrySpace)
	defer tick.Stop()
	for {
		select {
		case <-s.waiting.Done():
			return
		case <-tick.C:
		}
		err := s.Journal.Retry()
		if stopped, ok := errors.AsType[*journal.StoppedError](err); ok && !stopped.Full {
			s.Fail(stopped)
			return
		}
		if err == nil {
			break
		}
	}
	s.Log.Info("the journal has room again")
	s.mu.Lock()
	doubt := s.doubt
	close(s.found)
	s.found, s.why, s.doubt = nil, "", nil
	s.mu.Unlock()
	for _, id := range doubt {
		s.withdraw(id)
	}
}

// withdraw ends a message whose sender was told that it was not accepted.
func (s *Store) withdraw(id string) {
	if s.o.IsLive(id) {
		return
	}
	m, err := s.Message(id)
	if err != nil || m.State.Ended() {
		return
	}
	e := journal.End{State: journal.Cancelled, At: time.Now(), By: "iris", Note: "its sender was told that it was not accepted"}
	if _, err := s.End(id, e); err != nil {
		s.Log.Error("message not withdrawn", "message", id, "err", s.Heed(err))
	}
}

// Requeue puts back a message that no agent has taken, with the reason. Repeat it if its
// result is unknown.
func (s *Store) Requeue(id, why string) error {
	_, err := s.Journal.Requeue(id, why, time.Now())
	if wrong, ok := errors.AsType[*journal.StateError](err); ok && wrong.From == journal.Queued {
		return nil
	}
	return err
}

// Dispatch records an attempt of a message. Repeat it if its result is unknown.
func (s *Store) Dispatch(id string, a journal.Attempt) error {
	_, err := s.Journal.Dispatch(id, a)
	if wrong, ok := errors.AsType[*journal.StateError](err); ok && wrong.From == journal.Running {
		if now, err := s.Message(id); err == nil && now.Last().At.Equal(a.At) {
			return nil
		}
	}
	return err
}

// Reattempt queues an unknown message for another attempt, and returns it. Repeat it
// if its result is unknown, provided that c names a Request.
func (s *Store) Reattempt(id string, c journal.Change) (journal.Message, error) {
	m, err := s.Journal.Reattempt(id, c)
	if wrong, ok := errors.AsType[*journal.StateError](err); ok && wrong.From == journal.Queued {
		if now, err := s.Message(id); err == nil && now.Requested(c.Request) {
			return now, nil
		}
	}
	return m, err
}
