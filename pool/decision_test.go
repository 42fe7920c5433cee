package pool

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"
)

// crowd returns a table with one busy agent and n keys that wait for its place.
func crowd(n int) *table {
	t := &table{
		money:  newMoney(time.UTC),
		Limits: Limits{MaxProcesses: 1}, starts: 1, prefix: "p", now: time.Unix(1e9, 0),
		jitter:   func(d time.Duration) time.Duration { return d },
		settings: func(string) Settings { return Settings{} },
		queues:   map[Key]*queue{}, slots: map[string]*slot{}, entries: map[string]*entry{}, queued: map[string]int{}, quotas: map[string]*quota{},
	}
	for i := range n + 1 {
		t.submit(Turn{ID: fmt.Sprint(i), Key: Key{Team: fmt.Sprint("team", i)}}, false)
	}
	t.turnover(t.launch().slot)
	return t
}

// launch takes the steps until an agent is to be started, or a turn is given.
func (t *table) launch() (st step) {
	for s, ok := t.next(); ok; s, ok = t.next() {
		if s.kind == stepAnswer {
			t.recorded(s.entry)
		}
		if s.kind != stepGone && s.kind != stepAnswer {
			st = s
		}
	}
	return st
}

// turnover has an agent start and take its turn.
func (t *table) turnover(s *slot) step {
	t.started(s, 1, false)
	return t.launch()
}

// cycle is one place going round: the turn of its agent ends, the agent is the
// victim for the key that waits longest, whose agent starts and gets the turn;
// the key that had its turn asks again.
func (t *table) cycle() {
	t.now = t.now.Add(time.Second)
	s := t.busy.Front().Value.(*slot)
	e := s.entry
	t.begin(s, e)
	t.release(s, e, End{})
	t.recorded(e)
	if st := t.launch(); st.kind != stepStop {
		panic("bug: nobody was stopped")
	}
	t.exited(s, "")
	t.turnover(t.launch().slot)
	t.submit(e.turn, false)
	t.launch()
}

// BenchmarkDecision measures the decisions of one place going round among 10
// and among 10,000 keys that wait, and how much slower the latter is.
func BenchmarkDecision(b *testing.B) {
	perOp := map[int]float64{}
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			t := crowd(n)
			b.ReportAllocs()
			for b.Loop() {
				t.cycle()
			}
			perOp[n] = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if n == 10_000 && perOp[10] > 0 {
				b.ReportMetric(perOp[n]/perOp[10], "ratio")
			}
		})
	}
}

// TestDecisionLooksAtNoOtherKey has ten thousand keys in the table, and as many
// messages, that cannot be looked at: a search through them all ends the test.
// How long a decision takes is BenchmarkDecision's to say.
func TestDecisionLooksAtNoOtherKey(t *testing.T) {
	tab := crowd(10)
	for i := range 10_000 {
		name := fmt.Sprint("untouchable", i)
		tab.queues[Key{Team: name}], tab.entries[name] = nil, nil
	}
	for range 100 {
		tab.cycle()
	}
}

// counted is an item of a heap that counts how often any of them is compared.
type counted struct {
	n, at    int
	compared *int
}

func (c *counted) before(o *counted) bool { *c.compared++; return c.n < o.n }
func (c *counted) index() *int            { return &c.at }

// Whatever is done to one item, only those on one way from the root are compared.
func TestHeapIsNotSearched(t *testing.T) {
	const size = 10_000
	most := 3 * bits.Len(size)
	var h heap[*counted]
	compared := 0
	r := rand.New(rand.NewPCG(1, 2))
	all := make([]*counted, size)
	change := func(what string, f func()) {
		t.Helper()
		compared = 0
		f()
		if compared > most {
			t.Fatalf("%s: %d comparisons in a heap of %d, want at most %d", what, compared, size, most)
		}
	}
	for i := range all {
		all[i] = &counted{n: r.Int(), compared: &compared}
		change("put", func() { h.put(all[i]) })
	}
	for range size {
		c := all[r.IntN(size)]
		change("remove", func() { h.remove(c) })
		c.n = r.Int()
		change("put", func() { h.put(c) })
		c.n = r.Int()
		change("move", func() { h.put(c) })
		change("first", func() { h.first() })
	}
}
