package pool_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

func TestKillEndsOnlyTheRunningTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = time.Second
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		c, next, other := submit(p, "a", "1h"), submit(p, "a", "1s"), submit(p, "b", "1h")
		time.Sleep(2 * time.Second)
		got := p.Kill(only("a"))
		if len(got) != 1 || got[0].State != pool.Busy || got[0].Turn != c.id || got[0].PID == 0 {
			t.Errorf("got %+v, want the busy one", got)
		}
		c.mustErr(t, pool.ErrKilled)
		next.mustText(t, "a:1s")
		if other.ended() {
			t.Error("the other agent's turn has ended")
		}
		if got := p.Kill(only("nobody")); len(got) != 0 {
			t.Errorf("got %+v, want none", got)
		}
	})
}

// An agent may still answer its interrupt while it is stopped: that answer does not
// replace the "killed" of its sender.
func TestKilledStaysKilledWhenTheAgentAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(_ context.Context, a *fake, turn *message) (*result, error) {
			<-a.done
			if turn.Text == "late" {
				return &result{Outcome: "success"}, nil
			}
			return &result{Outcome: "interrupted"}, nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "x")
		time.Sleep(2 * time.Second)
		p.Kill(all)
		c.mustErr(t, pool.ErrKilled)
		late := submit(p, "a", "late") // an answer is an answer
		time.Sleep(2 * time.Second)
		p.Kill(all)
		if late.wait(); late.err != nil {
			t.Errorf("got %v, want the answer", late.err)
		}
	})
}

func TestKillBeforeTheFirstByteSendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stale = func(*fake) string { time.Sleep(time.Minute); return "" }
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "1s")
		time.Sleep(2 * time.Second)
		p.Kill(all)
		c.mustErr(t, pool.ErrKilled)
		if a := h.last(); a.sends.Load() != 0 || !c.begun.IsZero() {
			t.Errorf("%d sends, begun at %v; want nothing", a.sends.Load(), c.begun)
		}
	})
}

func TestEvictLeavesBusyOnesTheirTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.stop = time.Second
		p := h.pool(pool.Limits{MaxProcesses: 4}, pool.Settings{})
		submit(p, "idle", "1s").wait()
		busy, starting := submit(p, "busy", "10s"), submit(p, "idle@2", "1s")
		time.Sleep(1500 * time.Millisecond)
		starting.wait()
		last := submit(p, "starting", "1s")
		synctest.Wait()
		stopped, later := p.Evict(func(k pool.Key) bool { return k.Session == "" }, "evicted")
		if len(stopped) != 1 || stopped[0].Key != key("idle") || len(later) != 2 || later[0].Why != "evicted" {
			t.Errorf("got %+v and %+v, want the idle one, and later two", stopped, later)
		}
		mustState(t, p, "idle", "")
		if got := process(p, "busy"); got.State != pool.Busy || got.Why != "evicted" {
			t.Errorf("got %+v, want it busy and marked", got)
		}
		busy.mustText(t, "busy:10s")
		last.mustText(t, "starting:1s")
		time.Sleep(2 * time.Second)
		mustState(t, p, "busy", "")
		mustState(t, p, "starting", "")
		mustState(t, p, "idle@2", pool.Idle)
	})
}

func TestEvictOfOneThatStartsForNobody(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		c := submit(p, "a", "1s")
		synctest.Wait()
		p.Cancel(c.id)
		if stopped, later := p.Evict(all, "evicted"); len(stopped) != 0 || len(later) != 1 {
			t.Errorf("got %v and %v, want one that goes later", stopped, later)
		}
		if got := process(p, "a"); got.State != pool.Starting || got.Why != "evicted" {
			t.Errorf("got %+v, want it to start, and marked", got)
		}
		time.Sleep(2 * time.Second)
		mustState(t, p, "a", "")
		if n := types(p, ""); n[pool.ProcessSpawned] != 1 || n[pool.ProcessTerminated] != 1 {
			t.Errorf("got %v", n)
		}
	})
}

func TestEvictOldest(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		for _, k := range []string{"a", "b", "a"} {
			submit(p, k, "1s").wait()
		}
		for _, want := range []string{"b", "a"} {
			if got, err := p.EvictOldest(); err != nil || got.Key != key(want) {
				t.Errorf("got %v, %v, want %s", got.Key, err, want)
			}
			mustState(t, p, want, "")
		}
	})
}

func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		submit(p, "idle", "1s").wait()
		c := submit(p, "busy", "10s")
		time.Sleep(2 * time.Second)
		now, later := p.Restart(all)
		if len(now) != 1 || now[0].ID != "p-1" || len(later) != 1 || later[0].ID != "p-2" || later[0].Why != "restart" {
			t.Errorf("got %+v and %+v", now, later)
		}
		mustState(t, p, "idle", pool.Starting)
		time.Sleep(2 * time.Second)
		mustState(t, p, "idle", pool.Idle)
		c.mustText(t, "busy:10s")
		time.Sleep(2 * time.Second)
		if got := process(p, "busy"); got.State != pool.Idle || got.ID == "p-2" {
			t.Errorf("got %+v, want another one, idle", got)
		}
		if n, live := h.count(); n != 4 || live != 2 {
			t.Errorf("%d started, %d live, want 4 and 2", n, live)
		}
	})
}

func TestKillOfOneThatRestartsIsForGood(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		submit(p, "a", "10s")
		time.Sleep(2 * time.Second)
		p.Restart(all)
		p.Kill(all)
		time.Sleep(time.Minute)
		if n := len(p.Snapshot().Processes); n != 0 {
			t.Errorf("%d processes, want none", n)
		}
	})
}

// Nobody waits for the agent that a restart begins: one that is killed stays away.
func TestKillEndsARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Restart(all)
		mustState(t, p, "a", pool.Starting)
		if got := p.Kill(all); len(got) != 1 {
			t.Errorf("killed %+v, want the one that starts", got)
		}
		time.Sleep(time.Minute)
		mustState(t, p, "a", "")
		submit(p, "a", "1s").mustText(t, "a:1s")
	})
}

// The same while the restart has no place: its start has failed and waits for another try.
func TestKillEndsARestartThatWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.startErr = func(_ pool.Key, nth int) error {
			if nth == 2 {
				return errNoLuck
			}
			return nil
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		submit(p, "a", "1s").wait()
		p.Restart(all)
		for len(p.Snapshot().Processes) > 0 {
			time.Sleep(time.Millisecond)
		}
		p.Kill(all)
		time.Sleep(time.Minute)
		mustState(t, p, "a", "")
	})
}
