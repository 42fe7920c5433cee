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

func TestDrain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		submit(p, "idle", "1s").wait()
		running, waiting := submit(p, "a", "1m"), submit(p, "a", "1s")
		time.Sleep(2 * time.Second)
		starting := submit(p, "b", "1s")
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() { p.Drain(t.Context()) })
		synctest.Wait()
		waiting.mustErr(t, pool.ErrClosed)
		starting.mustErr(t, pool.ErrClosed)
		submit(p, "a", "1s").mustErr(t, pool.ErrClosed)
		if _, err := p.Wake(t.Context(), key("idle")); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("wake: got %v", err)
		}
		mustState(t, p, "idle", "")
		wg.Wait()
		if !running.ended() || running.err != nil {
			t.Errorf("after the drain: ended %v, %v; want the answer", running.ended(), running.err)
		}
		p.Drain(t.Context())
	})
}

// A turn that no agent has taken when the pool closes is left to the next daemon, unless
// somebody has cancelled it: that stands.
func TestCloseLeavesWhatNoAgentHasTaken(t *testing.T) {
	for cancelled, want := range map[bool]error{false: pool.ErrClosed, true: pool.ErrCancelled} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			h.send = func(ctx context.Context, a *fake, _ *message) (*result, error) {
				select {
				case <-ctx.Done():
				case <-a.done:
				}
				time.Sleep(time.Second)
				return nil, pool.ErrNotDispatched
			}
			p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
			a := submit(p, "a", "1s")
			time.Sleep(2 * time.Second)
			if cancelled {
				p.Cancel(a.id)
			}
			p.Close()
			a.mustErr(t, want)
		})
	}
}

func TestDrainStartsNothingAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		c := submit(p, "a", "1m")
		time.Sleep(2 * time.Second)
		p.Restart(all)
		p.Drain(t.Context())
		c.mustText(t, "a:1m")
		time.Sleep(time.Minute)
		if n, live := h.count(); n != 1 || live != 0 {
			t.Errorf("%d started, %d live, want 1 and none", n, live)
		}
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 3 * time.Second
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		a, b := submit(p, "a", "1h"), submit(p, "b", "1h")
		time.Sleep(2 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		p.Drain(ctx)
		if d := time.Since(begin); d != 10*time.Second || a.ended() {
			t.Errorf("the drain took %v, the turn has ended: %v", d, a.ended())
		}
		p.Close() // all at once
		if d := time.Since(begin); d != 13*time.Second {
			t.Errorf("drain and close took %v, want 13 s", d)
		}
		a.mustErr(t, pool.ErrShutdown)
		b.mustErr(t, pool.ErrShutdown)
		p.Close()
		p.AddOrphan(key("x"), "old-1", 1, nil)
		if st := p.Snapshot(); len(st.Processes) != 0 || !st.Closed {
			t.Errorf("got %+v", st)
		}
	})
}
