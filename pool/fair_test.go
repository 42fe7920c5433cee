package pool_test

import (
	"testing"
	"time"

	"iris/pool"
)

// A team whose queue is never empty gives way to another that has waited longer
// than fair_wait, and not before.
func TestFairWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 500 * time.Millisecond
		p := h.pool(pool.Limits{MaxProcesses: 1, FairWait: 10 * time.Second}, pool.Settings{})
		var chatty []*call
		for range 30 {
			chatty = append(chatty, submit(p, "chatty", "2s"))
		}
		begin := time.Now()
		quiet := submit(p, "quiet", "1s")
		quiet.mustText(t, "quiet:1s")
		// The first turn ends at 3 s, then one every 2 s; the agent is ready
		// from 1 s on. The first end after 10 s of both is that at 11 s.
		if d := quiet.begun.Sub(begin); d != 12500*time.Millisecond {
			t.Errorf("the quiet team began after %v, want 12.5 s", d)
		}
		for i, c := range chatty {
			c.mustText(t, "chatty:2s")
			if i > 0 && c.at.Before(chatty[i-1].at) {
				t.Errorf("message %d ended before message %d", i, i-1)
			}
		}
	})
}

// Whoever waits longer gets the next place, also after many have come and gone.
func TestTeamsAreServedInTheOrderOfTheirArrival(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		var calls []*call
		for _, k := range []string{"a", "b", "c", "d", "e"} {
			calls = append(calls, submit(p, k, "1s"))
		}
		calls[2].wait()
		for _, c := range append(calls, submit(p, "f", "1s")) {
			c.wait()
		}
		var order string
		for _, a := range h.agents {
			order += a.key.Team
		}
		if order != "abcdef" {
			t.Errorf("served in the order %s", order)
		}
	})
}

// Teams that all have more than they can do change places once in a fair_wait
// and not after every turn.
func TestFairWaitDoesNotThrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, FairWait: 30 * time.Second}, pool.Settings{})
		var calls []*call
		for range 60 {
			for _, k := range []string{"a", "b", "c", "d"} {
				calls = append(calls, submit(p, k, "1s"))
			}
		}
		begin := time.Now()
		first := map[string]time.Duration{}
		for _, c := range calls {
			c.wait()
			if team := c.proc.Key.Team; first[team] == 0 {
				first[team] = c.at.Sub(begin)
			}
		}
		if n, _ := h.count(); n < 7 || n > 9 {
			t.Errorf("240 turns of 1 s took %v and %d agents, want 7 to 9", time.Since(begin), n)
		}
		if d := first["d"]; d > 2*time.Minute {
			t.Errorf("the last of four teams had its first answer after %v", d)
		}
	})
}

func TestFairWaitZeroIsNever(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		var last *call
		for range 100 {
			last = submit(p, "chatty", "10s")
		}
		quiet := submit(p, "quiet", "1s").wait()
		if quiet.begun.Before(last.wait().at) {
			t.Errorf("the quiet team began at %v, before the last of the others ended at %v", quiet.begun, last.at)
		}
	})
}

// Of several keys the one that waits longest is served first, whatever their names.
func TestKeysAreServedByAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "z", "1m")
		var calls []*call
		for _, k := range []string{"m", "c", "x", "a", "q"} {
			calls = append(calls, submit(p, k, "1s"))
			time.Sleep(time.Second)
		}
		p.Cancel(calls[1].id)
		again := submit(p, "c", "1s") // gave its age up
		var last time.Time
		for _, c := range []*call{calls[0], calls[2], calls[3], calls[4], again} {
			if c.wait(); !c.begun.After(last) {
				t.Errorf("%s began at %v, not after %v", c.id, c.begun, last)
			}
			last = c.begun
		}
	})
}
