package pool_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

func kept(t *pool.Turn) { t.Kept = 1 }

func ifIdle(t *pool.Turn) { t.IfIdle = true }

// A limit that was lowered while the daemon was away refuses nobody whom the
// one before has accepted, and everybody else as long as they wait.
func TestKeptExceedsTheQueueLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{QueueLimit: 1})
		var calls []*call
		for range 3 {
			calls = append(calls, submit(p, "a", "1s", kept))
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

func TestKeptWaitsWhereOthersFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1, WhenFull: pool.WhenFullFail}, pool.Settings{})
		a := submit(p, "a", "1m")
		time.Sleep(2 * time.Second)
		b, c := submit(p, "b", "1s", kept), submit(p, "c", "1s", kept)
		submit(p, "d", "1s").mustErr(t, pool.ErrFull)
		a.mustText(t, "a:1m")
		submit(p, "d", "1s").mustErr(t, pool.ErrFull) // it is their turn
		b.mustText(t, "b:1s")
		c.mustText(t, "c:1s")
	})
}

func TestKeptWaitsForTheBreaker(t *testing.T) {
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
		if c := submit(p, "a", "1s", kept).wait(); !errors.As(c.err, &e) { // those that wait end, as ever
			t.Fatalf("got %v, want a StartError", c.err)
		}
		opened := time.Now()
		c, other := submit(p, "a", "1s", kept), submit(p, "a", "1s")
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

func TestKeptEndsWithTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(pool.Key, int) error { return &pool.StartError{Permanent: true, Err: errNoLuck} }
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a, b := submit(p, "a", "1s"), submit(p, "a", "1s", kept)
		a.mustErr(t, errNoLuck)
		b.mustErr(t, errNoLuck)
		p.Close()
		submit(p, "a", "1s", kept).mustErr(t, pool.ErrClosed)
	})
}

// Every kind of having something to do, one after the other.
func TestIfIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		refused := func() { t.Helper(); submit(p, "a", "1s", ifIdle).mustErr(t, pool.ErrBusy) }
		gone := make(chan struct{})
		p.Fence(key("a"), "old-1", 77, gone)
		refused()
		close(gone)
		synctest.Wait()
		told := make(chan struct{})
		slow := func(turn *pool.Turn) {
			finish := turn.Finish
			turn.Finish = func(r *pool.Result, err error) { finish(r, err); <-told }
		}
		c := submit(p, "a", "1m", ifIdle, slow)
		refused() // it waits for its agent
		submit(p, "a@other", "1s", ifIdle).mustText(t, "a@other:1s")
		time.Sleep(2 * time.Second)
		refused() // it runs
		dropped := submit(p, "a", "1s", slow)
		c.mustText(t, "a:1m")
		p.Cancel(dropped.id)
		dropped.wait()
		refused() // the first has not been told
		told <- struct{}{}
		synctest.Wait()
		refused() // nor has the one that never ran
		told <- struct{}{}
		synctest.Wait()
		submit(p, "a", "1s", ifIdle).mustText(t, "a:1s")
		synctest.Wait()
		submit(p, "a", "1s")
		submit(p, "a", "2s", ifIdle, kept).mustText(t, "a:2s")
	})
}

// A wake asks for an agent and says nothing, so it makes no conversation busy.
func TestIfIdleDoesNotCountWakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		var wg sync.WaitGroup
		wg.Go(func() { p.Wake(t.Context(), key("a")) })
		synctest.Wait()
		submit(p, "a", "1s", ifIdle).mustText(t, "a:1s")
		wg.Wait()
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

// Whatever is called while Begin sets the text, nobody but the agent reads it:
// the race detector would tell.
func TestBeginSetsTheText(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		late := func(turn *pool.Turn) {
			turn.Begin = func(context.Context, pool.Process) error {
				if turn.Text != "" && turn.Text != "refuse" {
					t.Errorf("the text is %q before Begin has set it", turn.Text)
				}
				time.Sleep(time.Second)
				if turn.Text == "" {
					turn.Text = "refuse" // and again for the next agent
				} else {
					turn.Text = "3s"
				}
				time.Sleep(time.Second)
				return nil
			}
		}
		c, next := submit(p, "a", "", late), submit(p, "a", "1s")
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			p.Snapshot()
			p.Position(c.id)
			p.Detach(c.id)
			p.Events(0)
			p.Reconfigure(pool.Limits{MaxProcesses: 1})
			submit(p, "a", "1s", func(turn *pool.Turn) { turn.ID = c.id }) // refused, or a new one at the end
		}
		c.mustText(t, "a:3s")
		next.mustText(t, "a:1s")
	})
}

func TestKeptComesInTheOrderOfAcceptance(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newHouse(t).pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		k := pool.Key{Team: "a"}
		p.Hold(k)
		var got []string
		for _, m := range []struct {
			id   string
			kept uint64
		}{{"new", 0}, {"third", 30}, {"first", 10}, {"second", 20}} {
			begin := func(context.Context, pool.Process) error { got = append(got, m.id); return nil }
			if _, err := p.Submit(&pool.Turn{ID: m.id, Key: k, Text: "1s", Kept: m.kept, Begin: begin}); err != nil {
				t.Fatal(err)
			}
		}
		if n := p.Position("first"); n != 1 {
			t.Errorf("the first one has place %d", n)
		}
		p.Release(k)
		time.Sleep(time.Minute)
		p.Snapshot() // after what the turns have done
		if want := []string{"first", "second", "third", "new"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
