package pool_test

import (
	"context"
	"testing"
	"time"

	"iris/pool"
)

// The tests in this file hold those defects of the pool that iris takes over that
// are about turns; see defects_test.go.

// D4: after a time-out the next message was written at once and got the answer
// of the one before.
func TestD4_LateAnswerGoesToNobodyElse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "warm up").wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		res, err := send(ctx, p, &message{Turn: pool.Turn{ID: "one", Key: key("a")}, Text: "10s"})
		if err != nil || res.Outcome != "interrupted" || res.Text != "" {
			t.Errorf("after the time-out: got %+v, %v, want an interrupted turn", res, err)
		}
		submit(p, "a", "2s").mustText(t, "a:2s")
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
		if c.wait(); c.err != nil || c.res.Outcome != "interrupted" {
			t.Errorf("got %+v, %v, want an interrupted turn", c.res, c.err)
		}
		mustState(t, p, "a", pool.Idle)
		submit(p, "c", "1s").mustText(t, "c:1s")
		mustState(t, p, "a", "")
		mustState(t, p, "b", pool.Busy)
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
