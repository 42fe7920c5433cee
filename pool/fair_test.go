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
		if d := quiet.begun.Sub(begin); d != 12*time.Second {
			t.Errorf("the quiet team began after %v, want 12 s", d)
		}
		for i, c := range chatty {
			c.mustText(t, "chatty:2s")
			if i > 0 && c.at.Before(chatty[i-1].at) {
				t.Errorf("message %d ended before message %d", i, i-1)
			}
		}
	})
}

// Two teams that both have more than they can do change places once in a
// fair_wait and not after every turn.
func TestFairWaitDoesNotThrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, FairWait: 30 * time.Second}, pool.Settings{})
		var calls []*call
		for range 100 {
			calls = append(calls, submit(p, "a", "1s"), submit(p, "b", "1s"))
		}
		begin := time.Now()
		for _, c := range calls {
			c.wait()
		}
		n, _ := h.count()
		if n < 5 || n > 8 {
			t.Errorf("200 turns of 1 s took %v and %d agents, want 5 to 8", time.Since(begin), n)
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

// Between keys the one that waits longest is first, whatever their names.
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
