package pool_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"iris/pool"
)

func TestHealthCheckMeasures(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.grow = 100
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Minute}, pool.Settings{MaxMemory: 250})
		time.Sleep(time.Hour)
		if n := types(p, ""); n[pool.HealthCheck] != 0 {
			t.Errorf("%d checks of an empty pool", n[pool.HealthCheck])
		}
		for range 2 {
			submit(p, "a", "1s").wait()
		}
		busy := submit(p, "b", "10m")
		time.Sleep(90 * time.Second)
		a, b := process(p, "a"), process(p, "b")
		if a.Memory != 200 || b.Memory != 100 || b.State != pool.Busy {
			t.Errorf("got %+v and %+v, want 200 and 100 bytes", a, b)
		}
		evs, _, _ := p.Events(0)
		if e := evs[len(evs)-1]; e.Type != pool.HealthCheck || e.Total != 2 || e.Max != 2 {
			t.Errorf("got %+v, want a check of 2 of 2", e)
		}
		submit(p, "a", "1s").wait() // 300 bytes: too many
		time.Sleep(time.Minute)
		mustState(t, p, "a", "")
		busy.mustText(t, "b:10m")
		mustState(t, p, "b", pool.Idle)
		if f := h.agents[1]; f.pings.Load() != 0 || f.measures.Load() < 8 {
			t.Errorf("a busy agent was measured %d times and pinged %d times, want 8 or more and none", f.measures.Load(), f.pings.Load())
		}
		p.Evict(all, "evicted")
		time.Sleep(time.Minute) // of the last check
		before := types(p, "")[pool.HealthCheck]
		time.Sleep(time.Hour)
		if n := types(p, "")[pool.HealthCheck]; n != before {
			t.Errorf("%d checks since all agents have gone", n-before)
		}
	})
}

// A busy agent over its memory limit finishes its turn and is then stopped.
func TestMemoryOverTheLimitWaitsForTheTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.grow = 100
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Minute}, pool.Settings{MaxMemory: 50})
		c := submit(p, "a", "5m")
		time.Sleep(2 * time.Minute)
		if got := process(p, "a"); got.State != pool.Busy || got.Why != "memory over max_memory" {
			t.Errorf("got %+v, want it busy and marked", got)
		}
		c.mustText(t, "a:5m")
		time.Sleep(time.Second)
		mustState(t, p, "a", "")
	})
}

// Without a limit an agent may be of any size, and one that is just as large as its limit stays.
func TestMemoryUpToTheLimitIsAllowed(t *testing.T) {
	for _, limit := range []int64{0, 100} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			h.grow = 100
			p := h.pool(pool.Limits{MaxProcesses: 1, HealthCheckInterval: time.Minute}, pool.Settings{MaxMemory: limit})
			submit(p, "a", "1s").wait()
			time.Sleep(2 * time.Minute)
			if got := process(p, "a"); got.State != pool.Idle || got.Memory != 100 {
				t.Errorf("limit %d: got %+v", limit, got)
			}
		})
	}
}

// Agents that have done nothing since they were measured are left alone most
// of the time.
func TestHealthCheckLetsTheIdleSleep(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Minute}, pool.Settings{})
		submit(p, "a", "1s").wait()
		time.Sleep(40 * time.Minute)
		if a := h.last(); a.pings.Load() != 4 {
			t.Errorf("%d pings in 40 checks, want 4", a.pings.Load())
		}
		submit(p, "a", "1s").wait()
		time.Sleep(time.Minute)
		if a := h.last(); a.pings.Load() != 5 {
			t.Errorf("%d pings after another turn, want 5", a.pings.Load())
		}
	})
}

