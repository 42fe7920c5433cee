package pool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

// freeze waits at most d, which is time of the bubble.
func freeze(p *testPool, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	return p.Freeze(ctx)
}

func TestFrozenPoolBeginsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2, HealthCheckInterval: time.Second}, pool.Settings{IdleTimeout: time.Minute})
		submit(p, "a", "0s").wait()
		running := submit(p, "b", "30s")
		time.Sleep(2 * time.Second)
		if err := freeze(p, time.Second); err != nil {
			t.Fatal(err)
		}
		warm, cold := submit(p, "a", "0s"), submit(p, "c", "0s")
		if warm.position != 1 || cold.position != 1 {
			t.Errorf("positions %d %d", warm.position, cold.position)
		}
		checks := types(p, "")[pool.HealthCheck]
		time.Sleep(10 * time.Minute)
		if warm.ended() || cold.ended() || !running.ended() {
			t.Errorf("ended: %v %v %v", warm.ended(), cold.ended(), running.ended())
		}
		mustState(t, p, "a", pool.Idle)
		mustState(t, p, "b", pool.Idle)
		if got := types(p, "")[pool.HealthCheck]; got != checks {
			t.Errorf("%d health checks", got-checks)
		}
		p.Thaw()
		warm.mustText(t, "a:0s")
		cold.mustText(t, "c:0s")
	})
}

// rested has the pool have an idle agent of "a", with nothing left to do for it.
func rested(p *testPool) {
	submit(p, "a", "0s").wait()
	synctest.Wait()
}

func TestFreezeWaitsForWhatIsUnderWay(t *testing.T) {
	for _, c := range []struct {
		name, why string
		begin     func(h *house, p *testPool)
	}{
		{"start", "starting", func(_ *house, p *testPool) { submit(p, "a", "0s") }},
		{"stop", "stopping", func(h *house, p *testPool) {
			rested(p)
			h.stop = 2 * time.Second
			submit(p, "a", "0s", fresh)
		}},
		{"begin", "beginning", func(_ *house, p *testPool) {
			rested(p)
			submit(p, "a", "1h", func(t *message) {
				t.Begin = func(context.Context, proc) error { time.Sleep(2 * time.Second); return nil }
			})
		}},
		{"finish", "recorded", func(_ *house, p *testPool) {
			rested(p)
			submit(p, "a", "0s", func(t *message) {
				t.Finish = func(*result, error) { time.Sleep(2 * time.Second) }
			})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
				c.begin(h, p)
				synctest.Wait()
				err := freeze(p, 100*time.Millisecond)
				if err == nil || !strings.Contains(err.Error(), c.why) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %q", err, c.why)
				}
				if err := freeze(p, time.Minute); err != nil {
					t.Errorf("waited on: %v", err)
				}
				if _, quiescent := p.Handoff(); !quiescent {
					t.Error("not quiescent")
				}
			})
		})
	}
}

func TestThawGivesEachAgentItsMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		keys := []string{"a", "b", "c"}
		for _, k := range keys {
			submit(p, k, "0s").wait()
		}
		if err := freeze(p, time.Second); err != nil {
			t.Fatal(err)
		}
		var calls []*call
		for _, k := range keys {
			calls = append(calls, submit(p, k, "1s"))
		}
		p.Thaw()
		for i, c := range calls {
			c.mustText(t, keys[i]+":1s")
		}
	})
}

