package pool_test

import (
	"testing"
	"time"

	"iris/pool"
)

func TestOrphanIsNotRoomOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		p.AddOrphan(key("a"), "old-1", 1, make(chan struct{}))
		submit(p, "b", "1s").mustText(t, "b:1s")
		submit(p, "c", "1s").mustText(t, "c:1s") // b had to go
	})
}

func TestLowerBoundDrains(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 4}, pool.Settings{})
		for _, k := range []string{"a", "b"} {
			submit(p, k, "1s").wait()
		}
		c, d := submit(p, "c", "10s"), submit(p, "d", "20s")
		more := submit(p, "c", "1s")
		time.Sleep(2 * time.Second)
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		time.Sleep(time.Second)
		if st := p.Snapshot(); len(st.Processes) != 2 || st.Max != 1 {
			t.Errorf("got %+v, want the busy two", st)
		}
		c.mustText(t, "c:10s")
		mustState(t, p, "d", pool.Busy)
		if got := process(p, "c"); got.State == pool.Idle || got.State == pool.Busy {
			t.Errorf("got %+v, want c to leave after its turn", got)
		}
		h.mu.Lock()
		h.max = 1
		h.mu.Unlock()
		d.mustText(t, "d:20s")
		more.mustText(t, "c:1s")
		p.Reconfigure(pool.Limits{MaxProcesses: 4})
		h.mu.Lock()
		h.max = 4
		h.mu.Unlock()
		submit(p, "a", "1s").wait()
		if n := len(p.Snapshot().Processes); n != 2 {
			t.Errorf("%d processes, want 2", n)
		}
	})
}

func TestWhenFullEvict(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2, WhenFull: pool.WhenFullEvict}, pool.Settings{})
		old := submit(p, "old", "1h")
		time.Sleep(2 * time.Second)
		young := submit(p, "young", "1h")
		time.Sleep(2 * time.Second)
		c := submit(p, "c", "1s")
		old.mustErr(t, pool.ErrEvicted)
		c.mustText(t, "c:1s")
		if young.ended() {
			t.Error("the younger turn has ended as well")
		}
		submit(p, "d", "1s").mustText(t, "d:1s") // c is idle: no turn has to end
		if young.ended() {
			t.Error("a turn was ended while an agent was idle")
		}
	})
}

// The turn that waits for the message is not ended to make room for it.
func TestWhenFullEvictSparesThoseWhoWaitForTheMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2, WhenFull: pool.WhenFullEvict}, pool.Settings{})
		parent := submit(p, "parent", "1h")
		time.Sleep(2 * time.Second)
		other := submit(p, "other", "1h")
		time.Sleep(2 * time.Second)
		submit(p, "child", "1s", from(parent)).mustText(t, "child:1s")
		other.mustErr(t, pool.ErrEvicted)
		if parent.ended() {
			t.Error("the parent's turn has ended")
		}
	})
}

func TestWhenFullFailCountsWhatIsOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 10 * time.Second
		p := h.pool(pool.Limits{MaxProcesses: 2, WhenFull: pool.WhenFullFail}, pool.Settings{})
		submit(p, "a", "1s").wait()
		submit(p, "b", "1h")
		c := submit(p, "c", "1s") // a goes for it
		submit(p, "d", "1s").mustErr(t, pool.ErrFull)
		submit(p, "a", "1s").mustErr(t, pool.ErrFull) // and would have to come back
		more := submit(p, "c", "2s")
		c.mustText(t, "c:1s")
		more.mustText(t, "c:2s")
	})
}

// The place of an agent that goes is not free if its own next message takes it again, and
// free if nobody does.
func TestWhenFullFailCountsThePlaceOfAnAgentThatGoes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 10 * time.Second
		p := h.pool(pool.Limits{MaxProcesses: 1, WhenFull: pool.WhenFullFail}, pool.Settings{})
		submit(p, "a", "1s").wait()
		next := submit(p, "a", "1s", fresh) // needs another agent
		mustState(t, p, "a", pool.Stopping)
		submit(p, "b", "1s").mustErr(t, pool.ErrFull)
		next.mustText(t, "a:1s")
		mustState(t, p, "a", pool.Stopping) // it was for that message alone
		submit(p, "b", "1s").mustText(t, "b:1s")
	})
}

// An agent that is replaced leaves no place to another team: for that team an idle agent goes
// at once.
func TestPlaceOfAnAgentThatIsReplacedIsTaken(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		submit(p, "a", "1s").wait()
		submit(p, "b", "1s").wait()
		h.stop = 10 * time.Second
		submit(p, "a", "1s", fresh)
		mustState(t, p, "a", pool.Stopping)
		submit(p, "c", "1s")
		mustState(t, p, "b", pool.Stopping)
	})
}
