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
		p.Unhold(key("a")) // of one that is not held
		running := submit(p, "a", "10s")
		time.Sleep(2 * time.Second)
		p.Hold(key("a"), "a person")
		p.Hold(key("a"), "a person")
		waits, other := submit(p, "a", "1s"), submit(p, "a@other", "1s")
		running.mustText(t, "a:10s") // what runs goes on
		other.mustText(t, "a@other:1s")
		p.Hold(key("new"), "a person")
		cold := submit(p, "new", "1s")
		time.Sleep(time.Hour)
		if waits.ended() || cold.ended() || cold.position != 1 || waits.position != 1 {
			t.Errorf("ended %v and %v, positions %d and %d; want both to wait at 1", waits.ended(), cold.ended(), waits.position, cold.position)
		}
		mustState(t, p, "a", pool.Idle)
		mustState(t, p, "new", "")
		p.Unhold(key("a"))
		p.Unhold(key("new"))
		waits.mustText(t, "a:1s")
		cold.mustText(t, "new:1s")
		submit(p, "a", "1s").mustText(t, "a:1s")
		if n, _ := h.count(); n != 3 {
			t.Errorf("%d agents were started, want 3", n)
		}
	})
}

// A Run that holds its key comes before the next turn, which is why it may
// decide on that turn.
func TestHoldFromRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		first := submit(p, "a", "1s", func(turn *message) {
			finish := turn.Finish
			turn.Finish = func(r *result, err error) {
				time.Sleep(time.Second)
				p.Hold(key("a"), "a person")
				finish(r, err)
			}
		})
		next := submit(p, "a", "1s")
		first.wait()
		time.Sleep(time.Minute)
		if a := h.last(); next.ended() || a.sends.Load() != 1 {
			t.Errorf("%d turns; want the next to wait", a.sends.Load())
		}
		mustWait(t, p, next, 1, "a person")
		p.Unhold(key("a"))
		next.mustText(t, "a:1s")
	})
}

// An agent whose messages are held cannot give its place up at the end of a turn: it
// may be stopped at any time, and its key has not had its share.
func TestHeldAgentDoesNotGiveWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, FairWait: 5 * time.Second}, pool.Settings{})
		submit(p, "a", "1m")
		waits, b := submit(p, "a", "1s"), submit(p, "b", "1s")
		time.Sleep(2 * time.Second)
		p.Hold(key("a"), "a person")
		b.mustText(t, "b:1s")
		evs, _, _ := p.Events(0)
		for _, e := range evs {
			if e.Type == pool.ProcessTerminated && e.Detail != "made room for b" {
				t.Errorf("a went because %q", e.Detail)
			}
		}
		p.Unhold(key("a"))
		waits.mustText(t, "a:1s")
	})
}

func TestHeldAgentHasItsIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
		submit(p, "a", "1s").wait()
		p.Hold(key("a"), "a person")
		waits := submit(p, "a", "1s")
		time.Sleep(59 * time.Second)
		mustState(t, p, "a", pool.Idle)
		time.Sleep(2 * time.Second)
		mustState(t, p, "a", "")
		p.Unhold(key("a"))
		waits.mustText(t, "a:1s")
	})
}

// If an agent must stop after its turn, or is for one message, and its key is held
// while it starts, there is no turn to wait for.
func TestHoldOfOneThatStarts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		plain, single, leaving := submit(p, "a", "1s"), submit(p, "b", "1s", fresh), submit(p, "c", "1s")
		synctest.Wait()
		p.Evict(only("c"), "evicted")
		for _, k := range []string{"a", "b", "c"} {
			p.Hold(key(k), "a person")
		}
		time.Sleep(time.Minute)
		mustState(t, p, "a", pool.Idle)
		mustState(t, p, "b", "")
		mustState(t, p, "c", "")
		for _, k := range []string{"a", "b", "c"} {
			p.Unhold(key(k))
		}
		plain.mustText(t, "a:1s")
		single.mustText(t, "b:1s")
		leaving.mustText(t, "c:1s")
	})
}

// A held queue in back-off does not try again, and its failures are forgotten like
// those of a key without messages.
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
		p.Hold(key("a"), "a person")
		time.Sleep(time.Hour)
		if st := p.Snapshot(); h.starts[key("a")] != 1 || len(st.Broken) != 0 || st.Queued != 1 {
			t.Errorf("%d starts, %+v; want 1, nothing broken, one message", h.starts[key("a")], st)
		}
		p.Unhold(key("a"))
		c.mustText(t, "a:1s")
	})
}

func TestWakeOfAHeldKeyWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Hold(key("a"), "a person")
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
		p.Unhold(key("a"))
		wg.Wait()
	})
}

func TestHeldMessagesEndWithThePool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		p.Hold(key("a"), "a person")
		a, b := submit(p, "a", "1s"), submit(p, "a", "1s")
		p.Cancel(a.id)
		a.mustErr(t, pool.ErrCancelled)
		p.Drain(t.Context())
		b.mustErr(t, pool.ErrClosed)
		p.Unhold(key("a"))
		submit(p, "a", "1s").mustErr(t, pool.ErrClosed)
	})
}
