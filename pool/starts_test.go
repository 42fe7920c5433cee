package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

var errNoLuck = errors.New("fork: resource temporarily unavailable")

func TestFailedStartIsTriedAgainLater(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(k pool.Key, nth int) error {
			if nth <= 2 {
				return errNoLuck
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		begin := time.Now()
		a, b := submit(p, "a", "1s"), submit(p, "a", "2s")
		time.Sleep(1500 * time.Millisecond)
		st := p.Snapshot()
		if st.Queued != 2 || len(st.Broken) != 1 || st.Broken[0].Failures != 1 || !errors.Is(st.Broken[0].Err, errNoLuck) || st.Broken[0].Retry <= 0 {
			t.Errorf("got %+v, want two messages that wait behind one failure", st)
		}
		a.mustText(t, "a:1s")
		b.mustText(t, "a:2s")
		// Three starts of 1 s, 1 to 2 s and 2 to 4 s between them, two turns.
		if d := b.at.Sub(begin); d < 9*time.Second || d > 12*time.Second {
			t.Errorf("it took %v, want 9 to 12 s", d)
		}
		if st := p.Snapshot(); len(st.Broken) != 0 {
			t.Errorf("a ready agent has not reset %+v", st.Broken)
		}
	})
}

func TestBreaker(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		var works atomic.Bool
		h.startErr = func(pool.Key, int) error {
			if works.Load() {
				return nil
			}
			return errNoLuck
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a, b := submit(p, "a", "1s"), submit(p, "a", "2s")
		var e *pool.StartError
		for _, c := range []*call{a, b} {
			if c.wait(); !errors.As(c.err, &e) || e.Retry < 4*time.Second || e.Retry > 8*time.Second || !errors.Is(c.err, errNoLuck) {
				t.Fatalf("got %v, want a StartError with 4 to 8 s to wait", c.err)
			}
		}
		if h.starts[key("a")] != 3 {
			t.Errorf("%d starts, want 3", h.starts[key("a")])
		}
		c := submit(p, "a", "1s") // open: refused at once
		if !c.ended() || !errors.As(c.err, &e) || e.Retry <= 0 || e.Team != "a" || !strings.Contains(e.Error(), "next try in") {
			t.Errorf("got %v, want to be refused", c.err)
		}
		if _, err := p.Wake(t.Context(), key("a")); !errors.As(err, &e) {
			t.Errorf("wake: got %v, want to be refused", err)
		}
		time.Sleep(e.Retry)
		half, more := submit(p, "a", "1s"), submit(p, "a", "1s") // half open: one start for both
		half.wait()
		more.wait()
		if h.starts[key("a")] != 4 || !errors.As(half.err, &e) || e.Retry < 8*time.Second || e.Retry > 16*time.Second {
			t.Errorf("%d starts, %v; want 4 and 8 to 16 s to wait", h.starts[key("a")], half.err)
		}
		time.Sleep(e.Retry)
		works.Store(true)
		submit(p, "a", "1s").mustText(t, "a:1s")
		if st := p.Snapshot(); len(st.Broken) != 0 {
			t.Errorf("still broken: %+v", st.Broken)
		}
	})
}

// The failing key does not hold up the others, and its place is free.
func TestBackOffHoldsNoPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(k pool.Key, nth int) error {
			if k.Team == "bad" && nth == 1 {
				return errNoLuck
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		bad, good := submit(p, "bad", "1s"), submit(p, "good", "500ms")
		good.mustText(t, "good:500ms")
		bad.mustText(t, "bad:1s")
		if good.at.After(bad.begun) {
			t.Errorf("the good one ended at %v, after the bad one began at %v", good.at, bad.begun)
		}
	})
}

func TestFailuresAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(pool.Key, int) error { return errNoLuck }
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		time.Sleep(9 * time.Minute)
		if n := len(p.Snapshot().Broken); n != 1 {
			t.Errorf("%d broken, want 1", n)
		}
		time.Sleep(2 * time.Minute)
		if n := len(p.Snapshot().Broken); n != 0 {
			t.Errorf("%d broken, want 0", n)
		}
	})
}

func TestPermanentFailureEndsAllThatWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(pool.Key, int) error {
			return &pool.StartError{Team: "a", Permanent: true, Err: errors.New(`exec: "claude": not found`)}
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		begin := time.Now()
		var e *pool.StartError
		for _, c := range []*call{submit(p, "a", "1"), submit(p, "a", "2")} {
			if c.wait(); !errors.As(c.err, &e) || !e.Permanent || e.Retry != 0 || !c.at.Equal(begin.Add(time.Second)) || strings.Contains(e.Error(), "next try") {
				t.Errorf("got %v at %v", c.err, c.at)
			}
		}
		submit(p, "a", "3").wait()
		if n := h.starts[key("a")]; n != 2 {
			t.Errorf("%d starts, want one for the first two messages and one for the third", n)
		}
		if n := types(p, ""); n[pool.ProcessSpawned] != 0 || n[pool.ProcessError] != 2 || n[pool.MessageDropped] != 3 {
			t.Errorf("got %v", n)
		}
	})
}

func TestStartsAtATime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := pool.New(pool.Config[*fake]{Limits: pool.Limits{MaxProcesses: 20}, Start: h.Start, Starts: 3})
		defer p.Close()
		var calls []*call
		for i := range 20 {
			calls = append(calls, submit(p, string(rune('a'+i)), "1h"))
		}
		for _, c := range calls {
			c.wait()
		}
		if h.peak != 3 {
			t.Errorf("%d starts at a time, want 3", h.peak)
		}
	})
}

// Room is made only for those who may start: the other agents stay warm.
func TestNoVictimForAStartThatHasToWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := pool.New(pool.Config[*fake]{Limits: pool.Limits{MaxProcesses: 4}, Start: h.Start, Starts: 1})
		defer p.Close()
		for _, k := range []string{"a", "b", "c", "d"} {
			submit(p, k, "1ms").wait()
		}
		for _, k := range []string{"e", "f", "g"} {
			submit(p, k, "1h")
		}
		time.Sleep(500 * time.Millisecond)
		mustState(t, p, "a", "")
		mustState(t, p, "b", pool.Idle)
		time.Sleep(time.Second)
		mustState(t, p, "b", "")
		mustState(t, p, "c", pool.Idle)
	})
}

func TestStaleAgentIsReplacedBeforeTheTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = time.Second
		h.stale = func(a *fake) string {
			if a.id == "p-1" && a.sends.Load() > 0 {
				return "CLAUDE.md changed"
			}
			return ""
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		c, next := submit(p, "a", "2s"), submit(p, "a", "3s")
		synctest.Wait()
		if got := process(p, "a"); got.State != pool.Stopping || got.Why != "CLAUDE.md changed" || got.Queue != 2 {
			t.Errorf("got %+v, want it to stop, and why", got)
		}
		time.Sleep(1500 * time.Millisecond)
		if got := process(p, "a"); got.State != pool.Starting || got.Why != "CLAUDE.md changed" {
			t.Errorf("got %+v, want another to start, and why", got)
		}
		c.mustText(t, "a:2s")
		next.mustText(t, "a:3s")
		if next.begun.Before(c.at) || c.proc.ID != "p-2" {
			t.Errorf("the order is lost: %v, %v on %s", c.at, next.begun, c.proc.ID)
		}
		synctest.Wait()
		if got := process(p, "a"); !strings.Contains(got.Why, "new: CLAUDE.md changed") {
			t.Errorf("the new agent does not say why it is there: %+v", got)
		}
	})
}

// An agent that is always stale is used after a few tries.
func TestAlwaysStaleIsUsed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stale = func(*fake) string { return "the clock is wrong" }
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").mustText(t, "a:1s")
		if n, _ := h.count(); n != 4 {
			t.Errorf("%d processes were started, want 4", n)
		}
	})
}