func TestFrozenPoolCanBeClosed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "0s").wait()
		if err := freeze(p, time.Second); err != nil {
			t.Fatal(err)
		}
		waits := submit(p, "a", "0s")
		p.Drain(context.Background())
		waits.mustErr(t, pool.ErrClosed)
		p.Close()
		if err := freeze(p, time.Second); !errors.Is(err, pool.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

// handed returns a pool of three idle agents, used in the order b a c, and a busy d,
// in the form that another image gets it, with agents of this test.
func handed(t *testing.T, h *house, running *message) (*pool.Handoff, map[string]pool.Adopted[*fake]) {
	t.Helper()
	live := map[string]pool.Adopted[*fake]{}
	now := time.Now()
	hd := &pool.Handoff{Seq: 50, Serial: 7, Last: 3}
	for n := range 3 {
		hd.Events = append(hd.Events, pool.Event{Seq: uint64(n + 1), Type: pool.ProcessSpawned})
	}
	for n, k := range []string{"b", "a", "c", "d"} {
		id := fmt.Sprintf("p-%d", n+1)
		a, err := h.Start(context.Background(), key(k), id, false, turn.Variant{})
		if err != nil {
			t.Fatal(err)
		}
		e := pool.HandoffAgent{
			ID: id, Key: key(k), Number: uint64(10 - n), Started: now.Add(-time.Hour),
			Used: now.Add(-time.Duration(10-n) * time.Minute), Turns: 2,
		}
		adopted := pool.Adopted[*fake]{Agent: a}
		if k == "d" {
			running.Key = e.Key
			adopted.Turn, adopted.Run = running.Turn, running.run
			e.Turn, e.TurnSince = running.ID, now.Add(-time.Minute)
		}
		live[id] = adopted
		hd.Agents = append(hd.Agents, e)
	}
	return hd, live
}

// takenOver is a pool that has taken over those agents.
func takenOver(t *testing.T, h *house, l pool.Limits, s pool.Settings, text string) (*testPool, *call) {
	t.Helper()
	h.start = 0
	p := h.pool(l, s)
	h.max = 4 // before the new limits reign
	c := &call{id: "old", done: make(chan struct{})}
	turn := &message{Turn: pool.Turn{ID: c.id}, Text: text, Finish: func(res *result, err error) {
		c.res, c.err = res, err
		close(c.done)
	}}
	hd, live := handed(t, h, turn)
	p.Restore(hd, live)
	return p, c
}

func TestRestoredPoolGoesOnWithoutASeam(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stale = func(a *fake) string { // asked of no turn that has begun
			if a.key == key("d") {
				return "changed"
			}
			return ""
		}
		p, old := takenOver(t, h, pool.Limits{MaxProcesses: 4}, pool.Settings{}, "5s")
		waits := submit(p, "d", "0s", accepted)
		time.Sleep(10 * time.Minute)
		if waits.ended() {
			t.Error("a frozen pool sent a message")
		}
		old.mustText(t, "d:5s")
		p.Thaw()
		waits.mustText(t, "d:0s")
		if got := process(p, "d"); got.ID != "p-10" { // three were tried
			t.Errorf("the next process is %+v", got)
		}
		if got := process(p, "a"); got.Messages != 2 || got.ID != "p-2" || got.Started.IsZero() {
			t.Errorf("got %+v", got)
		}
		for _, want := range []string{"b", "a", "c"} {
			if proc, err := p.EvictOldest(); err != nil || proc.Key.Team != want {
				t.Errorf("evicted %v, want %s (%v)", proc.Key, want, err)
			}
		}
		evs, _, missed := p.Events(0)
		for i, e := range evs {
			if e.Seq != uint64(i+1) {
				t.Errorf("event %d has number %d", i, e.Seq)
			}
		}
		n := types(p, "p-4")
		if missed != 0 || evs[0].Type != pool.ProcessSpawned || n[pool.MessageSent] != 0 || n[pool.MessageResponse] != 1 || n[pool.ProcessTerminated] != 1 {
			t.Errorf("missed %d, events %v", missed, n)
		}
	})
}

func TestRestoredTurnIsTakenToNoOtherAgent(t *testing.T) {
	for text, want := range map[string]error{"refuse": pool.ErrNotDispatched, "die": pool.ErrUnknown} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p, old := takenOver(t, h, pool.Limits{MaxProcesses: 4}, pool.Settings{}, text)
			p.Thaw()
			old.mustErr(t, want)
			if n, _ := h.count(); n != 4 {
				t.Errorf("%d agents", n)
			}
		})
	}
}

