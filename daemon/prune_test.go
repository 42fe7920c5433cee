package daemon

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"iris/config"
	"iris/daemon/journal"
)

// pruned is a daemon that only prunes, with a journal of its own.
func pruned(t *testing.T) *Daemon {
	t.Helper()
	d := newDaemon(Options{})
	d.log = slog.New(slog.DiscardHandler)
	d.config.current.Store(&config.Config{Retention: journal.Retention})
	var err error
	if d.store.Journal, err = journal.Open(filepath.Join(t.TempDir(), "journal")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	return d
}

const day = 24 * time.Hour

// look prunes at a time of day and says whether the key of a message that ended
// at the start is still known.
func look(t *testing.T, d *Daemon, n journal.New, now time.Time, step time.Duration) bool {
	t.Helper()
	if err := d.prune(now, step); err != nil {
		t.Fatal(err)
	}
	n.ID = "other"
	found, err := d.store.Find(n)
	if err != nil {
		t.Fatal(err)
	}
	return found.Existing
}

func keyed(t *testing.T, d *Daemon, now time.Time) journal.New {
	t.Helper()
	n := journal.New{ID: "m1", Team: "api", Body: []byte("x"), At: now, Options: journal.Options{Key: "k"}}
	if _, err := d.store.Accept(n); err != nil {
		t.Fatal(err)
	}
	if _, err := d.store.End(n.ID, journal.End{State: journal.Cancelled, At: now}); err != nil {
		t.Fatal(err)
	}
	return n
}

// A clock that is far ahead for a moment forgets no key: not in a daemon that was
// running, nor in one that was started meanwhile, the first one or a later one.
func TestClockFarAheadForAMomentForgetsNoKey(t *testing.T) {
	now := time.Now().Round(0)
	far := now.Add(1000 * day)
	for _, earlier := range []bool{false, true} {
		for _, step := range []time.Duration{0, 1000 * day} {
			d := pruned(t)
			n := keyed(t, d, now)
			if earlier {
				look(t, d, n, now.Add(-2*day), 0)
				look(t, d, n, now.Add(-day), 0)
			}
			known := look(t, d, n, far, step) && look(t, d, n, now.Add(day), 0) &&
				look(t, d, n, far.Add(time.Hour), 0) && look(t, d, n, far.Add(2*time.Hour), 0)
			if !known {
				t.Errorf("forgotten: with a prune before %t, step %v", earlier, step)
			}
		}
	}
}

// What is old goes all the same, a day later than it would.
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
		d := pruned(t)
		n := keyed(t, d, now.Add(-journal.Retention-time.Minute))
		if err := d.store.SetPruneTimes(journal.PruneTimes{Last: now.Add(-c.last)}); err != nil {
			t.Fatal(err)
		}
		if got := look(t, d, n, now, c.step); got != c.want || (len(d.pruneWarning(now)) > 0) != c.want {
			t.Errorf("%s: kept %t, warnings %q", name, got, d.pruneWarning(now))
		}
		if c.want && !look(t, d, n, now.Add(time.Hour), 0) {
			t.Errorf("%s: removed after an hour", name)
		}
		if look(t, d, n, now.Add(pruneEvery), 0) || len(d.pruneWarning(now)) > 0 {
			t.Errorf("%s: kept after a day, warnings %q", name, d.pruneWarning(now))
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
