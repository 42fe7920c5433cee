package pool_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

func TestHold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		p.Release(key("a")) // of one that is not held
		running := submit(p, "a", "10s")
		time.Sleep(2 * time.Second)
		p.Hold(key("a"))
		p.Hold(key("a"))
		waits, other := submit(p, "a", "1s"), submit(p, "a@other", "1s")
		running.mustText(t, "a:10s") // what runs goes on
		other.mustText(t, "a@other:1s")
		p.Hold(key("new"))
		cold := submit(p, "new", "1s")
		time.Sleep(time.Hour)
		if waits.ended() || cold.ended() || cold.position != 1 || waits.position != 1 {
			t.Errorf("ended %v and %v, positions %d and %d; want both to wait at 1", waits.ended(), cold.ended(), waits.position, cold.position)
		}
		mustState(t, p, "a", pool.Idle)
		mustState(t, p, "new", "")
		p.Release(key("a"))
		p.Release(key("new"))
		waits.mustText(t, "a:1s")
		cold.mustText(t, "new:1s")
		submit(p, "a", "1s").mustText(t, "a:1s")
		if n, _ := h.count(); n != 3 {
			t.Errorf("%d agents were started, want 3", n)
		}
	})
}

// A Finish that holds its key comes before the next turn, which is why it may
// decide on that turn.
func TestHoldFromFinish(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		first := submit(p, "a", "1s", func(turn *pool.Turn) {
			finish := turn.Finish
			turn.Finish = func(r *pool.Result, err error) {
				time.Sleep(time.Second)
				p.Hold(key("a"))
				finish(r, err)
			}
		})
		next := submit(p, "a", "1s")
		first.wait()
		time.Sleep(time.Minute)
		if a := h.last(); next.ended() || a.sends.Load() != 1 || p.Position(next.id) != 1 {
			t.Errorf("%d turns, position %d; want the next to wait", a.sends.Load(), p.Position(next.id))
		}
		p.Release(key("a"))
		next.mustText(t, "a:1s")
	})
}

// What is held asks for no place, and its own idle agent is the next to go.
func TestHeldAgentMakesRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 5 * time.Second
		p := h.pool(pool.Limits{MaxProcesses: 2, WhenFull: pool.WhenFullFail}, pool.Settings{})
		submit(p, "a", "1s").wait()
		b := submit(p, "b", "1m")
		p.Hold(key("a"))
		waits := submit(p, "a", "1s")
		if waits.position != 1 {
			t.Errorf("position %d although the agent is not to take it, want 1", waits.position)
		}
		c := submit(p, "c", "1m") // there is room: a's
		time.Sleep(10 * time.Second)
		mustState(t, p, "a", "")
		mustState(t, p, "c", pool.Busy)
		submit(p, "d", "1s").mustErr(t, pool.ErrFull)
		p.Hold(key("d"))
		more := submit(p, "d", "1s") // waits for another thing than room
		b.mustText(t, "b:1m")
		c.mustText(t, "c:1m")
		p.Release(key("a"))
		p.Release(key("d"))
		waits.mustText(t, "a:1s")
		more.mustText(t, "d:1s")
	})
}

// An agent whose messages are held has nothing to give way with: it is a
// victim, and its key has not had its share.
func TestHeldAgentDoesNotGiveWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, FairWait: 5 * time.Second}, pool.Settings{})
		submit(p, "a", "1m")
		waits, b := submit(p, "a", "1s"), submit(p, "b", "1s")
		time.Sleep(2 * time.Second)
		p.Hold(key("a"))
		b.mustText(t, "b:1s")
		evs, _, _ := p.Events(0)
		for _, e := range evs {
			if e.Type == pool.ProcessTerminated && e.Detail != "made room for b" {
				t.Errorf("a went because %q", e.Detail)
			}
		}
		p.Release(key("a"))
		waits.mustText(t, "a:1s")
	})
}

// An agent that stops does not come back for a key that is held, so somebody
// else's may stay.
func TestHeldKeyDoesNotReturn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 5 * time.Second
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		submit(p, "idle", "1s").wait()
		submit(p, "a", "die").wait()
		submit(p, "a", "1s").wait()
		var wg sync.WaitGroup
		wg.Go(func() { p.Evict(only("a")) })
		synctest.Wait()
		p.Hold(key("a"))
		waits := submit(p, "a", "1s")
		submit(p, "c", "1s").mustText(t, "c:1s") // in a's place
		mustState(t, p, "idle", pool.Idle)
		wg.Wait()
		p.Release(key("a"))
		waits.mustText(t, "a:1s")
	})
}

func TestHeldAgentHasItsIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
		submit(p, "a", "1s").wait()
		p.Hold(key("a"))
		waits := submit(p, "a", "1s")
		time.Sleep(59 * time.Second)
		mustState(t, p, "a", pool.Idle)
		time.Sleep(2 * time.Second)
		mustState(t, p, "a", "")
		p.Release(key("a"))
		waits.mustText(t, "a:1s")
	})
}

// One that was to leave after its turn, or is for one message, has no turn to
// wait for when its key is held while it starts.
func TestHoldOfOneThatStarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		plain, single, leaving := submit(p, "a", "1s"), submit(p, "b", "1s", fresh), submit(p, "c", "1s")
		synctest.Wait()
		p.Evict(only("c"))
		for _, k := range []string{"a", "b", "c"} {
			p.Hold(key(k))
		}
		time.Sleep(time.Minute)
		mustState(t, p, "a", pool.Idle)
		mustState(t, p, "b", "")
		mustState(t, p, "c", "")
		for _, k := range []string{"a", "b", "c"} {
			p.Release(key(k))
		}
		plain.mustText(t, "a:1s")
		single.mustText(t, "b:1s")
		leaving.mustText(t, "c:1s")
	})
}

// A line in back-off that is held does not try again, and its failures are
// forgotten like those of a key that nobody asks for.
func TestHoldDuringBackOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(k pool.Key, nth int) error {
			if nth == 1 {
				return errNoLuck
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "1s")
		time.Sleep(1200 * time.Millisecond)
		p.Hold(key("a"))
		time.Sleep(time.Hour)
		if st := p.Snapshot(); h.starts[key("a")] != 1 || len(st.Broken) != 0 || st.Queued != 1 {
			t.Errorf("%d starts, %+v; want 1, nothing broken, one message", h.starts[key("a")], st)
		}
		p.Release(key("a"))
		c.mustText(t, "a:1s")
	})
}

// A turn that its agent did not take goes back to its line, and waits there.
func TestHeldTurnThatCameBackWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stale = func(a *fake) string {
			time.Sleep(time.Second)
			if a.id == "p-1" {
				return "old"
			}
			return ""
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "1s")
		time.Sleep(1500 * time.Millisecond)
		p.Hold(key("a"))
		time.Sleep(time.Minute)
		mustState(t, p, "a", "")
		if p.Position(c.id) != 1 {
			t.Errorf("position %d, want 1", p.Position(c.id))
		}
		p.Release(key("a"))
		c.mustText(t, "a:1s")
	})
}

func TestWakeOfAHeldKeyWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Hold(key("a"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := p.Wake(ctx, key("a")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want to have waited in vain", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if proc, err := p.Wake(t.Context(), key("a")); err != nil || proc.ID != "p-1" {
				t.Errorf("got %+v, %v, want p-1", proc, err)
			}
		})
		synctest.Wait()
		p.Release(key("a"))
		wg.Wait()
	})
}

func TestHeldMessagesEndWithThePool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		p.Hold(key("a"))
		a, b := submit(p, "a", "1s"), submit(p, "a", "1s")
		p.Cancel(a.id)
		a.mustErr(t, pool.ErrCancelled)
		p.Drain(t.Context())
		b.mustErr(t, pool.ErrClosed)
		p.Release(key("a"))
		submit(p, "a", "1s").mustErr(t, pool.ErrClosed)
	})
}

func TestPosition(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := submit(p, "a", "1m")
		time.Sleep(2 * time.Second)
		var wg sync.WaitGroup
		wg.Go(func() { p.Wake(t.Context(), key("a")) })
		synctest.Wait()
		b, c := submit(p, "a", "1m"), submit(p, "a", "1m")
		other := submit(p, "b", "1s")
		check := func(want ...int) {
			t.Helper()
			for i, x := range []*call{a, b, c, other} {
				if n := p.Position(x.id); n != want[i] {
					t.Errorf("message %d is at position %d, want %d", i+1, n, want[i])
				}
			}
		}
		check(0, 1, 2, 1) // the wake does not count
		p.Cancel(b.id)
		check(0, 0, 1, 1)
		a.wait()
		time.Sleep(2 * time.Second)
		check(0, 0, 0, 1)
		c.wait()
		other.wait()
		check(0, 0, 0, 0)
		wg.Wait()
		if n := p.Position(""); n != 0 {
			t.Errorf("no message is at position %d", n)
		}
	})
}