func TestRestoredTurnCanBeEnded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p, old := takenOver(t, h, pool.Limits{MaxProcesses: 4}, pool.Settings{}, "1h")
		if got := process(p, "d"); got.State != pool.Busy || got.Turn != "old" || time.Since(got.TurnSince) != time.Minute {
			t.Errorf("got %+v", got)
		}
		p.Thaw()
		if err := p.Cancel("old"); err != nil {
			t.Fatal(err)
		}
		if old.wait(); old.err != nil || old.res.Outcome != "interrupted" {
			t.Errorf("got %+v %v", old.res, old.err)
		}
		mustState(t, p, "d", pool.Idle)
	})
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p, old := takenOver(t, h, pool.Limits{MaxProcesses: 4}, pool.Settings{}, "1h")
		p.Kill(only("d"))
		old.mustErr(t, pool.ErrKilled)
	})
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p, old := takenOver(t, h, pool.Limits{MaxProcesses: 4}, pool.Settings{}, "1h")
		p.Thaw()
		p.Drain(context.Background())
		old.mustText(t, "d:1h")
	})
}

// A turn that was being interrupted is interrupted in the next image too, for the same reason.
func TestInterruptionIsHandedOver(t *testing.T) {
	for stalled, want := range map[bool]turn.Outcome{false: "interrupted", true: "incomplete"} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			h.send = func(context.Context, *fake, *message) (*result, error) {
				time.Sleep(time.Hour)
				return &result{Outcome: "success"}, nil
			}
			s := pool.Settings{}
			if stalled {
				s = pool.Settings{StallTimeout: time.Minute, StallInterrupt: true}
			}
			p := h.pool(pool.Limits{MaxProcesses: 1}, s)
			a := submit(p, "a", "deaf")
			time.Sleep(5 * time.Minute)
			if !stalled {
				p.Cancel(a.id)
			}
			if err := freeze(p, time.Second); err != nil {
				t.Fatal(err)
			}
			hd, _ := p.Handoff()
			if got := hd.Agents[0]; got.Turn != a.id || got.Stalled != stalled || got.Cancelled == stalled {
				t.Errorf("got %+v", got)
			}
			p.Thaw()
			a.wait()
		})
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 4}, pool.Settings{})
			old := &call{id: "old", done: make(chan struct{})}
			hd, live := handed(t, h, &message{Turn: pool.Turn{ID: old.id}, Text: "1h", Finish: func(res *result, err error) {
				old.res, old.err = res, err
				close(old.done)
			}})
			hd.Agents[3].Stalled, hd.Agents[3].Cancelled = stalled, !stalled
			p.Restore(hd, live)
			p.Thaw()
			if old.wait(); old.err != nil || old.res.Outcome != want {
				t.Errorf("got %+v, %v, want %s", old.res, old.err, want)
			}
		})
	}
}

func TestRestoredAgentsMeetTheNewLimits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p, old := takenOver(t, h, pool.Limits{MaxProcesses: 2}, pool.Settings{IdleTimeout: 5 * time.Minute}, "10s")
		synctest.Wait()
		if n := len(p.Snapshot().Processes); n != 4 {
			t.Errorf("%d agents before Thaw", n)
		}
		p.Thaw() // the idle ones were last used 8 to 10 minutes ago
		synctest.Wait()
		if _, live := h.count(); live != 1 {
			t.Errorf("%d agents", live)
		}
		old.mustText(t, "d:10s")
	})
}

// What one pool hands over is what the next one restores.
func TestHandoffIsWhatRestoreTakes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		for _, k := range []string{"a", "b", "a"} {
			submit(p, k, "1s").wait()
		}
		busy := submit(p, "c", "1h")
		time.Sleep(5 * time.Second)
		p.Evict(only("c"), "evicted")
		p.Cancel(busy.id)
		if _, quiescent := p.Handoff(); quiescent {
			t.Error("quiescent without Freeze")
		}
		if err := freeze(p, time.Second); err != nil {
			t.Fatal(err)
		}
		hd, quiescent := p.Handoff()
		if !quiescent || hd.Serial != 3 || hd.Last != uint64(len(hd.Events)) {
			t.Errorf("got %+v", hd)
		}
		var order []string
		for _, a := range hd.Agents {
			order = append(order, a.Key.Team)
		}
		if got := strings.Join(order, ""); got != "bac" && got != "bca" {
			t.Errorf("order %s", got)
		}
	})
}
