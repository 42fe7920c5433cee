package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

func TestKey(t *testing.T) {
	for want, k := range map[string]pool.Key{
		"api":        {Team: "api"},
		"api@review": {Team: "api", Session: "review"},
	} {
		if got := k.String(); got != want {
			t.Errorf("%+v: written %q, want %q", k, got, want)
		}
	}
}

func TestWarmAgentIsUsedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		submit(p, "api", "one").mustText(t, "api:one")
		first := process(p, "api")
		submit(p, "api", "two").mustText(t, "api:two")
		got := process(p, "api")
		if got.ID != first.ID || got.PID != first.PID || got.Messages != 2 || got.State != pool.Idle {
			t.Errorf("got %+v, want the process %s, idle, after two messages", got, first.ID)
		}
	})
}

func TestPositions(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		a := []*call{submit(p, "a", "1s"), submit(p, "a", "1s"), submit(p, "a", "1s")}
		b := submit(p, "b", "1s")
		for i, want := range []int{1, 2, 3} {
			if a[i].position != want {
				t.Errorf("message %d is at %d, want %d", i, a[i].position, want)
			}
		}
		time.Sleep(1500 * time.Millisecond)
		if !p.Busy() {
			t.Error("not busy in a turn")
		}
		st := p.Snapshot()
		if st.Queued != 3 || st.Max != 1 || st.Processes[0].Queue != 2 || len(st.Waiting) != 2 {
			t.Fatalf("got %+v, want two messages behind a, one of b", st)
		}
		if w := st.Waiting[0]; w.Key != key("a") || !slices.Equal(w.Turns, []string{a[1].id, a[2].id}) {
			t.Errorf("got %+v, want a with the second and third", w)
		}
		if w := st.Waiting[1]; w.Key != key("b") || !slices.Equal(w.Turns, []string{b.id}) || w.Since.IsZero() {
			t.Errorf("got %+v, want b with its one", w)
		}
	})
}

func TestLookingChangesNoOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		for _, k := range []string{"a", "b", "c"} {
			submit(p, k, "1s").wait()
		}
		p.Snapshot()
		p.Events(0)
		if p.Busy() {
			t.Error("busy after its turns")
		}
		if got, err := p.Wake(t.Context(), key("a")); err != nil || got.State != pool.Idle || got.Key != key("a") {
			t.Errorf("wake: got %+v, %v", got, err)
		}
		submit(p, "d", "1s").wait()
		mustState(t, p, "a", "")
		for _, k := range []string{"b", "c", "d"} {
			mustState(t, p, k, pool.Idle)
		}
	})
}

func TestKeysOfOneTeamRunSideBySide(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		begin := time.Now()
		calls := []*call{submit(p, "a", "10s"), submit(p, "a@x", "10s"), submit(p, "a@y", "10s")}
		for _, c := range calls {
			c.wait()
		}
		if d := time.Since(begin); d != 11*time.Second {
			t.Errorf("it took %v, want 11 s", d)
		}
		p.Kill(only("a@x"))
		mustState(t, p, "a@x", "")
		mustState(t, p, "a", pool.Idle)
		mustState(t, p, "a@y", pool.Idle)
	})
}

func TestSameIDTwiceIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{})
		same := func(turn *pool.Turn) { turn.ID = "same" }
		first := submit(p, "a", "1s", same)
		if c := submit(p, "b", "1s", same); c.wait().err == nil {
			t.Error("taken in")
		}
		first.mustText(t, "a:1s")
		submit(p, "b", "1s", same).mustText(t, "b:1s")
	})
}

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

