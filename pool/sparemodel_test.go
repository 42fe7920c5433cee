package pool

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
)

// below is SpareBelow of a team in the model.
func below(team string) float64 {
	if team == "b" || team == "f" {
		return 0.9
	}
	return 0.8
}

// utilize reports how much of its limits an account has used.
func (w *world) utilize() {
	account := rapid.SampledFrom([]string{"x", "y"}).Draw(w.T, "account")
	l := turn.Window{
		Name:        rapid.SampledFrom([]string{"five-hour limit", "seven-day limit"}).Draw(w.T, "name"),
		Utilization: rapid.SampledFrom([]float64{0.1, 0.8, 0.85, 1}).Draw(w.T, "used"),
		Resets:      w.t.now.Add(rapid.SampledFrom([]time.Duration{-time.Minute, time.Second, time.Minute, 10 * time.Minute}).Draw(w.T, "reset")),
	}
	if rapid.IntRange(0, 4).Draw(w.T, "reset known") == 0 {
		l.Resets = time.Time{}
	}
	if w.windows[account] == nil {
		w.windows[account] = map[string]turn.Window{}
	}
	w.windows[account][l.Name] = l
	w.update(func(t *table) { t.utilize(account, []turn.Window{l}) })
}

// used is the model of how much of its limits an account has used.
func (w *world) used(account string) (most float64) {
	for _, l := range w.windows[account] {
		if l.Resets.After(w.t.now) {
			most = max(most, l.Utilization)
		}
	}
	return most
}

// waitsBefore is a message of the account, of whatever key, that spare messages wait for.
func (w *world) waitsBefore(account string) string {
	for k, ids := range w.owed {
		orphaned := slices.ContainsFunc(w.orphans, func(s *slot) bool { return s.queue.key == k })
		q := w.t.queues[k]
		unpaid := q != nil && q.short != nil
		if len(ids) > 0 && !w.spare[ids[0]] && w.t.accounts[k.Team] == account && !w.held[k] && !orphaned && !unpaid {
			return ids[0]
		}
	}
	return ""
}

// staysBehind reports whether the message id waits behind other, whichever came first.
func (w *world) staysBehind(id, other string) bool { return w.spare[id] && !w.spare[other] }

// oweAgain puts a message that its agent did not take back to the head.
func (w *world) oweAgain(k Key, id string) {
	at := 0
	for at < len(w.owed[k]) && w.staysBehind(id, w.owed[k][at]) {
		at++
	}
	w.owed[k] = slices.Insert(w.owed[k], at, id)
	w.returns(k.Team, id)
}

// mayBeginSpare checks that a spare message gets neither a turn nor an agent that has to
// start while its account has nothing to spare.
func (w *world) mayBeginSpare(st step) {
	k := st.slot.queue.key
	if st.kind != stepStart && st.kind != stepGrant || len(w.owed[k]) == 0 || !w.spare[w.owed[k][0]] {
		return
	}
	if st.kind == stepStart && st.slot.queue.entries[0].wake {
		return
	}
	account := w.t.accounts[k.Team]
	if id := w.waitsBefore(account); id != "" {
		w.Fatalf("%v: the spare message %s gets %+v, while %s waits", k, w.owed[k][0], st, id)
	}
	if used := w.used(account); used >= below(k.Team) {
		w.Fatalf("%v: the spare message %s gets %+v, while %g of the account is used", k, w.owed[k][0], st, used)
	}
}

// checkSpare recomputes what the table keeps for spare messages, and checks that one of an
// account may begin if nothing stands against it.
func (w *world) checkSpare() {
	t := w.t
	if len(t.reviews) > 0 {
		w.Fatalf("%d quotas are to be looked at", len(t.reviews))
	}
	usual, waiting := map[*quota]int{}, 0
	for _, q := range t.queues {
		if q.quota != t.quotas[t.accounts[q.key.Team]] {
			w.Fatalf("%v has the quota %+v", q.key, q.quota)
		}
		if q.usual() {
			usual[q.quota]++
		}
		if got, want := q.candidate.i > 0, t.couldBegin(q); got != want {
			w.Fatalf("%v: its spare message could begin: %v, want %v", q.key, got, want)
		}
		if q.candidate.i > 0 && (q.candidate.age != q.age() || q.candidate.below != below(q.key.Team)) {
			w.Fatalf("%v: its place is by %+v", q.key, q.candidate)
		}
		spares := false
		for _, e := range q.entries {
			if spares && !e.turn.Spare {
				w.Fatalf("%v: %s waits behind a spare message", q.key, e.turn.ID)
			}
			if spares = e.turn.Spare; spares {
				waiting++
			}
		}
	}
	if t.spares != waiting {
		w.Fatalf("%d spare messages wait, want %d", t.spares, waiting)
	}
	for account, u := range t.quotas {
		checkHeap(w, &u.spare)
		if u.usual != usual[u] {
			w.Fatalf("%q: %d queues with other messages, want %d", account, u.usual, usual[u])
		}
		var want *queue
		tooMuch := false
		if u.spare.len() > 0 && u.usual == 0 {
			c := u.spare.first()
			if tooMuch = w.used(account) >= c.below; !tooMuch {
				want = c.queue
			}
		}
		if u.next != want {
			w.Fatalf("%q: %v may begin, want %v", account, u.next, want)
		}
		if slices.Contains(t.alarms.items, &u.alarm) != tooMuch {
			w.Fatalf("%q: too much is used: %v; with an alarm: %v", account, tooMuch, !tooMuch)
		}
	}
}

// crowdOfSpares is a crowd with spare messages, one of which may begin.
func crowdOfSpares(n int) *table {
	t := crowd(1, nil)
	for i := range n {
		t.submit(Turn{ID: fmt.Sprint("s", i), Key: Key{Team: fmt.Sprint("spare", i)}, Spare: true}, false)
	}
	t.launch()
	return t
}

// interlude is a message that comes, for which all spare messages wait, and goes.
func (t *table) interlude() {
	e, _, _ := t.submit(Turn{ID: "usual", Key: Key{Team: "usual"}}, false)
	t.launch()
	t.cancel(e, ErrCancelled)
	t.launch()
}

// A message concerns one of the spare messages that wait for it, however many they are.
func TestSpareDecisionLooksAtNoOtherKey(t *testing.T) {
	tab := crowdOfSpares(10)
	for i := range 10_000 {
		tab.queues[Key{Team: fmt.Sprint("untouchable", i)}] = nil
	}
	for range 100 {
		tab.interlude()
	}
}

// BenchmarkSpareDecision measures a message that all spare messages wait for, with 10
// and with 10,000 of them, and how much slower the latter is.
func BenchmarkSpareDecision(b *testing.B) {
	perOp := map[int]float64{}
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			t := crowdOfSpares(n)
			b.ReportAllocs()
			for b.Loop() {
				t.interlude()
			}
			perOp[n] = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if n == 10_000 && perOp[10] > 0 {
				b.ReportMetric(perOp[n]/perOp[10], "ratio")
			}
		})
	}
}