func TestNotDispatchedGoesToAnotherAgent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if a.id == "p-1" {
				return nil, pool.ErrNotDispatched
			}
			return a.play(ctx, turn)
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		begins := 0
		counting := func(turn *message) { turn.Begin = func(context.Context, proc) error { begins++; return nil } }
		c, next := submit(p, "a", "1s", counting), submit(p, "a", "2s")
		c.mustText(t, "a:1s")
		next.mustText(t, "a:2s")
		if begins != 2 || next.begun.Before(c.at) {
			t.Errorf("%d begins, want 2, and the order kept", begins)
		}
		submit(p, "a", "x").wait()
		if n := h.last().id; n != "p-2" {
			t.Errorf("the last agent is %s, want p-2", n)
		}
	})
}

func TestNeverDispatchedEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "refuse").mustErr(t, pool.ErrNotDispatched)
		if n, _ := h.count(); n != 4 {
			t.Errorf("%d agents were tried, want 4", n)
		}
		submit(p, "a", "1s").mustText(t, "a:1s")
	})
}

// A full disk says nothing about the message. The start of each agent waits for space.
func TestLackOfRoomDoesNotCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if a.id != "p-7" {
				return nil, fmt.Errorf("%w: %w", pool.ErrNotDispatched, syscall.ENOSPC)
			}
			return a.play(ctx, turn)
		}
		submit(h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{}), "a", "1s").mustText(t, "a:1s")
	})
}

// If no agent has taken a message when the pool closes, closing has not ended it: its
// sender may keep it.
func TestNotDispatchedWhenThePoolCloses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if turn.Text == "busy" {
				time.Sleep(time.Minute)
				return nil, pool.ErrNotDispatched
			}
			return a.play(ctx, turn)
		}
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		busy := submit(p, "a", "busy")
		begins := submit(p, "b", "1s", func(turn *message) {
			turn.Begin = func(context.Context, proc) error { time.Sleep(time.Minute); return nil }
		})
		time.Sleep(time.Second)
		p.Close()
		busy.mustErr(t, pool.ErrClosed)
		begins.mustErr(t, pool.ErrClosed)
	})
}

func TestBrokenTurnEndsTheAgent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if turn.Text == "garbage" {
				return nil, pool.ErrUnknown
			}
			return a.play(ctx, turn)
		}
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		c, next := submit(p, "a", "garbage"), submit(p, "a", "1s")
		c.mustErr(t, pool.ErrUnknown)
		next.mustText(t, "a:1s")
		if h.agents[0].stops.Load() != 1 || h.agents[0].sends.Load() != 1 || next.proc.ID != "p-2" {
			t.Errorf("the broken agent was stopped %d times and had %d turns", h.agents[0].stops.Load(), h.agents[0].sends.Load())
		}
	})
}

func TestBeginCanRefuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		submit(p, "old", "1s").wait()
		submit(p, "a", "1s").wait()
		full := errors.New("no space left on device")
		submit(p, "old", "x", func(turn *message) { turn.Begin = func(context.Context, proc) error { return full } }).mustErr(t, full)
		got := process(p, "old")
		if got.State != pool.Idle || got.Messages != 1 {
			t.Errorf("got %+v, want it idle, one message", got)
		}
		submit(p, "b", "1s").wait() // it was not a use: still the oldest
		mustState(t, p, "old", "")
		mustState(t, p, "a", pool.Idle)
	})
}

func TestFreshTurnHasAnAgentOfItsOwn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		one, two, after := submit(p, "a", "2s", fresh), submit(p, "a", "3s", fresh), submit(p, "a", "4s")
		one.mustText(t, "a:2s")
		two.mustText(t, "a:3s")
		after.mustText(t, "a:4s")
		var got []bool
		for _, a := range h.agents {
			if got = append(got, a.fresh); a.sends.Load() != 1 {
				t.Errorf("%s had %d turns, want 1", a.id, a.sends.Load())
			}
		}
		if want := []bool{false, true, true, false}; len(got) != 4 || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
			t.Errorf("got fresh agents %v, want %v", got, want)
		}
	})
}

// A fresh agent that nobody waits for any more is of no use to anybody.
func TestUnwantedFreshAgentGoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "1s", fresh)
		synctest.Wait()
		p.Cancel(c.id)
		time.Sleep(2 * time.Second)
		mustState(t, p, "a", "")
	})
}
