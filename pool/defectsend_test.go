package pool_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// The tests in this file hold those defects of the pool that iris takes over that
// are about the end of agents; see defects_test.go.

// D10: one stop was reported as terminated and as exited.
func TestD10_OneLastEventPerProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 5}, pool.Settings{})
		for _, k := range []string{"killed", "evicted", "crashed", "died"} {
			submit(p, k, "x").wait()
		}
		agents := map[string]*fake{}
		for _, a := range h.agents {
			agents[a.key.Team] = a
		}
		p.Kill(only("killed"))
		p.Evict(only("evicted"), "evicted")
		agents["crashed"].quit("signal: segmentation fault")
		submit(p, "died", "die").mustErr(t, pool.ErrUnknown)
		synctest.Wait()
		for team, want := range map[string]pool.EventType{
			"killed": pool.ProcessTerminated, "evicted": pool.ProcessTerminated,
			"crashed": pool.ProcessExited, "died": pool.ProcessExited,
		} {
			n := types(p, agents[team].id)
			if n[pool.ProcessSpawned] != 1 || n[want] != 1 || n[pool.ProcessTerminated]+n[pool.ProcessExited] != 1 {
				t.Errorf("%s: got %v, want one spawned and one %s", team, n, want)
			}
		}
	})
}

// D13: the late exit of an old process took its successor off the map. D15: a
// terminating process was handed out as usable.
func TestD13_LateExitDoesNotTouchTheSuccessor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		h.stop = time.Minute
		submit(p, "a", "x").wait()
		old := h.last()
		var wg sync.WaitGroup
		wg.Go(func() { p.Kill(only("a")) })
		synctest.Wait()
		c := submit(p, "a", "y")
		time.Sleep(30 * time.Second)
		if got := process(p, "a"); got.ID != old.id || got.State != pool.Stopping || got.Why != "killed" || got.Queue != 1 {
			t.Errorf("got %+v, want the old process, stopping, a message behind it", got)
		}
		c.mustText(t, "a:y")
		wg.Wait()
		if got := process(p, "a"); got.ID == old.id || got.State != pool.Idle || old.sends.Load() != 1 {
			t.Errorf("got %+v, want another process, idle; the stopping one got %d turns, want 1", got, old.sends.Load())
		}
	})
}

// D17: the health check looked for what exit events had said already, and
// never whether anybody answers.
func TestD17_HealthCheckFindsTheDeaf(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.check = func(ctx context.Context, a *fake, ping bool) error {
			if a.key.Team == "deaf" && ping {
				<-ctx.Done()
				return context.Cause(ctx)
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 3, HealthCheckInterval: time.Minute}, pool.Settings{})
		submit(p, "deaf", "1s").wait()
		submit(p, "well", "1s").wait()
		time.Sleep(2 * time.Minute)
		mustState(t, p, "deaf", "")
		mustState(t, p, "well", pool.Idle)
		if n := types(p, ""); n[pool.HealthCheck] != 2 || n[pool.ProcessError] != 1 || n[pool.ProcessTerminated] != 1 {
			t.Errorf("got %v, want two checks, one error, one terminated", n)
		}
	})
}

// D19: each use was a search through all names, and a process that had never
// started could not be stopped. Output buffers live elsewhere; the order of use
// is measured in BenchmarkDecision.
func TestD19_StopOfWhatNeverStartedReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.start = time.Hour
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "x")
		synctest.Wait()
		begin := time.Now()
		if got := p.Kill(all); len(got) != 1 || got[0].State != pool.Starting {
			t.Errorf("got %+v, want the one that starts", got)
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("the kill took %v", d)
		}
		if p.Cancel(c.id); c.wait().err == nil {
			t.Error("the message was answered")
		}
	})
}
