package pool_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
)

// limit makes the next turn of a message report a limit.
func limit(until time.Time) func(*message) {
	return func(m *message) {
		m.Limit = &pool.Limit{Until: until, Why: "five-hour limit"}
	}
}

// shared returns a pool whose teams a, b and c share an account; d has another.
func shared(h *house, max int) *testPool {
	p := h.pool(pool.Limits{MaxProcesses: max}, pool.Settings{})
	for _, team := range []string{"a", "b", "c"} {
		p.SetAccount(team, "shared")
	}
	p.SetAccount("d", "other")
	return p
}

// No turn of a limited account begins before the reset, and no agent of another account
// waits for that. Then one message goes first, the oldest.
func TestLimitedAccountWaitsForItsReset(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 4)
		submit(p, "b", "1s").wait()
		reset := time.Now().Add(3 * time.Hour)
		submit(p, "a", "1s", limit(reset)).wait()
		b, c, d := submit(p, "b", "10s"), submit(p, "c", "1s"), submit(p, "d", "1s")
		d.mustText(t, "d:1s")
		time.Sleep(time.Hour)
		if b.ended() || c.ended() {
			t.Fatal("a message of the limited account has ended")
		}
		_, on := p.Position(c.id)
		want := "account shared, limited until " + reset.Local().Format("15:04") + " (five-hour limit)"
		if reset.YearDay() != time.Now().YearDay() {
			want = strings.Replace(want, "until ", "until "+reset.Local().Format("2006-01-02 "), 1)
		}
		if on != want {
			t.Errorf("it waits for %q, want %q", on, want)
		}
		if g := p.Gates(); len(g) != 1 || g[0].Waiting != 2 || !g[0].Until.Equal(reset) || len(g[0].Teams) != 3 {
			t.Errorf("gates %+v", g)
		}
		mustState(t, p, "c", "")
		time.Sleep(time.Until(reset) - time.Second)
		mustState(t, p, "b", pool.Idle)
		time.Sleep(6 * time.Second)
		if b.ended() || c.ended() || p.Gates()[0].Message != b.id {
			t.Fatalf("the oldest message does not go first: %+v", p.Gates())
		}
		mustState(t, p, "b", pool.Busy)
		mustState(t, p, "c", "")
		b.mustText(t, "b:10s")
		c.mustText(t, "c:1s")
		if len(p.Gates()) > 0 {
			t.Errorf("gates %+v", p.Gates())
		}
	})
}

// A limited account holds no place: its idle agent is evicted for another.
func TestLimitedAccountHoldsNoPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 1)
		submit(p, "a", "1s", limit(time.Now().Add(time.Hour))).wait()
		waits := submit(p, "a", "1s")
		submit(p, "d", "1s").mustText(t, "d:1s")
		if waits.ended() {
			t.Error("a message of the limited account has ended")
		}
		if !p.Open("shared") || p.Open("shared") {
			t.Error("Open does not say whether the account was limited")
		}
		waits.mustText(t, "a:1s")
	})
}

// Without a reset, the account is tried again after one minute, doubling to thirty.
func TestLimitWithoutAResetBacksOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 2)
		for i := range 8 {
			submit(p, "a", "1s", limit(time.Time{})).wait()
			d := time.Until(p.Gates()[0].Until).Round(time.Second)
			if least := min(time.Minute<<i, 24*time.Minute); d < least || d > least*5/4 {
				t.Fatalf("back-off %d is %v, want %v to %v", i+1, d, least, least*5/4)
			}
		}
		submit(p, "a", "1s").mustText(t, "a:1s")
		submit(p, "a", "1s", limit(time.Time{})).wait()
		if d := time.Until(p.Gates()[0].Until); d > 2*time.Minute {
			t.Errorf("back-off after a message has gone through: %v", d)
		}
	})
}