// An agent may still answer its interrupt while it is stopped: that is no
// answer to whoever was told "killed".
func TestKilledStaysKilledWhenTheAgentAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(_ context.Context, a *fake, turn *pool.Turn) (*pool.Result, error) {
			<-a.done
			if turn.Text == "late" {
				return &pool.Result{Outcome: pool.OutcomeSuccess}, nil
			}
			return &pool.Result{Outcome: pool.OutcomeInterrupted}, nil
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
		stopped, later := p.Evict(func(k pool.Key) bool { return k.Session == "" })
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
		if stopped, later := p.Evict(all); len(stopped) != 0 || len(later) != 1 {
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

func TestWake(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{IdleTimeout: time.Hour})
		got, err := p.Wake(t.Context(), key("a"))
		if err != nil || got.State != pool.Idle || got.PID == 0 || !got.LastUsed.IsZero() || got.Messages != 0 {
			t.Errorf("got %+v, %v, want it idle, without a message", got, err)
		}
		time.Sleep(time.Minute)
		if again, _ := p.Wake(t.Context(), key("a")); again.ID != got.ID || !again.Until.Equal(got.Until) {
			t.Errorf("got %+v, want the same, untouched", again)
		}
		submit(p, "a", "1h")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := p.Wake(ctx, key("b")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the deadline", err)
		}
		if n := len(p.Snapshot().Waiting); n != 0 {
			t.Errorf("%d keys wait, want none", n)
		}
		if got, err := p.Wake(t.Context(), key("b")); err != nil || got.Key != key("b") {
			t.Errorf("got %+v, %v, want b once a is idle", got, err)
		}
		if n := types(p, ""); n[pool.MessageQueued]+n[pool.MessageDropped] != 0 {
			t.Errorf("got %v: a wake is no message", n)
		}
	})
}

func TestFenceBarsItsKeyAndTakesAPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		gone := make(chan struct{})
		p.Fence(key("a"), "old-7", 4711, gone)
		got := process(p, "a")
		if got.ID != "old-7" || got.PID != 4711 || got.State != pool.Stopping || got.Why != "left over from an earlier daemon" {
			t.Errorf("got %+v", got)
		}
		a, b, c := submit(p, "a", "1s"), submit(p, "b", "1s"), submit(p, "c", "1s")
		time.Sleep(time.Hour)
		b.mustText(t, "b:1s")
		c.mustText(t, "c:1s")
		if n, _ := h.count(); n != 2 || a.ended() || len(p.Kill(all)) != 1 {
			t.Errorf("%d started, a ended: %v; want b and c, and to kill only c", n, a.ended())
		}
		close(gone)
		a.mustText(t, "a:1s")
		if n := types(p, "old-7"); n[pool.ProcessFenced] != 1 || n[pool.ProcessExited] != 1 || len(n) != 2 {
			t.Errorf("got %v", n)
		}
		p.Fence(key("z"), "old-8", 1, make(chan struct{})) // Close does not wait for it
	})
}

func TestFenceIsNotRoomOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		p.Fence(key("a"), "old-1", 1, make(chan struct{}))
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

func TestMaxTurnsAndRetire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *pool.Turn) (*pool.Result, error) {
			res, err := a.play(ctx, turn)
			if turn.Text == "3s" {
				res.Retire = "the conversation is full"
			}
			return res, err
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{MaxTurns: 3})
		for i := range 7 {
			submit(p, "a", "1s").mustText(t, "a:1s")
			if n, _ := h.count(); n != i/3+1 {
				t.Errorf("after %d turns %d agents, want %d", i+1, n, i/3+1)
			}
		}
		submit(p, "a", "3s").mustText(t, "a:3s")
		synctest.Wait()
		var why []string
		evs, _, _ := p.Events(0)
		for _, e := range evs {
			if e.Type == pool.ProcessTerminated {
				why = append(why, e.Detail)
			}
		}
		if got := fmt.Sprint(why); got != "[max_turns reached max_turns reached the conversation is full]" {
			t.Errorf("got %v", got)
		}
	})
}

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
		a.mustErr(t, pool.ErrKilled)
		b.mustErr(t, pool.ErrKilled)
		p.Close()
		p.Fence(key("x"), "old-1", 1, nil)
		if st := p.Snapshot(); len(st.Processes) != 0 || !st.Closed {
			t.Errorf("got %+v", st)
		}
	})
}
