package pool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// A message that is cancelled in the same moment in which its agent becomes
// free either runs or does not: it ends once, and the agent serves the next.
func TestRaceCancelAndGrant(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
			first, second, third := submit(p, "a", "1s"), submit(p, "a", "1s"), submit(p, "a", "1s")
			time.Sleep(2 * time.Second) // the first ends now
			p.Cancel(second.id)
			first.mustText(t, "a:1s")
			if second.wait(); second.err != nil && !errors.Is(second.err, pool.ErrCancelled) {
				t.Errorf("got %v", second.err)
			}
			third.mustText(t, "a:1s")
			if n, _ := h.count(); n != 1 {
				t.Errorf("%d processes were started, want 1", n)
			}
		})
	}
}

// A start goes on when its caller gives up.
func TestRaceCancelAndStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "x")
		time.Sleep(500 * time.Millisecond)
		p.Cancel(c.id)
		c.mustErr(t, pool.ErrCancelled)
		mustState(t, p, "a", pool.Starting)
		time.Sleep(time.Second)
		mustState(t, p, "a", pool.Idle)
		if err := p.Cancel(c.id); !errors.Is(err, pool.ErrNotRunning) {
			t.Errorf("second cancel: got %v, want %v", err, pool.ErrNotRunning)
		}
	})
}

// A cancel that comes between the grant and the first byte keeps the agent and
// sends nothing.
func TestRaceCancelBeforeBegin(t *testing.T) {
	for _, late := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			h.stale = func(*fake) string { time.Sleep(time.Second); return "" }
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
			slow := func(turn *message) {
				turn.Begin = func(context.Context, proc) error { time.Sleep(time.Second); return nil }
			}
			c := submit(p, "a", "x", slow)
			time.Sleep(1500 * time.Millisecond)
			if late {
				time.Sleep(time.Second) // in Begin
			}
			p.Cancel(c.id)
			c.mustErr(t, pool.ErrCancelled)
			if a := h.last(); a.sends.Load() != 0 || process(p, "a").State != pool.Idle {
				t.Errorf("%d turns were sent, the agent is %q; want none, idle", a.sends.Load(), process(p, "a").State)
			}
			if n := types(p, ""); n[pool.MessageSent] != 0 || n[pool.MessageDropped] != 1 {
				t.Errorf("got %v", n)
			}
		})
	}
}

// Close in any moment of a start leaves nothing, whether the start gives up or comes
// late (D11: terminateAll during a start left the process behind).
func TestRaceCloseAndStart(t *testing.T) {
	for ms := range 60 {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			h.start, h.stop, h.late = 10*time.Millisecond, 10*time.Millisecond, ms >= 30
			p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Millisecond}, pool.Settings{IdleTimeout: time.Minute})
			calls := []*call{submit(p, "a", "5ms"), submit(p, "b", "5ms"), submit(p, "c", "5ms"), submit(p, "a", "5ms")}
			time.Sleep(time.Duration(ms%30) * time.Millisecond)
			var wg sync.WaitGroup
			wg.Go(p.Close)
			p.Close()
			wg.Wait()
			for _, c := range calls {
				if !c.ended() {
					t.Fatalf("%s has not ended", c.id)
				}
			}
			if _, live := h.count(); live != 0 || len(p.Snapshot().Processes) != 0 {
				t.Errorf("%d processes are left, the pool knows %v", live, p.Snapshot().Processes)
			}
		})
	}
}

// An agent that leaves between its grant and the first byte did not take the
// turn: another one does.
func TestRaceExitAndGrant(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stale = func(a *fake) string {
			if a.id == "p-1" {
				a.quit("exit status 1")
			}
			return ""
		}
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if a.Exit() != "" {
				return nil, fmt.Errorf("write: broken pipe: %w", pool.ErrNotDispatched)
			}
			return a.play(ctx, turn)
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "x")
		c.mustText(t, "a:x")
		if c.proc.ID != "p-2" {
			t.Errorf("the turn ran on %s, want p-2", c.proc.ID)
		}
		n := types(p, "")
		if n[pool.ProcessExited] != 1 || n[pool.ProcessTerminated] != 0 || n[pool.MessageSent] != n[pool.MessageResponse] {
			t.Errorf("got %v, want one exit and a response to each message sent", n)
		}
	})
}

// A message that comes as the idle time-out does is served, by the old agent or
// by a new one.
func TestRaceIdleTimerAndGrant(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
			submit(p, "a", "1s").wait()
			time.Sleep(time.Minute)
			submit(p, "a", "2s").mustText(t, "a:2s")
		})
	}
}

// A kill as a turn ends gives either the answer or ErrKilled, once.
func TestRaceKillAndFinish(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
			c := submit(p, "a", "1s")
			next := submit(p, "a", "1s")
			time.Sleep(2 * time.Second)
			p.Kill(only("a"))
			if c.wait(); c.err != nil && !errors.Is(c.err, pool.ErrKilled) {
				t.Errorf("got %v", c.err)
			}
			if next.wait(); next.err != nil && !errors.Is(next.err, pool.ErrKilled) {
				t.Errorf("the next: got %v", next.err)
			}
		})
	}
}

