package store

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"iris/daemon/journal"
)

// opened returns a Store with a new journal.
func opened(t *testing.T) *Store {
	t.Helper()
	s := New(Options{})
	s.Log = slog.New(slog.DiscardHandler)
	var err error
	if s.Journal, err = journal.Open(filepath.Join(t.TempDir(), "journal")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const day = 24 * time.Hour

// look prunes at a time of day and reports whether the key of a message that ended at the
// start is still known.
func look(t *testing.T, s *Store, n journal.New, now time.Time, step time.Duration) bool {
	t.Helper()
	if err := s.prune(now, step, journal.Retention); err != nil {
		t.Fatal(err)
	}
	n.ID = "other"
	found, err := s.Find(n)
	if err != nil {
		t.Fatal(err)
	}
	return found.Existing
}

func keyed(t *testing.T, s *Store, now time.Time) journal.New {
	t.Helper()
	n := journal.New{ID: "m1", Team: "api", Body: []byte("x"), At: now, Options: journal.Options{Key: "k"}}
	if _, err := s.Accept(n); err != nil {
		t.Fatal(err)
	}
	if _, err := s.End(n.ID, journal.End{State: journal.Cancelled, At: now}); err != nil {
		t.Fatal(err)
	}
	return n
}

// If the clock is far ahead for a moment, no key is forgotten, neither by a running daemon nor
// by one that starts meanwhile, whether it is the first daemon of the journal or not.
func TestClockFarAheadForAMomentForgetsNoKey(t *testing.T) {
	now := time.Now().Round(0)
	far := now.Add(1000 * day)
	for _, earlier := range []bool{false, true} {
		for _, step := range []time.Duration{0, 1000 * day} {
			s := opened(t)
			n := keyed(t, s, now)
			if earlier {
				look(t, s, n, now.Add(-2*day), 0)
				look(t, s, n, now.Add(-day), 0)
			}
			known := look(t, s, n, far, step) && look(t, s, n, now.Add(day), 0) &&
				look(t, s, n, far.Add(time.Hour), 0) && look(t, s, n, far.Add(2*time.Hour), 0)
			if !known {
				t.Errorf("forgotten: with a prune before %t, step %v", earlier, step)
			}
		}
	}
}

// Old records are removed all the same, a day later.
func TestPruneWaitsForADay(t *testing.T) {
	now := time.Now().Round(0)
	for name, c := range map[string]struct {
		last time.Duration // since the last prune
		step time.Duration
		want bool // that the key is kept
	}{
		"each day":                {last: day},
		"after a weekend":         {last: 3 * day},
		"after a month":           {last: 30 * day, want: true},
		"after a step":            {last: day, step: time.Hour, want: true},
		"after the clock went on": {last: day, step: time.Minute},
		"after a clock set back":  {last: -10 * day, step: -11 * day},
	} {
		s := opened(t)
		n := keyed(t, s, now.Add(-journal.Retention-time.Minute))
		if err := s.SetPruneTimes(journal.PruneTimes{Last: now.Add(-c.last)}); err != nil {
			t.Fatal(err)
		}
		if got := look(t, s, n, now, c.step); got != c.want || (len(s.PruneWarnings(now)) > 0) != c.want {
			t.Errorf("%s: kept %t, warnings %q", name, got, s.PruneWarnings(now))
		}
		if c.want && !look(t, s, n, now.Add(time.Hour), 0) {
			t.Errorf("%s: removed after an hour", name)
		}
		if look(t, s, n, now.Add(pruneEvery), 0) || len(s.PruneWarnings(now)) > 0 {
			t.Errorf("%s: kept after a day, warnings %q", name, s.PruneWarnings(now))
		}
	}
}

func TestClockTellsThatItWasSet(t *testing.T) {
	last := readClock()
	now := last
	now.wall, now.up = now.wall.Add(3*time.Hour), now.up+time.Hour
	if got := now.step(last); got != 2*time.Hour {
		t.Errorf("got %v", got)
	}
	if got := readClock().step(last); got > clockStep || got < -clockStep {
		t.Errorf("a clock that nobody has set: %v", got)
	}
}
