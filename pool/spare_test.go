package pool_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"iris/pool"
	"iris/pool/turn"
)

func spare(m *message) { m.Spare = true }

// five is the five-hour limit of an account.
func five(used float64, resets time.Time) []turn.Window {
	return []turn.Window{{Name: "five-hour limit", Utilization: used, Resets: resets}}
}

// sparing returns a pool whose teams a, b and c share an account; d has another.
func sparing(h *house, max int) *testPool {
	p := h.pool(pool.Limits{MaxProcesses: max}, pool.Settings{SpareBelow: 0.8})
	for _, team := range []string{"a", "b", "c"} {
		p.SetAccount(team, "shared")
	}
	p.SetAccount("d", "other")
	return p
}

// A spare message waits until less of its account is used, or its limit resets.
func TestSpareMessageWaitsForItsAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 3)
		resets := time.Now().Add(2 * time.Hour)
		p.SetUtilization("shared", five(0.85, resets))
		p.SetUtilization("shared", []turn.Window{{Name: "seven-day limit", Utilization: 0.5, Resets: resets.Add(time.Hour)}})
		waits, usual, other := submit(p, "a", "1s", spare), submit(p, "b", "1s"), submit(p, "d", "1s", spare)
		usual.mustText(t, "b:1s")
		other.mustText(t, "d:1s")
		_, on := p.Position(waits.id)
		begin, end := "spare capacity: account shared has used 85% of its five-hour limit, which resets at ", resets.Local().Format("15:04")+", and spare_below is 0.8"
		if !strings.HasPrefix(on, begin) || !strings.HasSuffix(on, end) || p.SpareWaits(waits.id) != on {
			t.Errorf("it waits for %q and %q, want %q and %q", on, p.SpareWaits(waits.id), begin, end)
		}
		time.Sleep(time.Until(resets) - time.Second)
		mustState(t, p, "a", "")
		waits.mustText(t, "a:1s")
		if late := time.Since(resets); late > 10*time.Second {
			t.Errorf("it ended %v after the reset", late)
		}
		p.SetUtilization("shared", five(1, time.Now().Add(time.Hour)))
		waits = submit(p, "a", "1s", spare)
		synctest.Wait()
		p.SetUtilization("shared", five(0.79, time.Now().Add(time.Hour)))
		waits.mustText(t, "a:1s")
	})
}

// A spare message waits for all other messages of its account, also those that come
// later, and its idle agent holds no place.
func TestSpareMessageWaitsForTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 1)
		submit(p, "d", "5s")
		first := submit(p, "a", "1s", spare)
		b, c := submit(p, "b", "1s"), submit(p, "c", "1s")
		synctest.Wait()
		if on := p.SpareWaits(first.id); on != "the other messages of account shared" {
			t.Errorf("it waits for %q", on)
		}
		b.mustText(t, "b:1s")
		c.mustText(t, "c:1s")
		if first.ended() {
			t.Error("the spare message did not wait for the others")
		}
		first.mustText(t, "a:1s")
	})
}

// In its own conversation a spare message lets the others pass.
func TestSpareMessageStaysBehindTheOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 1)
		submit(p, "a", "1s")
		last := submit(p, "a", "2s", spare)
		synctest.Wait()
		next := submit(p, "a", "3s")
		if n, _ := p.Position(next.id); n != 2 {
			t.Errorf("the message that came last has the place %d, want 2", n)
		}
		next.mustText(t, "a:3s")
		if last.ended() {
			t.Error("the spare message went first")
		}
		last.mustText(t, "a:2s")
	})
}

// A message that a turn begins to wait for is spare no more: it might wait for a message
// behind that turn.
func TestSpareMessageThatATurnBeginsToWaitFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 3)
		first := submit(p, "b", "10s")
		outer := submit(p, "a", "1h")
		behind, inner := submit(p, "b", "1s", spare), submit(p, "b", "2s", spare)
		last := submit(p, "a", "1s")
		time.Sleep(5 * time.Second)
		await(t, p, outer, inner)
		first.wait()
		inner.mustText(t, "b:2s")
		if outer.ended() || behind.ended() || !p.Spares() {
			t.Error("the message waited for others")
		}
		outer.wait()
		last.wait()
		behind.mustText(t, "b:1s")
		if p.Spares() {
			t.Error("spare messages are counted that are gone")
		}
	})
}

