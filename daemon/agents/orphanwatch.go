package agents

import (
	"context"
	"time"

	"iris/pool/claude"
)

const (
	orphanLook  = 10 * time.Second      // longest time between two looks at an orphan
	orphanPause = 50 * time.Millisecond // shortest time between two reads of its spool
	orphanRetry = time.Second           // after a failed read
	orphanShare = 20                    // reads take at most 1/20 of the time
)

// An orphanWatch watches an orphan. It settles the message as soon as the result is in the
// spool. It ends the agent with its tools orphan_grace after the end of the turn, when only
// background work is left, or when it has written nothing for orphan_timeout.
type orphanWatch struct {
	Orphan
	advance
	s *Supervisor

	readable  time.Time // earliest time of the next read of the spool
	settled   bool      // the message is settled
	stopTried bool      // it was told to end
}

// advance is the progress of an orphan, as its output shows it.
type advance struct {
	scan         claude.Scan
	written      int64
	at           time.Time // when new output was last seen
	unread       bool      // the end of its turn may be in the spool
	restingSince time.Time // since when it does nothing for a message; zero while it works
}

func newAdvance() advance { return advance{at: time.Now(), unread: true} }

// look checks whether the agent has written.
func (a *advance) look(l *claude.Orphan) {
	n := l.Written()
	if n == a.written {
		return
	}
	a.written, a.at = n, time.Now()
	news, err := a.scan.News(l)
	a.unread = a.unread || news || err != nil || !a.restingSince.IsZero() // it may rest because its turn has not begun
}

// noteRest notes whether the agent is at rest. An error means that this is not known.
func (a *advance) noteRest(resting bool, err error) {
	if a.unread = err != nil; a.unread {
		return
	}
	if !resting {
		a.restingSince = time.Time{}
	} else if a.restingSince.IsZero() {
		a.restingSince = time.Now()
	}
}

// run returns true when the agent is gone. If the daemon ends first, it leaves the agent to
// the next daemon, but ends an agent whose turn is over, unless another daemon follows at
// once.
func (w *orphanWatch) run(ctx context.Context) (gone bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	left := make(chan struct{})
	w.s.o.Goroutines.Go(func() {
		if w.Wait(ctx) == nil {
			close(left)
		}
	})
	grown := make(chan struct{}, 1)
	stop := w.Follow(w.s.Follower, func() {
		select {
		case grown <- struct{}{}:
		default:
		}
	})
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-left:
			return true
		case <-ctx.Done():
			if !w.restingSince.IsZero() && !w.stopTried && !w.s.o.HasSuccessor() {
				w.stop("its turn is over and the daemon ends")
			}
			return !w.Alive()
		case <-grown:
		case <-timer.C:
		}
		timer.Reset(w.step())
	}
}

// tellOwn reports the agent's own turns after its message. The agent is gone.
func (w *orphanWatch) tellOwn() {
	own, err := w.OwnTurns()
	if err != nil {
		w.s.o.Log.Warn("turns of an orphan's own not read", "process", w.Process, "err", err)
	}
	for i := range own {
		w.s.OwnTurn(w.Key, w.Process, &own[i])
	}
}

// step looks at the agent, and returns the longest time until the next step.
func (w *orphanWatch) step() time.Duration {
	w.look(&w.Orphan.Orphan)
	if w.unread && time.Until(w.readable) <= 0 {
		w.read()
	}
	due, why := w.due()
	if w.Bound() && !w.stopTried {
		due, why = time.Time{}, "its output fills the disk"
	}
	if left := time.Until(due); left > 0 {
		next := min(left, orphanLook)
		if w.unread {
			next = min(next, max(0, time.Until(w.readable)))
		}
		return next
	}
	w.stop(why)
	w.at, w.stopTried = time.Now(), true // even if it failed, wait before the next try
	return orphanLook
}

// stop ends the agent.
func (w *orphanWatch) stop(why string) {
	w.s.o.Log.Warn("an orphan is ended", "process", w.Process, "pid", w.PID, "why", why)
	if err := w.Stop(w.s.o.Config().StopGrace); err != nil {
		w.s.o.Log.Error("orphan not ended", "process", w.Process, "pid", w.PID, "err", err)
	}
}

// due returns when and why the agent is to be ended, unless it writes before.
func (w *orphanWatch) due() (at time.Time, why string) {
	cfg := w.s.o.Config()
	at, why = w.at.Add(cfg.OrphanTimeout), "it makes no progress"
	if w.restingSince.IsZero() || w.stopTried {
		return at, why
	}
	if grace := w.restingSince.Add(cfg.OrphanGrace); grace.Before(at) {
		return grace, "its turn is over"
	}
	return at, why
}

// read reads the spool, and settles the message if its turn is over.
func (w *orphanWatch) read() {
	begun := time.Now()
	resting, err := w.resting()
	pause := max(orphanPause, orphanShare*time.Since(begun))
	if err != nil {
		pause = orphanRetry
	}
	w.readable = time.Now().Add(pause)
	if w.noteRest(resting, err); err == nil && resting && (w.settled || w.Turn == nil) {
		w.s.Pool.Linger(w.Process)
	}
}

// resting reports whether the agent does nothing for a message.
func (w *orphanWatch) resting() (bool, error) {
	if w.Turn == nil {
		return w.AtRest()
	}
	if w.settled {
		return true, nil
	}
	ev, over, err := w.s.ReadSpool(w.Turn)
	if over {
		w.Settle()
		w.settled = true
	}
	return over || ev.NotBegun, err
}
