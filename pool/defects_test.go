package pool_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// The tests in this file each hold a defect of the pool that iris takes over:
// with its logic they fail.

// D1: five messages at once to one cold team started five processes. (D2, a bound that
// did not hold while agents start, is what the house watches over in every test.)
func TestD1_OneStartForOneKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 10}, pool.Settings{})
		var calls []*call
		for i := range 5 {
			calls = append(calls, submit(p, "api", fmt.Sprint(i)))
		}
		for i, c := range calls {
			c.mustText(t, fmt.Sprint("api:", i))
			if i > 0 && c.at.Before(calls[i-1].at) {
				t.Errorf("message %d ended before message %d", i, i-1)
			}
		}
		if n, _ := h.count(); n != 1 {
			t.Errorf("%d processes were started, want 1", n)
		}
	})
}

// D3: with every process busy the oldest was killed under its turn.
func TestD3_BusyIsNeverAVictim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		a, b, c := submit(p, "a", "1h"), submit(p, "b", "2h"), submit(p, "c", "1s")
		time.Sleep(time.Minute)
		mustState(t, p, "a", pool.Busy)
		mustState(t, p, "b", pool.Busy)
		if c.position != 1 || c.ended() {
			t.Errorf("the third message: position %d, ended %v; want it to wait at 1", c.position, c.ended())
		}
		a.mustText(t, "a:1h")
		c.mustText(t, "c:1s")
		b.mustText(t, "b:2h")
	})
}

// D7: a failed start left its name in the order of use, and evicting that ghost
// did nothing: two processes at a bound of one.
func TestD7_FailedStartLeavesNoTrace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(k pool.Key, nth int) error {
			if k.Team == "bad" {
				return &pool.StartError{Team: k.Team, Permanent: true, Err: errors.New("not found")}
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "bad", "x").wait()
		var e *pool.StartError
		if !errors.As(c.err, &e) || !e.Permanent {
			t.Errorf("got %v, want a permanent StartError", c.err)
		}
		if st := p.Snapshot(); len(st.Processes)+len(st.Broken)+st.Queued != 0 {
			t.Errorf("a trace is left: %+v", st)
		}
		a, b := submit(p, "a", "10s"), submit(p, "b", "10s")
		a.mustText(t, "a:10s")
		b.mustText(t, "b:10s") // the house counts processes
		if _, err := p.EvictOldest(); err != nil {
			t.Errorf("evict: %v", err)
		}
		if _, err := p.EvictOldest(); !errors.Is(err, pool.ErrNotRunning) {
			t.Errorf("evict from an empty pool: got %v, want %v", err, pool.ErrNotRunning)
		}
	})
}

// D9: the error for a full pool could not be reached.
func TestD9_FullPoolSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, WhenFull: pool.WhenFullFail}, pool.Settings{})
		a := submit(p, "a", "10s")
		synctest.Wait()
		submit(p, "b", "x").mustErr(t, pool.ErrFull)
		own := submit(p, "a", "1s") // its own agent is no question of room
		a.mustText(t, "a:10s")
		own.mustText(t, "a:1s")
		submit(p, "b", "1s").mustText(t, "b:1s") // an idle victim is room
	})
}

// D14: between "return the process" and "write to it" somebody else's eviction
// could stop it.
func TestD14_AGrantedAgentIsNobodysVictim(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stale = func(*fake) string { time.Sleep(time.Minute); return "" } // a slow way from grant to write
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "x").wait()
		c := submit(p, "a", "y")
		time.Sleep(time.Second)
		other := submit(p, "b", "z")
		if _, err := p.EvictOldest(); !errors.Is(err, pool.ErrNotRunning) {
			t.Errorf("evict: got %v, want %v", err, pool.ErrNotRunning)
		}
		mustState(t, p, "a", pool.Busy)
		c.mustText(t, "a:y")
		other.mustText(t, "b:z")
		if n, _ := h.count(); n != 2 {
			t.Errorf("%d processes were started, want 2", n)
		}
	})
}

// D16: the order of use was that of the beginnings of turns, so a long turn
// made its team the oldest.
func TestD16_OrderOfUseIsThatOfTheEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		long := submit(p, "long", "1h")
		time.Sleep(time.Minute)
		submit(p, "short", "1s").wait()
		long.wait()
		submit(p, "new", "1s").wait()
		mustState(t, p, "long", pool.Idle)
		mustState(t, p, "short", "")
	})
}

// D20: no limit of a queue, no fairness, and a new configuration did not reach
// live processes. Groups and persistence live elsewhere; fairness has tests of
// its own.
func TestD20_QueueIsBoundedAndSettingsArrive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var mu sync.Mutex
		set := pool.Settings{QueueLimit: 2}
		p := pool.New(pool.Config[*fake]{
			Limits: pool.Limits{MaxProcesses: 1}, Start: h.Start,
			Settings: func(string) pool.Settings { mu.Lock(); defer mu.Unlock(); return set },
		})
		defer p.Close()
		submit(p, "a", "1s").wait()
		running := submit(p, "a", "10s")
		one, two := submit(p, "a", "1s"), submit(p, "a@other", "1s")
		submit(p, "a", "1s").mustErr(t, pool.ErrQueueFull)
		submit(p, "a@other", "1s").mustErr(t, pool.ErrQueueFull)
		if running.position != 0 || one.position != 1 || two.position != 1 {
			t.Errorf("positions %d %d %d, want 0 1 1", running.position, one.position, two.position)
		}
		two.wait()
		mustState(t, p, "a@other", pool.Idle)
		mu.Lock()
		set.IdleTimeout = time.Hour
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		if got := process(p, "a@other"); !got.Until.Equal(two.at.Add(time.Hour)) {
			t.Errorf("got %+v, want it to end an hour after %v", got, two.at)
		}
		time.Sleep(time.Hour + time.Second)
		mustState(t, p, "a@other", "")
	})
}
