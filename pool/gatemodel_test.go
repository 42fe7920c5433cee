package pool

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
)

// limited is the model of an account that is limited.
type limited struct {
	until time.Time
	known bool   // until is a reset that was told
	tries int    // limits in a row without one
	first string // the message that goes first, while it runs
}

func (l *limited) due(now time.Time) bool { return !now.Before(l.until) }

// limit is a limit that a turn reports.
func (w *world) limit(known bool) *Limit {
	l := &Limit{Why: "five-hour limit"}
	if known {
		l.Until = w.t.now.Add(rapid.SampledFrom([]time.Duration{-time.Minute, time.Second, time.Minute, 10 * time.Minute}).Draw(w.T, "reset"))
	}
	return l
}

// learn changes the model at the end of a turn.
func (w *world) learn(team, id string, end *End) {
	account := w.t.accounts[team]
	l := w.limits[account]
	switch {
	case end.Limit != nil && account != "":
		w.close(account, end.Limit)
	case l == nil || l.first != id:
	case end.Err != nil || end.Outcome == turn.Interrupted:
		l.first = ""
	default:
		delete(w.limits, account)
	}
}

// returns notes that the agent of a message has not taken it.
func (w *world) returns(team, id string) {
	if l := w.limits[w.t.accounts[team]]; l != nil && l.first == id {
		l.first = ""
	}
}

func (w *world) close(account string, told *Limit) {
	l := w.limits[account]
	if l == nil {
		l = &limited{}
		w.limits[account] = l
	}
	fresh := l.due(w.t.now)
	switch known := told.Until.After(w.t.now); {
	case known && (fresh || !l.known || told.Until.After(l.until)):
		l.until, l.known, l.tries = told.Until, true, 0
	case fresh && !known:
		l.tries++
		l.until, l.known = w.t.now.Add(min(time.Minute<<(l.tries-1), 24*time.Minute)*5/4), false
	default:
		return
	}
	l.first = ""
}

// account limits an account, or opens it, as a person or an earlier daemon does.
func (w *world) account() {
	account := rapid.SampledFrom([]string{"x", "y"}).Draw(w.T, "account")
	if rapid.Bool().Draw(w.T, "open") {
		w.update(func(t *table) {
			delete(w.limits, account)
			if g := t.gates[account]; g != nil {
				t.open(g, "by a person")
			}
		})
		return
	}
	l := w.limit(rapid.Bool().Draw(w.T, "known"))
	w.update(func(t *table) {
		w.close(account, l)
		t.limit(account, *l)
	})
}

// passes is the account whose first message sends another, empty if there is none.
func (w *world) passes(parent string) string {
	s := w.t.slots[parent]
	if s == nil || s.state == Starting || s.entry == nil && s.work == nil {
		return ""
	}
	if g := s.queue.gate; g != nil && g.first == s.queue {
		return g.account
	}
	return ""
}

// mayBegin checks that no turn and no agent begins while the account is limited, and
// after the reset only one message, the oldest that can go.
func (w *world) mayBegin(st step) {
	k := st.slot.queue.key
	l := w.limits[w.t.accounts[k.Team]]
	if l == nil || st.kind != stepStart && st.kind != stepGrant {
		return
	}
	if !l.due(w.t.now) || l.first != "" {
		w.Fatalf("%v is limited until %v, %q goes first, and it gets %+v at %v", k, l.until, l.first, st, w.t.now)
	}
	if st.kind == stepGrant {
		l.first = st.entry.turn.ID
	}
}

// checkGates compares the gates of the table with the model.
func (w *world) checkGates() {
	if len(w.t.gates) != len(w.limits) {
		w.Fatalf("%d gates, want %d", len(w.t.gates), len(w.limits))
	}
	for account, l := range w.limits {
		g := w.t.gates[account]
		if g == nil || !g.until.Equal(l.until) || g.due != l.due(w.t.now) {
			w.Fatalf("%s: gate %+v, want %+v", account, g, l)
		}
		if !w.t.closed && g.due && g.first == nil && w.t.oldest(g) != nil {
			w.Fatalf("%s: nothing goes first, and %v could", account, w.t.oldest(g).key)
		}
	}
	for _, q := range w.t.queues {
		if q.gate != w.t.gates[w.t.accounts[q.key.Team]] {
			w.Fatalf("%v has the gate %+v", q.key, q.gate)
		}
	}
	for _, g := range w.t.gates {
		if g.first != nil && w.t.queues[g.first.key] != g.first {
			w.Fatalf("%s: the queue that goes first is gone", g.account)
		}
		if g.due == slices.Contains(w.t.alarms.items, &g.alarm) {
			w.Fatalf("%s: due %v, with an alarm: %v", g.account, g.due, !g.due)
		}
	}
}

// A gate follows the wall clock: the clock may be set, or the machine may sleep, and a
// timer would notice neither.
func TestGateFollowsTheWallClock(t *testing.T) {
	for _, c := range []struct {
		name string
		step time.Duration // by which the clock is set ahead
		open bool          // a minute later
	}{{"ahead", 3 * time.Hour, true}, {"not at all", 0, false}, {"back", -3 * time.Hour, false}} {
		now := time.Now()
		table := table{
			now: now, queues: map[Key]*queue{}, accounts: map[string]string{}, gates: map[string]*gate{}, quotas: map[string]*quota{}, money: newMoney(time.UTC),
			jitter: func(d time.Duration) time.Duration { return d }, starts: 1, Limits: Limits{MaxProcesses: 1},
		}
		table.limit("x", Limit{Until: now.Add(2 * time.Hour)})
		g := table.gates["x"]
		if due := table.due(); due.Sub(now) > gateLook {
			t.Errorf("%s: it looks again after %v", c.name, due.Sub(now))
		}
		g.until = g.until.Add(-c.step) // as if the clock had been set
		table.now = now.Add(gateLook)
		for _, more := table.next(); more; _, more = table.next() {
		}
		if g.due != c.open {
			t.Errorf("%s: the reset has passed: %v, want %v", c.name, g.due, c.open)
		}
	}
}
