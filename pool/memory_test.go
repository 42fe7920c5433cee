package pool_test

import (
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// sizes gives each agent the memory of its team, from its first turn on.
func sizes(of map[string]int64) func(*fake) int64 {
	return func(a *fake) int64 {
		if a.sends.Load() == 0 {
			return 1
		}
		return of[a.key.Team]
	}
}

// ends lists the agents that were stopped, by team, with the reason.
func ends(p *testPool) map[string]string {
	all := map[string]string{}
	evs, _, _ := p.Events(0)
	for _, e := range evs {
		if e.Type == pool.ProcessTerminated {
			all[e.Key.Team] = e.Detail
		}
	}
	return all
}

func mustEnds(t *testing.T, p *testPool, want map[string]string) {
	t.Helper()
	synctest.Wait()
	got := ends(p)
	for team, why := range want {
		if got[team] != why {
			t.Errorf("%s went: %q, want %q", team, got[team], why)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// within is a limit of the memory of a large pool.
func within(limit int64) pool.Limits {
	return pool.Limits{MaxProcesses: 10, HealthCheckInterval: 30 * time.Second, MaxMemoryTotal: limit}
}

func TestMessageWaitsForMemoryThatBusyAgentsHave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = sizes(map[string]int64{"a": 100, "b": 100, "c": 100})
		p := h.pool(within(250), pool.Settings{Size: 100})
		submit(p, "a", "1m")
		b := submit(p, "b", "20s")
		time.Sleep(6 * time.Second)
		c := submit(p, "c", "1s")
		time.Sleep(time.Second)
		if n, why := p.Position(c.id); n != 1 || why != "memory" {
			t.Errorf("position %d, waits for %q", n, why)
		}
		c.mustText(t, "c:1s")
		if wait := c.begun.Sub(b.at); wait > 2*time.Second {
			t.Errorf("c began %v after the turn of b", wait)
		}
		mustEnds(t, p, map[string]string{"b": "made room for c: memory"})
	})
}

func TestLeastRecentlyUsedGoesForMemoryAndNoMoreThanNeeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = 10 * time.Second
		h.size = sizes(map[string]int64{"a": 50, "b": 100, "c": 100, "d": 100})
		p := h.pool(within(300), pool.Settings{Size: 100})
		for _, k := range []string{"a", "b", "c"} {
			submit(p, k, "1s").wait()
		}
		time.Sleep(6 * time.Second)
		submit(p, "d", "1s").mustText(t, "d:1s") // 50 are free, and a has 50
		mustEnds(t, p, map[string]string{"a": "made room for d: memory"})
		submit(p, "a", "1s").mustText(t, "a:1s")
		mustEnds(t, p, map[string]string{"a": "made room for d: memory", "b": "made room for a: memory"})
		if st := p.Snapshot(); st.Memory != 200 || st.MaxMemory != 300 {
			t.Errorf("%d bytes of %d", st.Memory, st.MaxMemory)
		}
	})
}

// What stands first in the order but does not suffice stays, if the next one is needed
// all the same and suffices alone.
func TestSmallAgentsStayIfALargerOneMustGoAnyway(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = sizes(map[string]int64{"small": 10, "tiny": 5, "big": 300, "new": 100})
		p := h.pool(within(320), pool.Settings{Size: 100})
		for _, k := range []string{"small", "tiny"} {
			submit(p, k, "1s").wait()
			time.Sleep(6 * time.Second)
		}
		submit(p, "big", "1s").wait()
		time.Sleep(6 * time.Second)
		submit(p, "new", "1s").mustText(t, "new:1s")
		mustEnds(t, p, map[string]string{"big": "made room for new: memory"})
	})
}

func TestOnlyAgentStartsWhateverItsSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = sizes(map[string]int64{"a": 500, "b": 500})
		h.memory = func() pool.Memory { return pool.Memory{Spare: -1000} }
		p := h.pool(within(100), pool.Settings{Size: 500})
		a, b := submit(p, "a", "1s"), submit(p, "b", "1s")
		a.mustText(t, "a:1s")
		b.mustText(t, "b:1s")
		mustEnds(t, p, map[string]string{"a": "made room for b: memory"})
	})
}

