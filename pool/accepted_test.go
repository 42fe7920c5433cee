package pool_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"iris/pool"
)

func accepted(t *message) { t.AcceptedSeq = 1 }

func ifIdle(t *message) { t.IfIdle = true }

// A limit that was lowered while the daemon was away refuses nobody whom the
// one before has accepted, and everybody else as long as they wait.
func TestAcceptedExceedsTheQueueLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{QueueLimit: 1})
		var calls []*call
		for range 3 {
			calls = append(calls, submit(p, "a", "1s", accepted))
		}
		submit(p, "a", "1s").mustErr(t, pool.ErrQueueFull)
		for i, c := range calls {
			if c.position != i+1 {
				t.Errorf("message %d is at position %d", i+1, c.position)
			}
			c.mustText(t, "a:1s")
		}
	})
}

func TestAcceptedWaitsWhereOthersFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, WhenFull: pool.WhenFullFail}, pool.Settings{})
		a := submit(p, "a", "1m")
		time.Sleep(2 * time.Second)
		b, c := submit(p, "b", "1s", accepted), submit(p, "c", "1s", accepted)
		submit(p, "d", "1s").mustErr(t, pool.ErrFull)
		a.mustText(t, "a:1m")
		submit(p, "d", "1s").mustErr(t, pool.ErrFull) // it is their turn
		b.mustText(t, "b:1s")
		c.mustText(t, "c:1s")
	})
}

func TestAcceptedWaitsForTheBreaker(t *testing.T) {
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
		var e *pool.StartError
		if c := submit(p, "a", "1s", accepted).wait(); !errors.As(c.err, &e) { // those that wait end, as ever
			t.Fatalf("got %v, want a StartError", c.err)
		}
		opened := time.Now()
		c, other := submit(p, "a", "1s", accepted), submit(p, "a", "1s")
		if !other.ended() || !errors.As(other.err, &e) || c.ended() {
			t.Fatalf("the other: %v, ended: %v; want only that one to be refused", other.err, c.ended())
		}
		works.Store(true)
		c.mustText(t, "a:1s")
		if d := c.begun.Sub(opened); d < e.Retry || d > e.Retry+2*time.Second {
			t.Errorf("it began after %v, want after the %v that the breaker said", d, e.Retry)
		}
	})
}

func TestAcceptedEndsWithTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(pool.Key, int) error { return &pool.StartError{Permanent: true, Err: errNoLuck} }
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a, b := submit(p, "a", "1s"), submit(p, "a", "1s", accepted)
		a.mustErr(t, errNoLuck)
		b.mustErr(t, errNoLuck)
		p.Close()
		submit(p, "a", "1s", accepted).mustErr(t, pool.ErrClosed)
	})
}

// What was accepted before goes first, in the order of its acceptance, however it comes in.
func TestAcceptedGoesInTheOrderOfItsAcceptance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		p.Hold(key("a"), "a person")
		var got []uint64
		var calls []*call
		for _, seq := range []uint64{0, 5, 0, 3, 7, 3} {
			calls = append(calls, submit(p, "a", "1s", func(m *message) {
				m.AcceptedSeq = seq
				m.Begin = func(context.Context, proc) error { got = append(got, seq); return nil }
			}))
		}
		p.Unhold(key("a"))
		for _, c := range calls {
			c.wait()
		}
		if want := []uint64{3, 3, 5, 7, 0, 0}; !slices.Equal(got, want) {
			t.Errorf("got %d, want %d", got, want)
		}
	})
}

func TestRaceTwoIfIdle(t *testing.T) {
	for range 20 {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
			var taken, busy atomic.Int64
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					switch c := submit(p, "a", "1s", ifIdle).wait(); {
					case c.err == nil:
						taken.Add(1)
					case errors.Is(c.err, pool.ErrBusy):
						busy.Add(1)
					}
				})
			}
			wg.Wait()
			if taken.Load() != 1 || busy.Load() != 7 {
				t.Errorf("%d taken, %d busy, want 1 and 7", taken.Load(), busy.Load())
			}
		})
	}
}