// The reset of the last turn that reports one counts, whichever comes first.
func TestLastResetCounts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		now := time.Now()
		a := submit(p, "a", "1s", limit(now.Add(2*time.Hour)))
		b := submit(p, "b", "2s", limit(now.Add(time.Hour)))
		c := submit(p, "c", "3s", limit(time.Time{}))
		a.wait()
		b.wait()
		c.wait()
		if g := p.Gates(); !g[0].Until.Equal(now.Add(2*time.Hour)) || g[0].Tries != 0 {
			t.Errorf("gates %+v", g)
		}
		ok := submit(p, "a", "1s")
		time.Sleep(2*time.Hour - 5*time.Second)
		if ok.ended() {
			t.Error("it did not wait for the last reset")
		}
		ok.mustText(t, "a:1s")
	})
}

// If the first message proves nothing, the next goes first.
func TestFirstMessageThatProvesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		p.Limit("shared", pool.Limit{Until: time.Now().Add(time.Minute)})
		held, first, second, third := submit(p, "c", "1s"), submit(p, "a", "10s"), submit(p, "b", "10s"), submit(p, "b@x", "1s")
		p.Hold(key("c"), "a person")
		time.Sleep(time.Minute + 5*time.Second)
		mustState(t, p, "a", pool.Busy)
		p.Cancel(first.id)
		first.wait()
		time.Sleep(5 * time.Second)
		mustState(t, p, "b", pool.Busy)
		mustState(t, p, "b@x", "")
		second.mustText(t, "b:10s")
		third.mustText(t, "b@x:1s")
		p.Unhold(key("c"))
		held.mustText(t, "c:1s")
	})
}

// A message that the first turn after a reset sends and waits for does not wait for that turn.
func TestFirstTurnMaySendToItsOwnAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		p.Limit("shared", pool.Limit{Until: time.Now().Add(time.Minute)})
		outer := submit(p, "a", "1h")
		time.Sleep(time.Minute + 5*time.Second)
		inner := submit(p, "b", "1s", from(outer))
		inner.mustText(t, "b:1s")
		p.Cancel(outer.id)
		outer.wait()
	})
}

// Nor does a message that it begins to wait for later.
func TestFirstTurnMayWaitForItsOwnAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		p.Limit("shared", pool.Limit{Until: time.Now().Add(time.Minute)})
		outer, inner := submit(p, "a", "1h"), submit(p, "b", "1s")
		time.Sleep(time.Minute + 5*time.Second)
		mustState(t, p, "b", "")
		await(t, p, outer, inner)
		inner.mustText(t, "b:1s")
		if outer.ended() {
			t.Error("the message waited for the turn that waits for it")
		}
		p.Cancel(outer.id)
		outer.wait()
	})
}

// The gates that a pool reports close those of the next pool, with the teams.
func TestRestoredGates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		submit(p, "a", "1s", limit(time.Now().Add(time.Hour))).wait()
		next := h.pool(pool.Limits{MaxProcesses: 3}, pool.Settings{})
		next.RestoreGates(p.Gates())
		waits := submit(next, "b", "1s")
		time.Sleep(59 * time.Minute)
		if waits.ended() {
			t.Error("the next pool does not wait")
		}
		waits.mustText(t, "b:1s")
	})
}

// A team that gets another account waits for that account only.
func TestTeamGetsAnotherAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		p.Limit("shared", pool.Limit{Until: time.Now().Add(time.Hour)})
		a := submit(p, "a", "1s")
		synctest.Wait()
		p.SetAccount("a", "other")
		a.mustText(t, "a:1s")
		p.SetAccount("d", "shared")
		d := submit(p, "d", "1s")
		time.Sleep(time.Minute)
		if d.ended() {
			t.Error("d does not wait for its new account")
		}
	})
}

func TestGateEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := shared(h, 3)
		reset := time.Now().Add(time.Hour)
		submit(p, "a", "1s", limit(reset)).wait()
		p.Open("shared")
		evs, _, _ := p.Events(0)
		var got []string
		for _, e := range evs {
			if e.Account != "" && e.Until.Equal(reset) {
				got = append(got, string(e.Type)+" "+e.Account)
			}
		}
		if s := strings.Join(got, ", "); s != "limited shared, opened shared" {
			t.Errorf("events: %s", s)
		}
	})
}
