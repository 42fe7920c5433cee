package pool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

func TestDeadlock(t *testing.T) {
	const room = 9
	type sent struct {
		from, to string
		refused  bool
	}
	tests := []struct {
		name    string
		max     int
		running []string
		sent    []sent
	}{
		{"to itself", room, []string{"a"}, []sent{{"a", "a", true}}},
		{"to another", room, []string{"a"}, []sent{{"a", "b", false}}},
		{"to a busy one", room, []string{"a", "b"}, []sent{{"a", "b", false}}},
		{"to each other", room, []string{"a", "b"}, []sent{{"a", "b", false}, {"b", "a", true}}},
		{"around a circle", room, []string{"a", "b", "c"}, []sent{{"a", "b", false}, {"b", "c", false}, {"c", "a", true}}},
		{"down a chain", room, []string{"a", "b", "c"}, []sent{{"a", "b", false}, {"b", "c", false}, {"c", "d", false}}},
		{"one of two", room, []string{"a", "b", "c"}, []sent{{"a", "b", false}, {"a", "c", false}, {"c", "a", true}, {"b", "c", false}}},
		{"last place", 1, []string{"a"}, []sent{{"a", "b", true}}},
		{"all places wait", 2, []string{"a", "b"}, []sent{{"a", "c", false}, {"b", "d", true}}},
		{"one place is live", 3, []string{"a", "b", "c"}, []sent{{"a", "d", false}, {"b", "e", false}, {"c", "f", true}}},
		{"room for one is room for all", 3, []string{"a", "b"}, []sent{{"a", "c", false}, {"b", "d", false}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				h := newHouse(t)
				p := h.pool(pool.Limits{MaxProcesses: test.max}, pool.Settings{})
				running := map[string]*call{}
				for _, k := range test.running {
					running[k] = submit(p, k, "1h")
				}
				time.Sleep(2 * time.Second)
				for _, s := range test.sent {
					c := submit(p, s.to, "2h", from(running[s.from]))
					synctest.Wait()
					if got := c.ended(); got != s.refused {
						t.Errorf("from %s to %s: refused %v, want %v (%v)", s.from, s.to, got, s.refused, c.err)
					}
					if s.refused {
						c.mustErr(t, pool.ErrDeadlock)
					}
				}
			})
		})
	}
}

// The error says what waits for what, so that its reader can do something else.
func TestDeadlockSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		a, b, c := submit(p, "a", "1h"), submit(p, "b", "1h"), submit(p, "c", "1h")
		time.Sleep(2 * time.Second)
		submit(p, "b", "1h", from(a))
		// The turn of b waits for a message behind that of c, not for the turn of c itself.
		submit(p, "c", "1h", from(b))
		for _, s := range []struct {
			from *call
			to   string
			want string
		}{
			{a, "a", "would wait for its own turn: it is of the same session"},
			{b, "a", "would wait for its own turn: a waits for b"},
			{c, "a", "would wait for its own turn: a waits for b waits for c"},
			{c, "d", "would wait for its own turn: turns that wait hold every slot (max_processes is 3)"},
		} {
			refused := submit(p, s.to, "1s", from(s.from))
			refused.mustErr(t, pool.ErrDeadlock)
			if got := refused.err.Error(); got != s.want {
				t.Errorf("to %s: got %q, want %q", s.to, got, s.want)
			}
		}
	})
}

// await has the turn of one message wait for another message.
func await(t *testing.T, p *testPool, who, whom *call) {
	t.Helper()
	process := &message{}
	from(who)(process)
	if waits, err := p.Await(whom.id, process.Parent); !waits || err != nil {
		t.Fatalf("waits %v, %v", waits, err)
	}
}

// A turn may begin to wait for a message that waits for what running turns may cost.
func TestALateWaitEndsThatForABudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3, Budget: pool.Budget{Day: 1e6}}, pool.Settings{})
		outer := submit(p, "a", "1h")
		time.Sleep(5 * time.Second)
		inner := submit(p, "b", "1s")
		time.Sleep(5 * time.Second)
		if p.Unpaid(inner.id) == nil {
			t.Fatal("it waits for no budget")
		}
		await(t, p, outer, inner)
		time.Sleep(5 * time.Second)
		if !inner.ended() {
			t.Error("the message waits for the turn that waits for it")
		}
		outer.wait()
	})
}