// Agents that start together do not each take the same free memory.
func TestStartingAgentsCountWithTheUsualSizeOfTheirTeam(t *testing.T) {
	for _, test := range []struct {
		name   string
		limit  int64
		spare  int64
		starts int
	}{
		{"limit", 250, pool.UnknownSpare, 2},
		{"machine", 10000, 250, 3}, // the first agent is there already
		{"room for all", 10000, 10000, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				h.size = sizes(map[string]int64{"a": 100})
				h.memory = func() pool.Memory { return pool.Memory{Spare: test.spare} }
				p := h.pool(within(test.limit), pool.Settings{Size: 100000})
				submit(p, "a@0", "1s").wait()
				submit(p, "a@0", "5m")
				time.Sleep(time.Minute) // measured: the size of the team is known
				for _, k := range []string{"a@1", "a@2", "a@3"} {
					submit(p, k, "1m")
				}
				time.Sleep(500 * time.Millisecond)
				h.mu.Lock()
				defer h.mu.Unlock()
				if started := len(h.starts); started != test.starts {
					t.Errorf("%d agents started, want %d", started, test.starts)
				}
			})
		})
	}
}

// The known fault of such pools: they stop small idle workers, which does not help,
// while a big busy one has the memory.
func TestBigBusyAgentIsReplacedAndSmallIdleOnesStay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = sizes(map[string]int64{"big": 900, "a": 10, "b": 10})
		p := h.pool(within(500), pool.Settings{MaxMemory: 400, Size: 10})
		for _, k := range []string{"a", "b"} {
			submit(p, k, "1s").wait()
		}
		big, next := submit(p, "big", "5m"), submit(p, "big", "1s")
		time.Sleep(4 * time.Minute)
		mustEnds(t, p, nil)
		c := submit(p, "c", "1s")
		time.Sleep(time.Second)
		if _, why := p.Position(c.id); why != "memory" {
			t.Errorf("c waits for %q", why)
		}
		big.mustText(t, "big:5m")
		next.mustText(t, "big:1s")
		c.mustText(t, "c:1s")
		mustEnds(t, p, map[string]string{"big": "memory over max_memory"})
		if next.proc.ID == big.proc.ID {
			t.Error("the big agent was not replaced")
		}
	})
}

func TestWhatIsOverTheLimitGoesAndNoMore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = time.Minute
		grown := map[string]int64{"a": 50, "b": 100, "c": 50}
		h.size = func(a *fake) int64 { h.mu.Lock(); defer h.mu.Unlock(); return grown[a.key.Team] }
		p := h.pool(within(300), pool.Settings{Size: 50})
		for _, k := range []string{"a", "b", "c"} {
			submit(p, k, "1s").wait()
		}
		c := submit(p, "c", "10m")
		h.mu.Lock()
		grown["c"] = 200
		h.mu.Unlock()
		time.Sleep(5 * time.Minute)
		mustEnds(t, p, map[string]string{"b": "over max_memory_total"})
		mustState(t, p, "a", pool.Idle)
		c.mustText(t, "c:10m")
	})
}

func TestRestoredAgentsKeepTheirMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = func(*fake) int64 { return 100 }
		p := h.pool(within(450), pool.Settings{Size: 100})
		hd, live := handed(t, h, &message{Turn: pool.Turn{ID: "old"}, Text: "1m"})
		for i := range hd.Agents {
			hd.Agents[i].Memory = 100
		}
		p.Restore(hd, live)
		if st := p.Snapshot(); st.Memory != 400 {
			t.Errorf("the agents use %d bytes, want 400", st.Memory)
		}
		p.Thaw()
		submit(p, "e", "1s").mustText(t, "e:1s")
		mustEnds(t, p, map[string]string{"b": "made room for e: memory"})
	})
}

func TestAgentInItsFirstTurnCountsWithTheUsualSize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.size = func(*fake) int64 { return 10 } // and grows later
		p := h.pool(within(250), pool.Settings{Size: 100})
		a := submit(p, "a", "3m")
		submit(p, "b", "5m")
		time.Sleep(2 * time.Minute)
		c := submit(p, "c", "1s")
		time.Sleep(time.Second)
		if _, why := p.Position(c.id); why != "memory" {
			t.Errorf("c waits for %q", why)
		}
		a.wait()
		c.mustText(t, "c:1s")
		mustEnds(t, p, nil) // after its turn the size of a is known
	})
}
