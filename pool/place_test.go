package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// mustPlace wants a message to wait there, and for that.
func mustPlace(t *testing.T, p *pool.Pool, c *call, position int, waitsFor string) {
	t.Helper()
	synctest.Wait()
	if n, why := p.Place(c.id); n != position || why != waitsFor {
		t.Errorf("got %d %q, want %d %q", n, why, position, waitsFor)
	}
}

func TestPlaceSaysWhatIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		first := submit(p, "a", "10s")
		mustPlace(t, p, first, 1, "its agent to start")
		time.Sleep(5 * time.Second)
		second, third := submit(p, "a", "1s"), submit(p, "a", "1s")
		other, full := submit(p, "b", "10s"), submit(p, "c", "1s")
		time.Sleep(5 * time.Second / 2)
		mustPlace(t, p, first, 0, "")
		mustPlace(t, p, second, 1, "the turn before it")
		mustPlace(t, p, third, 2, "the turn before it")
		mustPlace(t, p, full, 1, "one of 2 agents")
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		mustPlace(t, p, full, 1, "the only agent there may be")
		p.Hold(key("a"))
		mustPlace(t, p, third, 2, "somebody to resolve the message before it")
		p.Release(key("a"))
		for _, c := range []*call{first, second, third, other, full} {
			c.wait()
			mustPlace(t, p, c, 0, "")
		}
	})
}

// Skip leaves nothing to read but what comes later.
func TestSkip(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		sub := p.Subscribe(0)
		defer sub.Close()
		sub.Skip()
		_, last, _ := p.Events(0)
		submit(p, "a", "1s").wait()
		if e, err := sub.Next(t.Context()); err != nil || e.Seq != last+1 {
			t.Errorf("got event %d, %v, want %d", e.Seq, err, last+1)
		}
	})
}
