package store

import (
	"context"
	"fmt"
	"time"

	"iris/daemon/journal"
)

const (
	pruneFirst = time.Minute // after the start, when the first messages have had their turn
	pruneEvery = 24 * time.Hour

	pruneSpan  = 72 * time.Hour   // since the last prune: longer, and the clock may be wrong
	clockStep  = 10 * time.Minute // by which it was set ahead: likewise
	pruneTrust = 20 * time.Hour   // until it is believed; the prune of the next day comes after that
	pruneDoubt = 30 * pruneEvery  // since the wait began: longer, and it begins anew
)

// Maintain reads the whole journal once, to find damage before somebody needs what is
// damaged, and removes what is older than retention each day, which it asks for then. It
// calls done after each time, and returns when ctx ends.
func (s *Store) Maintain(ctx context.Context, retention func() time.Duration, done func()) {
	timer := time.NewTimer(pruneFirst)
	defer timer.Stop()
	last := readClock()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(pruneEvery)
		if first {
			s.checkJournal()
		}
		keep := retention()
		now := readClock()
		if err := s.prune(now.wall, now.step(last), keep); err != nil {
			s.Log.Error("journal not pruned", "err", s.Heed(err))
		}
		last = now
		done()
	}
}

// prune removes what is older than keep by a clock that says now and was set
// ahead by step since it was last looked at. Where it may be wrong this waits for a
// day: a key that is forgotten has its message run again.
func (s *Store) prune(now time.Time, step, keep time.Duration) error {
	times, err := s.Journal.PruneTimes()
	if err != nil {
		return err
	}
	times = judge(times, now, step)
	s.pruned.Store(&times)
	if err := s.Journal.SetPruneTimes(times); err != nil {
		return err
	}
	if !times.Since.IsZero() {
		s.Log.Warn("journal not pruned yet", "since", times.Since, "why", times.Why)
		return nil
	}
	before := now.Add(-keep)
	p, err := s.Journal.Prune(before, before)
	if p.Messages+p.Keys+p.Owns > 0 {
		s.Log.Info("journal pruned", "messages", p.Messages, "keys", p.Keys, "own_turns", p.Owns)
	}
	return err
}

// judge returns what is to be on record now: with Since set the journal is not to
// be pruned.
func judge(t journal.PruneTimes, now time.Time, step time.Duration) journal.PruneTimes {
	pause, waited := now.Sub(t.Last), now.Sub(t.Since)
	waits := waited >= 0 && waited <= pruneDoubt
	switch {
	case step > clockStep:
		t.Since, t.Why = now, fmt.Sprintf("the clock was set ahead by %v", step.Round(time.Minute))
	case waits && waited >= pruneTrust:
		return journal.PruneTimes{Last: now}
	case waits:
	case t.Last.IsZero():
		t.Since, t.Why = now, "nobody has noted when it was pruned last"
	case pause > pruneSpan:
		t.Since, t.Why = now, fmt.Sprintf("the clock is %d days after the last time", int(pause.Hours()/24))
	default:
		return journal.PruneTimes{Last: now}
	}
	return t
}

// PruneWarnings are what status says while old messages are kept. A clock that is
// back before the wait began was wrong then, and nothing waits any more. A journal
// that is new, or was written by an earlier iris, is no matter for a warning.
func (s *Store) PruneWarnings(now time.Time) []string {
	t := s.pruned.Load()
	if t == nil || t.Since.IsZero() || t.Last.IsZero() || now.Before(t.Since) {
		return nil
	}
	return []string{fmt.Sprintf("old messages and keys are kept for a day longer: %s, and may be wrong", t.Why)}
}

// clock is the time of day, and the time since the machine's start, which nobody
// sets.
type clock struct {
	wall time.Time
	up   time.Duration
}

func readClock() clock { return clock{time.Now().Round(0), uptime()} } // Round: without the monotonic time

// step is how far the clock was set ahead after last.
func (c clock) step(last clock) time.Duration { return c.wall.Sub(last.wall) - (c.up - last.up) }

// checkJournal reports what is damaged, in the log and by status.
func (s *Store) checkJournal() {
	if err := s.Journal.Check(); err != nil {
		why := err.Error()
		s.damage.Store(&why)
		s.Log.Error("journal is damaged", "err", err)
	}
}

// Damage says what is damaged in the journal; empty when nothing is known to be.
func (s *Store) Damage() string {
	if why := s.damage.Load(); why != nil {
		return *why
	}
	return ""
}
