package store

import (
	"context"
	"fmt"
	"time"

	"iris/daemon/journal"
)

const (
	pruneFirst = time.Minute // after the start, so that the first messages come first
	pruneEvery = 24 * time.Hour

	pruneSpan  = 72 * time.Hour   // if the last prune is longer ago, the clock may be wrong
	clockStep  = 10 * time.Minute // if the clock was set ahead by more, it may be wrong
	pruneTrust = 20 * time.Hour   // after this wait the clock is trusted; the next daily prune comes later
	pruneDoubt = 30 * pruneEvery  // a wait that began longer ago begins again
)

// Maintain reads the whole journal once, to find damage before a caller needs the damaged
// record. Each day it calls retention, removes older records, gives space back to the disk
// and calls done. It returns when ctx ends.
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
		if err := s.prune(ctx, now.wall, now.step(last), keep); err != nil && ctx.Err() == nil {
			s.Log.Error("journal not pruned", "err", s.Heed(err))
		}
		if err := s.compact(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("journal not compacted", "err", s.Heed(err))
		}
		last = now
		done()
	}
}

// prune removes records older than keep. now is the clock's time; step is how far the clock
// was set ahead since the last call. If the clock may be wrong, prune waits for a day: if a
// key is forgotten too early, its message could run again.
func (s *Store) prune(ctx context.Context, now time.Time, step, keep time.Duration) error {
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
	p, err := s.Journal.Prune(ctx, before, before)
	if p != (journal.Pruned{}) {
		s.Log.Info("journal pruned", "messages", p.Messages, "keys", p.Keys, "own_turns", p.Owns, "agents", p.Agents)
	}
	if err != nil {
		return err
	}
	return s.o.OnPruned(now, keep)
}

// compact gives the disk back what the journal does not need.
func (s *Store) compact(ctx context.Context) error {
	if s.Damage() != "" {
		return nil
	}
	freed, err := s.Compact(ctx)
	if freed > 0 {
		s.Log.Info("journal compacted", "bytes", freed)
	}
	return err
}

// judge returns the prune times to record now. If Since is set, the journal must not be
// pruned yet.
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

// PruneWarnings returns the warning of status while old messages are kept. There is none if
// the clock is back before the start of the wait: it was wrong then, and the wait is over.
// There is none either for a journal that is new or from an earlier version of iris.
func (s *Store) PruneWarnings(now time.Time) []string {
	t := s.pruned.Load()
	if t == nil || t.Since.IsZero() || t.Last.IsZero() || now.Before(t.Since) {
		return nil
	}
	return []string{fmt.Sprintf("old messages and keys are kept for a day longer: %s, and may be wrong", t.Why)}
}

// clock is the time of day, and the time since the machine's start, which cannot be set.
type clock struct {
	wall time.Time
	up   time.Duration
}

func readClock() clock { return clock{time.Now().Round(0), uptime()} } // Round removes the monotonic time

// step is how far the clock was set ahead after last.
func (c clock) step(last clock) time.Duration { return c.wall.Sub(last.wall) - (c.up - last.up) }

// checkJournal reports damage of the journal in the log and in status.
func (s *Store) checkJournal() {
	if err := s.Journal.Check(); err != nil {
		why := err.Error()
		s.damage.Store(&why)
		s.Log.Error("journal is damaged", "err", err)
	}
}

// Damage describes the known damage of the journal; empty if there is none.
func (s *Store) Damage() string {
	if why := s.damage.Load(); why != nil {
		return *why
	}
	return ""
}
