package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// mustWait checks that a message waits at that position, and for that reason.
func mustWait(t *testing.T, p *testPool, c *call, position int, waitsFor string) {
	t.Helper()
	synctest.Wait()
	if n, why := p.Position(c.id); n != position || why != waitsFor {
		t.Errorf("got %d %q, want %d %q", n, why, position, waitsFor)
	}
}

func TestPositionSaysWhatIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		first := submit(p, "a", "10s")
		mustWait(t, p, first, 1, "its agent to start")
		time.Sleep(5 * time.Second)
		second, third := submit(p, "a", "1s"), submit(p, "a", "1s")
		other, full := submit(p, "b", "10s"), submit(p, "c", "1s")
		time.Sleep(5 * time.Second / 2)
		mustWait(t, p, first, 0, "")
		mustWait(t, p, second, 1, "the turn before it")
		mustWait(t, p, third, 2, "the turn before it")
		mustWait(t, p, full, 1, "one of 2 agents")
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		mustWait(t, p, full, 1, "the only agent there may be")
		p.Hold(key("a"), "a person")
		mustWait(t, p, third, 2, "a person")
		p.Unhold(key("a"))
		for _, c := range []*call{first, second, third, other, full} {
			c.wait()
			mustWait(t, p, c, 0, "")
		}
	})
}

func TestPositionSaysWhatItsAgentWaitsFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 10 * time.Second
		h.startErr = func(k pool.Key, nth int) error {
			if k == key("b") && nth == 1 {
				return errNoLuck
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := submit(p, "a", "1s")
		b := submit(p, "b", "1s")
		mustWait(t, p, b, 1, "the only agent there may be")
		a.wait()
		again := submit(p, "a", "1s")
		mustWait(t, p, again, 1, "its old agent to leave")
		time.Sleep(h.stop + h.start + time.Second/2) // b has failed to start
		mustWait(t, p, b, 1, "the next try to start an agent")
		b.mustText(t, "b:1s")
		again.mustText(t, "a:1s")
	})
}
