package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

// worker has the pool have an agent of "a" that works by itself.
func worker(t *testing.T, p *testPool) proc {
	t.Helper()
	submit(p, "a", "0s").wait()
	synctest.Wait()
	a := process(p, "a")
	p.Works(a.ID, "scheduler")
	if a = process(p, "a"); a.State != pool.Busy || a.Works != "scheduler" || a.Turn != "" || a.TurnSince.IsZero() || !a.Until.IsZero() {
		t.Fatalf("got %+v", a)
	}
	return a
}

func TestAgentThatWorksByItselfIsNoVictim(t *testing.T) {
	for _, full := range []pool.WhenFull{pool.WhenFullWait, pool.WhenFullEvict} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 1, WhenFull: full}, pool.Settings{IdleTimeout: time.Minute})
			a := worker(t, p)
			b := submit(p, "b", "0s")
			time.Sleep(time.Hour)
			if got := process(p, "a"); b.ended() || got.ID != a.ID || got.State != pool.Busy {
				t.Fatalf("ended: %v, got %+v", b.ended(), got)
			}
			if _, err := p.EvictOldest(); !errors.Is(err, pool.ErrNotRunning) {
				t.Errorf("evicted: %v", err)
			}
			p.Works(a.ID, "")
			b.mustText(t, "b:0s")
			mustState(t, p, "a", "")
		})
	}
}

func TestAgentIsUsedUntilItsOwnWorkIsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{IdleTimeout: 2 * time.Hour})
		a := worker(t, p)
		submit(p, "b", "0s").wait()
		time.Sleep(time.Hour)
		p.Works(a.ID, "")
		if got := process(p, "a"); got.State != pool.Idle || got.Works != "" || time.Until(got.Until) != 2*time.Hour {
			t.Errorf("got %+v", got)
		}
		if proc, err := p.EvictOldest(); err != nil || proc.Key != key("b") {
			t.Errorf("evicted %v, want b (%v)", proc.Key, err)
		}
	})
}

// A message of its own key goes to it at once, unless that needs another agent.
func TestMessageToAnAgentThatWorksByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		a := worker(t, p)
		same := submit(p, "a", "1s")
		if same.position != 0 {
			t.Errorf("position %d", same.position)
		}
		same.mustText(t, "a:1s")
		if got := process(p, "a"); got.ID != a.ID || got.State != pool.Busy || got.Works == "" {
			t.Errorf("after the turn: %+v", got)
		}
		other := submit(p, "a", "2s", as(turn.Variant{Model: "x"}))
		time.Sleep(time.Minute)
		if _, why := p.Position(other.id); other.ended() || other.position != 1 || why != "its agent to end what it does by itself: scheduler" {
			t.Errorf("ended: %v, position %d, waits for %s", other.ended(), other.position, why)
		}
		p.Works(a.ID, "")
		other.mustText(t, "a:2s")
	})
}

func TestWorkIsNotEndedByWhatReplacesAgents(t *testing.T) {
	for name, replace := range map[string]func(h *house, p *testPool){
		"a lower bound": func(_ *house, p *testPool) {
			submit(p, "b", "0s").wait()
			p.Reconfigure(pool.Limits{MaxProcesses: 0})
		},
		"evict":   func(_ *house, p *testPool) { p.Evict(only("a"), "evicted") },
		"restart": func(_ *house, p *testPool) { p.Restart(only("a")) },
		"stale": func(h *house, p *testPool) {
			submit(p, "a", "0s")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
				a := worker(t, p)
				h.stale = func(f *fake) string {
					if f.id == a.ID {
						return "changed"
					}
					return ""
				}
				replace(h, p)
				time.Sleep(time.Minute)
				if got := process(p, "a"); got.ID != a.ID || got.State != pool.Busy {
					t.Fatalf("got %+v", got)
				}
				p.Works(a.ID, "")
				time.Sleep(time.Minute)
				if got := process(p, "a"); got.ID == a.ID {
					t.Errorf("it stays: %+v", got)
				}
			})
		})
	}
}

func TestKillEndsWhatAnAgentDoesByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		worker(t, p)
		if killed := p.Kill(only("a")); len(killed) != 1 {
			t.Errorf("killed %v", killed)
		}
		submit(p, "b", "0s").mustText(t, "b:0s")
	})
}

func TestDrainWaitsForWhatAgentsDoByThemselves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := worker(t, p)
		begun := time.Now()
		time.AfterFunc(time.Minute, func() { p.Works(a.ID, "") })
		p.Drain(context.Background())
		if took := time.Since(begun); took != time.Minute {
			t.Errorf("drained after %v", took)
		}
		synctest.Wait()
		mustState(t, p, "a", "")
	})
}

func TestWorkThatHangsIsReportedAndLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{StallTimeout: time.Minute, StallInterrupt: true})
		a := worker(t, p)
		time.Sleep(time.Hour)
		if n := types(p, a.ID); n[pool.ProcessStalled] != 1 {
			t.Errorf("events %v", n)
		}
		mustState(t, p, "a", pool.Busy)
	})
}

// A message that own work sends and waits for could not run if it needs the place of
// that agent.
func TestDeadlockOfWorkByItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := worker(t, p)
		for _, k := range []string{"a", "b"} {
			submit(p, k, "1s", func(m *message) { m.Parent = a.ID }).mustErr(t, pool.ErrDeadlock)
		}
	})
}

func TestConversationOfAWorkingAgentIsNotIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := worker(t, p)
		submit(p, "a", "1s", ifIdle).mustErr(t, pool.ErrBusy)
		if !p.Busy() {
			t.Error("the pool is not busy")
		}
		p.Works(a.ID, "")
		submit(p, "a", "1s", ifIdle).mustText(t, "a:1s")
	})
}

func TestOwnTurnsAreCountedAndTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := worker(t, p)
		running := submit(p, "a", "1s")
		p.OwnTurn(a.ID, "scheduler: success, $0.01")
		p.OwnTurn("gone", "scheduler: success, $0.01")
		events, _, _ := p.Events(0)
		last := events[len(events)-1]
		if last.Type != pool.OwnTurn || last.Process != a.ID || last.Message != "" || last.Detail != "scheduler: success, $0.01" {
			t.Errorf("got %+v", last)
		}
		running.wait()
		if got := process(p, "a"); got.Own != 1 || got.Messages != 2 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWorkIsHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.start = 0
		p := h.pool(pool.Limits{MaxProcesses: 4}, pool.Settings{})
		running := &message{Turn: pool.Turn{ID: "old"}, Text: "5s"}
		hd, live := handed(t, h, running)
		hd.Agents[0].Works, hd.Agents[0].WorksSince, hd.Agents[0].Own = "scheduler", time.Now().Add(-time.Minute), 3
		hd.Agents[3].Works = "subagents"
		p.Restore(hd, live)
		if b, d := process(p, "b"), process(p, "d"); b.State != pool.Busy || b.Own != 3 || time.Since(b.TurnSince) != time.Minute || d.Works != "subagents" || d.Turn != "old" {
			t.Errorf("got %+v and %+v", b, d)
		}
		if again, quiescent := p.Handoff(); !quiescent || again.Agents[2].Works != "scheduler" || again.Agents[2].WorksSince != hd.Agents[0].WorksSince || again.Agents[2].Own != 3 || again.Agents[3].Works != "subagents" {
			t.Errorf("quiescent: %v, handed on: %+v", quiescent, again.Agents)
		}
		p.Thaw()
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		time.Sleep(time.Minute)
		if n := len(p.Snapshot().Processes); n != 2 {
			t.Errorf("%d agents, want the two that work", n)
		}
		p.Works("p-1", "")
		p.Works("p-4", "")
		synctest.Wait()
		if n := len(p.Snapshot().Processes); n != 1 {
			t.Errorf("%d agents", n)
		}
	})
}
