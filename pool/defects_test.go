package pool_test

import (
	"context"
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

// D1: five messages at once to one cold team started five processes.
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

// D2: the limit was checked, then the start awaited, then the process counted.
func TestD2_BoundHoldsWhileStarting(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = time.Second
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a, b, c := submit(p, "a", "x"), submit(p, "b", "x"), submit(p, "c", "x")
		for synctest.Wait(); !c.ended(); time.Sleep(100 * time.Millisecond) {
			if n := len(p.Snapshot().Processes); n != 1 {
				t.Fatalf("%d processes, want 1", n)
			}
		}
		a.mustText(t, "a:x")
		b.mustText(t, "b:x")
		c.mustText(t, "c:x")
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

// D4: after a time-out the next message was written at once and got the answer
// of the one before.
func TestD4_LateAnswerGoesToNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "warm up").wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := send(ctx, p, &pool.Turn{ID: "one", Key: key("a"), Text: "10s"})
		if err != nil || res.Outcome != pool.OutcomeInterrupted || res.Text != "" {
			t.Errorf("after the time-out: got %+v, %v, want an interrupted turn", res, err)
		}
		submit(p, "a", "2s").mustText(t, "a:2s")
	})
}

// D5: one line was one answer. The lines are read elsewhere; what lives here is
// that a turn lasts until its agent says so, whatever it writes before.
func TestD5_TurnLastsUntilTheAgentSaysSo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *pool.Turn) (*pool.Result, error) {
			for _, line := range []string{"one", "two", turn.Text} {
				turn.Output([]byte(line))
				time.Sleep(time.Second)
			}
			return &pool.Result{Outcome: pool.OutcomeSuccess, Text: turn.Text}, nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		var lines []string
		output := func(turn *pool.Turn) { turn.Output = func(l []byte) { lines = append(lines, string(l)) } }
		first, second := submit(p, "a", "A", output), submit(p, "a", "B", output)
		first.mustText(t, "A")
		second.mustText(t, "B")
		if got := fmt.Sprint(lines); got != "[one two A one two B]" {
			t.Errorf("got lines %v", got)
		}
	})
}

// D6: the idle timer ran from the start of a message and ended running turns.
func TestD6_IdleTimeoutNeverEndsATurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
		c := submit(p, "a", "1h")
		time.Sleep(30 * time.Minute)
		mustState(t, p, "a", pool.Busy)
		c.mustText(t, "a:1h")
		time.Sleep(time.Minute - time.Second)
		mustState(t, p, "a", pool.Idle)
		time.Sleep(2 * time.Second)
		mustState(t, p, "a", "")
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

// D8: after a time-out of its only message a process was "processing" for ever
// and never again the preferred victim.
func TestD8_InterruptedAgentIsIdleAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		c := submit(p, "a", "1h")
		submit(p, "b", "5s")
		time.Sleep(2 * time.Second)
		if err := p.Cancel(c.id); err != nil {
			t.Errorf("cancel: %v", err)
		}
		if c.wait(); c.err != nil || c.res.Outcome != pool.OutcomeInterrupted {
			t.Errorf("got %+v, %v, want an interrupted turn", c.res, c.err)
		}
		mustState(t, p, "a", pool.Idle)
		submit(p, "c", "1s").mustText(t, "c:1s")
		mustState(t, p, "a", "")
		mustState(t, p, "b", pool.Busy)
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
		p.Evict(only("evicted"))
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

// D11: terminateAll during a start left the process behind, and the pool went
// on to take work.
func TestD11_CloseDuringStartLeavesNothing(t *testing.T) {
	t.Run("start gives up", func(t *testing.T) { closeDuringStart(t, false) })
	t.Run("start comes late", func(t *testing.T) { closeDuringStart(t, true) })
}

func closeDuringStart(t *testing.T, late bool) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.start, h.late = 10*time.Second, late
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Second}, pool.Settings{IdleTimeout: time.Minute})
		c := submit(p, "a", "x")
		time.Sleep(time.Second)
		p.Close()
		c.mustErr(t, pool.ErrClosed)
		if _, live := h.count(); live != 0 {
			t.Errorf("%d processes are left", live)
		}
		submit(p, "a", "x").mustErr(t, pool.ErrClosed)
	})
}

// D12: lastUsed was always now and the time left always the whole time-out.
func TestD12_TimesAreThoseOfTheLastTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Hour})
		begin := time.Now()
		c := submit(p, "a", "10s").wait()
		time.Sleep(20 * time.Minute)
		got := process(p, "a")
		if !got.Started.Equal(begin) || !got.LastUsed.Equal(c.at) || !got.Until.Equal(c.at.Add(time.Hour)) || got.Why != "" {
			t.Errorf("got %+v, want started %v, last used %v", got, begin, c.at)
		}
		if !c.at.Equal(begin.Add(11 * time.Second)) {
			t.Errorf("the turn ended at %v, want 11 s after %v", c.at, begin)
		}
	})
}

// D13: the late exit of an old process took its successor off the map.
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
		if got := process(p, "a"); got.ID == old.id || got.State != pool.Idle {
			t.Errorf("got %+v, want another process, idle", got)
		}
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

// D15: a terminating process was handed out as usable.
func TestD15_AStoppingAgentGetsNoTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
		h.stop = 10 * time.Second
		submit(p, "a", "x").wait()
		old := h.last()
		time.Sleep(time.Minute + time.Second)
		mustState(t, p, "a", pool.Stopping)
		submit(p, "a", "y").mustText(t, "a:y")
		if old.sends.Load() != 1 {
			t.Errorf("the stopping agent got %d turns, want 1", old.sends.Load())
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

// D18: an idle time-out of 0 meant the default, and an interval of nothing a
// loop of 1 ms.
func TestD18_ZeroMeansNever(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "48h").wait()
		time.Sleep(1000 * time.Hour)
		got := process(p, "a")
		if got.State != pool.Idle || !got.Until.IsZero() || got.Why != "never: idle_timeout is 0" {
			t.Errorf("got %+v, want it idle, for ever, and why", got)
		}
		if n := types(p, ""); n[pool.HealthCheck]+n[pool.ProcessStalled] != 0 {
			t.Errorf("got %v, want no checks and no stalls", n)
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

// D20: no limit of a queue, no fairness, and a new configuration did not reach
// live processes. Groups and persistence live elsewhere; fairness has tests of
// its own.
func TestD20_QueueIsBoundedAndSettingsArrive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var mu sync.Mutex
		set := pool.Settings{QueueLimit: 2}
		p := pool.New(pool.Config{
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