// A message that is held is not waited for, and no turn is ended or refused for a spare
// message.
func TestSpareMessageAndAFullPool(t *testing.T) {
	for _, full := range []pool.WhenFull{pool.WhenFullEvict, pool.WhenFullFail} {
		bubble(t, func(t *testing.T) {
			h := newHouse(t)
			p := h.pool(pool.Limits{MaxProcesses: 1, WhenFull: full}, pool.Settings{SpareBelow: 0.8})
			p.Hold(key("held"), "a person")
			held := submit(p, "held", "1s")
			busy := submit(p, "a", "10s")
			time.Sleep(5 * time.Second)
			waits := submit(p, "b", "1s", spare)
			busy.mustText(t, "a:10s")
			waits.mustText(t, "b:1s")
			p.Unhold(key("held"))
			held.mustText(t, "held:1s")
		})
	}
}

// An agent with spare messages gives its place to a message that is not spare, of whatever
// account.
func TestSpareMessagesGiveTheirPlaceUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 1)
		submit(p, "a", "9s", spare)
		last := submit(p, "a", "1s", spare)
		time.Sleep(5 * time.Second)
		if on := p.SpareWaits(last.id); on != "" {
			t.Errorf("it waits for its turn, and for %q", on)
		}
		d := submit(p, "d", "1s")
		d.mustText(t, "d:1s")
		if last.ended() {
			t.Error("the spare messages went first")
		}
		last.mustText(t, "a:1s")
	})
}

// A message that another turn waits for is not spare.
func TestSpareMessageThatATurnWaitsFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 2)
		p.SetUtilization("shared", five(1, time.Now().Add(time.Hour)))
		outer := submit(p, "a", "1h")
		time.Sleep(5 * time.Second)
		submit(p, "b", "1s", spare, from(outer)).mustText(t, "b:1s")
		p.Cancel(outer.id)
		outer.wait()
	})
}

// After the reset of a limited account a spare message goes first only if no other waits.
func TestSpareMessageAtALimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 2)
		p.Limit("shared", pool.Limit{Until: time.Now().Add(time.Minute)})
		old := submit(p, "a", "1s", spare)
		synctest.Wait()
		usual := submit(p, "b", "10s")
		time.Sleep(time.Minute + 5*time.Second)
		mustState(t, p, "b", pool.Busy)
		mustState(t, p, "a", "")
		usual.mustText(t, "b:10s")
		old.mustText(t, "a:1s")
		p.Limit("shared", pool.Limit{Until: time.Now().Add(time.Minute)})
		submit(p, "a", "1s", spare).mustText(t, "a:1s")
		if p.Limits() {
			t.Error("the account is still limited")
		}
	})
}

// Utilization says what is known, limit by limit, until each reset.
func TestUtilization(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := sparing(newHouse(t), 1)
		p.SetUtilization("shared", five(0.3, time.Now().Add(time.Hour)))
		p.SetUtilization("shared", []turn.Window{{Name: "seven-day limit", Utilization: 0.5, Resets: time.Now().Add(2 * time.Hour)}})
		p.SetUtilization("shared", five(0.4, time.Now().Add(time.Hour)))
		if got := p.Utilization()["shared"]; len(got) != 2 || got[0].Utilization != 0.4 || got[1].Utilization != 0.5 {
			t.Errorf("got %+v", got)
		}
		time.Sleep(time.Hour)
		if got := p.Utilization()["shared"]; len(got) != 1 || got[0].Utilization != 0.5 {
			t.Errorf("after a reset: %+v", got)
		}
	})
}

// A team that gets another account takes its messages along, spare or not.
func TestSpareMessageAndAnotherAccount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		h := newHouse(t)
		p := sparing(h, 1)
		submit(p, "d", "1h")
		time.Sleep(5 * time.Second)
		a, b := submit(p, "a", "1s", spare), submit(p, "b", "1s")
		for _, step := range []struct{ team, account, want string }{
			{"a", "other", ""}, {"b", "other", "the other messages of account other"}, {"b", "shared", ""}, {"a", "shared", "the other messages of account shared"},
		} {
			p.SetAccount(step.team, step.account)
			if on := p.SpareWaits(a.id); on != step.want {
				t.Errorf("%s has now the account %s: the spare message waits for %q, want %q", step.team, step.account, on, step.want)
			}
		}
		b.mustText(t, "b:1s")
		a.mustText(t, "a:1s")
	})
}
