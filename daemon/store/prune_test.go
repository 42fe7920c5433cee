package store

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"iris/daemon/journal"
)

// opened returns a Store with a new journal.
func opened(t *testing.T) *Store {
	t.Helper()
	s := New(Options{OnPruned: func(time.Time, time.Duration) error { return nil }})
	s.Log = slog.New(slog.DiscardHandler)
	openAt(t, s, filepath.Join(t.TempDir(), "journal"))
	return s
}

// openAt gives a Store its journal.
func openAt(t *testing.T, s *Store, path string) {
	t.Helper()
	var err error
	if s.Journal, err = journal.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
}

const day = 24 * time.Hour

// look prunes at a time of day and reports whether the key of a message that ended at the
// start is still known.
func look(t *testing.T, s *Store, n journal.New, now time.Time, step time.Duration) bool {
	t.Helper()
	if err := s.prune(t.Context(), now, step, journal.Retention); err != nil {
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

// The space of a backlog that is over goes back to the disk, a minute after a start and
// each day.
func TestMaintainCompactsTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		s.Log = slog.New(slog.DiscardHandler)
		openAt(t, s, path)
		now := time.Now().Add(-time.Hour)
		for i := range 400 {
			m := journal.New{ID: fmt.Sprintf("m%d", i), Team: "api", Body: make([]byte, 60<<10), At: now}
			if _, err := s.Accept(m); err != nil {
				t.Fatal(err)
			}
			if _, err := s.End(m.ID, journal.End{State: journal.Cancelled, At: now}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Prune(t.Context(), now.Add(time.Second), now); err != nil {
			t.Fatal(err)
		}
		before := size(t, path)
		ctx, stop := context.WithCancel(t.Context())
		s.Maintain(ctx, func() time.Duration { return journal.Retention }, stop)
		if after := size(t, path); after > before/4 {
			t.Errorf("%d bytes before, %d after", before, after)
		}
	})
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// messagesTo is a log of which only the messages are kept.
func messagesTo(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key != slog.MessageKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// A day on which there is nothing to do, or that ends early, leaves no line in the log; a
// journal that cannot be written ends the daemon.
func TestMaintainSaysWhatWentWrong(t *testing.T) {
	for name, c := range map[string]struct {
		early, broken bool
		log           string
		pruned, fatal int
	}{
		"nothing to do":    {pruned: 1},
		"it ends early":    {early: true},
		"a broken journal": {broken: true, log: "msg=\"the daemon ends\"\nmsg=\"journal not pruned\"\nmsg=\"journal not compacted\"\n", fatal: 1},
	} {
		path := filepath.Join(t.TempDir(), "journal")
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var log bytes.Buffer
			pruned, fatal := 0, 0
			s := New(Options{
				OnPruned: func(time.Time, time.Duration) error { pruned++; return nil }, OnFatal: func() { fatal++ },
			})
			s.Log = messagesTo(&log)
			openAt(t, s, path)
			if err := s.SetPruneTimes(journal.PruneTimes{Last: time.Now()}); err != nil {
				t.Fatal(err)
			}
			s.Maintain(ctx, func() time.Duration {
				if c.early {
					stop()
				}
				if c.broken {
					os.Remove(path)
				}
				return journal.Retention
			}, stop)
			if log.String() != c.log || pruned != c.pruned || fatal != c.fatal {
				t.Errorf("%s: logged %q, pruned %d times, ended %d times", name, &log, pruned, fatal)
			}
		})
	}
}