// Two evictions of one agent stop it once, and both return when it is gone.
func TestRaceEvictTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = time.Minute
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if stopped, later := p.Evict(all, "evicted"); len(stopped) != 1 || len(later) != 0 {
					t.Errorf("got %v, %v, want the one", stopped, later)
				}
				mustState(t, p, "a", "")
			})
		}
		wg.Wait()
		if n := types(p, ""); n[pool.ProcessTerminated] != 1 {
			t.Errorf("got %v, want one terminated", n)
		}
	})
}

// A kill of an agent that is being stopped waits for it as well.
func TestRaceKillAndIdleTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 10 * time.Second
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Minute})
		submit(p, "a", "1s").wait()
		time.Sleep(time.Minute + 5*time.Second)
		if got := p.Kill(all); len(got) != 1 {
			t.Errorf("got %v, want the one that stops", got)
		}
		mustState(t, p, "a", "")
	})
}

// Many callers do anything at any time; every message that was taken in ends
// once, and the house sees no process too many.
func TestAnythingAtAnyTime(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			h.start, h.stop = 300*time.Millisecond, 200*time.Millisecond
			h.startErr = func(k pool.Key, nth int) error {
				if nth%7 == 3 {
					return errors.New("no luck")
				}
				return nil
			}
			p := h.pool(pool.Limits{MaxProcesses: 3, FairWait: 5 * time.Second, HealthCheckInterval: 10 * time.Second},
				pool.Settings{IdleTimeout: 20 * time.Second, StallTimeout: 3 * time.Second, StallInterrupt: true, MaxMessages: 9})
			var wg sync.WaitGroup
			for i := range uint64(30) {
				wg.Go(func() { anything(p, rand.New(rand.NewPCG(seed, i))) })
			}
			wg.Wait()
			p.Drain(t.Context())
			st := p.Snapshot()
			if st.Queued != 0 || !st.Closed {
				t.Errorf("after the drain: %+v", st)
			}
			p.Close()
			n := types(p, "")
			if n[pool.ProcessSpawned] != n[pool.ProcessExited]+n[pool.ProcessTerminated] || n[pool.MessageSent] != n[pool.MessageResponse] {
				t.Errorf("events do not add up: %v", n)
			}
		})
	}
}

func anything(p *testPool, r *rand.Rand) {
	texts := []string{"10ms", "500ms", "2s", "5s", "die", "refuse", "deaf"}
	for range 6 {
		k := string(rune('a' + r.IntN(5)))
		time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
		switch r.IntN(13) {
		case 0:
			p.Kill(only(k))
		case 1:
			p.Evict(only(k), "evicted")
		case 2:
			p.Restart(only(k))
		case 3:
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			p.Wake(ctx, key(k))
			cancel()
		case 4:
			c := submit(p, k, texts[r.IntN(len(texts))])
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			p.Cancel(c.id)
			c.wait()
		case 5:
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			send(ctx, p, &message{Turn: pool.Turn{Key: key(k), Fresh: r.IntN(2) == 0}, Text: texts[r.IntN(len(texts))]})
			cancel()
		case 6:
			c := submit(p, k, "2s")
			parent := process(p, k).ID
			submit(p, "e", "1s", func(turn *message) { turn.Parent = parent }).wait()
			c.wait()
		case 7:
			p.Hold(key(k), "a person")
			c := submit(p, k, "1s", func(turn *message) { turn.IfIdle = true })
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			p.Position(c.id)
			p.Unhold(key(k))
			c.wait()
		default:
			submit(p, k, texts[r.IntN(len(texts))]).wait()
		}
	}
}

// The end of a turn is told before the next one of its key begins.
func TestRunReturnsBeforeTheNextBegins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		var told time.Time
		slow := func(turn *message) {
			finish := turn.Finish
			turn.Finish = func(r *result, err error) {
				mustState(t, p, "a", pool.Idle)
				time.Sleep(time.Minute)
				told = time.Now()
				finish(r, err)
			}
		}
		submit(p, "a", "1s", slow)
		next, other := submit(p, "a", "1s"), submit(p, "b", "1s")
		next.wait()
		other.wait()
		if next.begun.Before(told) || other.at.After(told) {
			t.Errorf("the next began at %v, the other ended at %v; the first was told at %v", next.begun, other.at, told)
		}
	})
}

// A Run may hand in the next message.
func TestRunMayCallThePool(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		next := make(chan *call, 1)
		submit(p, "a", "1s", func(turn *message) {
			turn.Finish = func(*result, error) { next <- submit(p, "a", "2s") }
		})
		(<-next).mustText(t, "a:2s")
		synctest.Wait()
		mustState(t, p, "a", pool.Idle)
	})
}