// A turn may begin to wait for a message only after that was submitted. The same waits are
// refused then, and nothing becomes of the message for it.
func TestDeadlockOfALateWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		await := func(who *call, whom *call, want string) {
			t.Helper()
			refused := want == "refused"
			process := &message{}
			from(who)(process)
			waits, err := p.Await(whom.id, process.Parent)
			switch {
			case refused && !errors.Is(err, pool.ErrDeadlock), !refused && err != nil, waits != (want == "waits"):
				t.Errorf("got %v, %v, want %q", waits, err, want)
			}
		}
		a, b := submit(p, "a", "1h"), submit(p, "b", "2h")
		time.Sleep(2 * time.Second)
		own, behind, other := submit(p, "a", "1s"), submit(p, "b", "1s"), submit(p, "c", "1s")
		await(a, own, "refused")
		await(a, a, "refused")
		await(a, other, "waits")
		await(b, other, "") // a waits for it already
		await(a, behind, "waits")
		submit(p, "a", "1s", from(b)).mustErr(t, pool.ErrDeadlock)
		p.Detach(behind.id)
		await(b, own, "refused") // a still waits for the other, which needs a place
		p.Detach(other.id)
		await(b, own, "waits")
		await(b, b, "refused")
		a.wait()
		own.mustText(t, "a:1s")
		await(b, a, "") // it has ended
		b.wait()
		behind.mustText(t, "b:1s")
		other.mustText(t, "c:1s")
	})
}

// A turn that no longer waits, or has ended, blocks no other turn.
func TestDeadlockEdgesGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		a, b := submit(p, "a", "1h"), submit(p, "b", "1h")
		time.Sleep(2 * time.Second)
		c := submit(p, "b", "1h", from(a))
		submit(p, "a", "1s", from(b)).mustErr(t, pool.ErrDeadlock)
		p.Detach(c.id)
		ok := submit(p, "a", "1s", from(b))
		if ok.ended() {
			t.Errorf("refused after the detach: %v", ok.err)
		}
		submit(p, "b", "1s", from(a)).mustErr(t, pool.ErrDeadlock)
		p.Cancel(ok.id)
		ok.mustErr(t, pool.ErrCancelled)
		ok = submit(p, "b", "1s", from(a))
		p.Cancel(c.id)
		b.wait()
		ok.mustText(t, "b:1s")
		// b's turn has ended: what claims to come from it waits for nothing.
		submit(p, "a", "1s", from(b)).mustText(t, "a:1s")
		unknown := func(turn *message) { turn.Parent = "of an earlier daemon" }
		submit(p, "a", "1s", unknown).mustText(t, "a:1s")
	})
}

// A child that waits for a start, or for an agent of an earlier daemon, will
// have its turn.
func TestDeadlockKnowsWhatIsOnItsWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		gone := make(chan struct{})
		p.AddOrphan(key("old"), "old-1", 1, gone)
		a := submit(p, "a", "1h")
		time.Sleep(2 * time.Second)
		starting := submit(p, "b", "1s", from(a))
		fenced := submit(p, "old", "1s", from(a))
		starting.mustText(t, "b:1s")
		p.Cancel(a.id)
		a.wait()
		close(gone)
		fenced.mustText(t, "old:1s")
	})
}

// A turn that went back to its queue waits for no other turn: a message that names it
// as its sender was not sent by it.
func TestDeadlockEdgesGoWhenATurnGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if a.id == "p-1" {
				time.Sleep(time.Minute)
				return nil, pool.ErrNotDispatched
			}
			return a.play(ctx, turn)
		}
		p := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		a := submit(p, "a", "1h")
		time.Sleep(2 * time.Second)
		b := submit(p, "b", "1h", from(a))
		time.Sleep(2 * time.Second)
		submit(p, "a", "1s", from(b)).mustErr(t, pool.ErrDeadlock)
		time.Sleep(2 * time.Minute)
		mustState(t, p, "a", pool.Busy)
		if c := submit(p, "a", "1s", from(b)); c.ended() {
			t.Errorf("refused: %v", c.err)
		}
	})
}

// A child that runs when the bound is lowered may lose its agent before it has
// begun, and cannot get another.
func TestDeadlockByALowerBoundAndALostAgent(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.send = func(ctx context.Context, a *fake, turn *message) (*result, error) {
			if turn.Text == "refuse" {
				time.Sleep(time.Minute)
			}
			return a.play(ctx, turn)
		}
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		a := submit(p, "a", "1h")
		time.Sleep(2 * time.Second)
		child := submit(p, "b", "refuse", from(a))
		time.Sleep(2 * time.Second)
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		time.Sleep(2 * time.Second)
		mustState(t, p, "b", pool.Busy)
		child.mustErr(t, pool.ErrDeadlock)
		a.mustText(t, "a:1h")
	})
}

// A lower bound may take away the place that a child was promised.
func TestDeadlockByALowerBound(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		h.start = time.Minute
		p := h.pool(pool.Limits{MaxProcesses: 2}, pool.Settings{})
		a, b := submit(p, "a", "1h"), submit(p, "b", "1h")
		time.Sleep(2 * time.Minute)
		child := submit(p, "c", "1s", from(a))
		stranger := submit(p, "d", "1s")
		synctest.Wait()
		p.Reconfigure(pool.Limits{MaxProcesses: 1})
		child.mustErr(t, pool.ErrDeadlock)
		a.wait()
		b.wait()
		stranger.mustText(t, "d:1s")
	})
}
