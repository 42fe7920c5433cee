package pool_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
		if st.Queued != 3 || st.Max != 1 || st.Processes[0].Queue != 2 || len(st.Waiting) != 3 {
			t.Fatalf("got %+v, want two messages behind a, one of b", st)
		}
		if want := []string{a[1].id, a[2].id, b.id}; !slices.Equal(st.Waiting, want) {
			t.Errorf("got %v, want the second and third of a, then b", st.Waiting)
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
		same := func(turn *message) { turn.ID = "same" }
		first := submit(p, "a", "1s", same)
		if c := submit(p, "b", "1s", same); c.wait().err == nil {
			t.Error("taken in")
		}
		first.mustText(t, "a:1s")
		submit(p, "b", "1s", same).mustText(t, "b:1s")
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

func TestOrphanBarsItsKeyAndTakesAPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		gone := make(chan struct{})
		p.AddOrphan(key("a"), "old-7", 4711, gone)
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
		mustWait(t, p, a, 1, "an agent of an earlier daemon to end its turn")
		p.Linger("old-7")
		p.Linger("old-7")
		mustWait(t, p, a, 1, "an agent of an earlier daemon to end its background work")
		if why := process(p, "a").Why; why != "left over from an earlier daemon, its turn is over" {
			t.Errorf("got %s", why)
		}
		close(gone)
		a.mustText(t, "a:1s")
		if n := types(p, "old-7"); n[pool.ProcessFenced] != 1 || n[pool.ProcessLingers] != 1 || n[pool.ProcessExited] != 1 || len(n) != 3 {
			t.Errorf("got %v", n)
		}
		p.AddOrphan(key("z"), "old-8", 1, make(chan struct{})) // Close does not wait for it
	})
}

func TestMaxMessagesAndRetire(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			res, err := a.play(ctx, turn)
			if turn.Text == "3s" {
				res.Retire = "the conversation is full"
			}
			return res, err
		}
		p := h.pool(pool.Limits{MaxProcesses: 1}, pool.Settings{MaxMessages: 3})
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
		if got := fmt.Sprint(why); got != "[max_messages_per_agent reached max_messages_per_agent reached the conversation is full]" {
			t.Errorf("got %v", got)
		}
	})
}