// One check of an agent at a time, and a turn in between is a sign of life.
func TestHealthCheckIsOverruledByATurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var checks atomic.Int64
		h.check = func(ctx context.Context, a *fake, ping bool) error {
			if n := checks.Add(1); n > 1 {
				t.Errorf("%d checks at a time", n)
			}
			defer checks.Add(-1)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		h.start = 500 * time.Millisecond
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Second}, pool.Settings{})
		submit(p, "a", "10ms").wait()
		time.Sleep(2 * time.Second)
		submit(p, "a", "1s").mustText(t, "a:1s")
		time.Sleep(8100 * time.Millisecond) // the check has failed by now
		mustState(t, p, "a", pool.Idle)
		time.Sleep(20 * time.Second) // the first did not count, the second does
		mustState(t, p, "a", "")
	})
}

// Nothing that is said of a busy agent counts, and to be busy is no sickness.
func TestHealthCheckOfABusyAgentDoesNoHarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.check = func(_ context.Context, _ *fake, ping bool) error {
			if ping {
				return pool.ErrBusy
			}
			return errors.New("no such process")
		}
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Second}, pool.Settings{})
		submit(p, "a", "1m").mustText(t, "a:1m") // a check is due at the moment of its end
		time.Sleep(time.Minute)
		mustState(t, p, "a", pool.Idle)
	})
}

// The turn ends while the check lasts.
func TestHealthCheckThatOutlastsItsTurnDoesNoHarm(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.check = func(_ context.Context, _ *fake, ping bool) error {
			if ping {
				return pool.ErrBusy
			}
			time.Sleep(400 * time.Millisecond)
			return errors.New("no such process")
		}
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Second}, pool.Settings{})
		submit(p, "a", "1200ms").mustText(t, "a:1200ms")
		time.Sleep(time.Minute)
		mustState(t, p, "a", pool.Idle)
	})
}

func TestIntervalCanChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Hour}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Reconfigure(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Minute})
		time.Sleep(90 * time.Second)
		p.Reconfigure(pool.Limits{MaxProcesses: 2})
		time.Sleep(time.Hour)
		if n := types(p, ""); n[pool.HealthCheck] != 1 {
			t.Errorf("%d checks, want 1", n[pool.HealthCheck])
		}
	})
}

// A stall is reported once; after progress it may be reported again.
func TestStallIsReportedOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{StallTimeout: time.Minute})
		c := submit(p, "a", "1h")
		time.Sleep(2 * time.Second)
		stalls := func() int { return types(p, "")[pool.ProcessStalled] }
		for range 20 { // it writes every 30 s
			time.Sleep(30 * time.Second)
			a := h.last()
			a.mu.Lock()
			a.progress = time.Now()
			a.mu.Unlock()
		}
		if n := stalls(); n != 0 {
			t.Errorf("%d stalls while it writes", n)
		}
		time.Sleep(10 * time.Minute)
		if n := stalls(); n != 1 {
			t.Errorf("%d stalls, want 1", n)
		}
		a := h.last()
		a.mu.Lock()
		a.progress = time.Now()
		a.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if n := stalls(); n != 2 {
			t.Errorf("%d stalls, want a second one", n)
		}
		evs, _, _ := p.Events(0)
		e := evs[len(evs)-1]
		if e.Type != pool.ProcessStalled || e.Message != c.id || e.Process != a.id {
			t.Errorf("got %+v", e)
		}
		c.mustText(t, "a:1h")
	})
}

func TestStallCanInterrupt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{StallTimeout: time.Minute, StallInterrupt: true})
		c := submit(p, "a", "1h").wait()
		if c.err != nil || c.res.Outcome != "incomplete" || c.at.Sub(c.begun) > 61*time.Second {
			t.Errorf("got %+v, %v after %v, want it incomplete after a minute", c.res, c.err, c.at.Sub(c.begun))
		}
		mustState(t, p, "a", pool.Idle)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), pool.ErrStalled) {
				t.Errorf("the cause is %v", context.Cause(ctx))
			}
			return nil, errDied
		}
		submit(p, "a", "1h").mustErr(t, pool.ErrStalled)
		if got := process(p, "a").State; got == pool.Idle {
			t.Error("an agent that does not answer an interrupt is used again")
		}
	})
}
