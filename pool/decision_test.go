package pool

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

// crowd returns a table with one busy agent and n keys that wait for its place. The keys
// have two accounts. set changes the table before the first key comes; it may be nil.
func crowd(n int, set func(*table)) *table {
	t := &table{
		money:  newMoney(time.UTC),
		Limits: Limits{MaxProcesses: 1}, starts: 1, prefix: "p", now: time.Unix(1e9, 0),
		jitter:   func(d time.Duration) time.Duration { return d },
		settings: func(string) Settings { return Settings{} },
		queues:   map[Key]*queue{}, slots: map[string]*slot{}, entries: map[string]*entry{}, queued: map[string]int{}, quotas: map[string]*quota{},
		accounts: map[string]string{}, gates: map[string]*gate{},
	}
	if set != nil {
		set(t)
	}
	for i := range n + 1 {
		t.setAccount(fmt.Sprint("team", i), fmt.Sprint("account", i%2))
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
		if s.kind == stepSample {
			t.sampled(Memory{Spare: UnknownSpare}, s.slots, slices.Repeat([]int64{agentSize}, len(s.slots)))
		} else if s.kind != stepGone && s.kind != stepAnswer {
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

// agentSize is the memory of an agent of a crowd.
const agentSize = 60

// crowds are the limits that may be in use.
var crowds = []struct {
	name string
	set  func(*table)
}{
	{"slots", nil},
	{"memory", func(t *table) {
		t.MaxProcesses, t.MaxMemoryTotal = 1000, agentSize*3/2
		t.settings = func(string) Settings { return Settings{Size: agentSize} }
	}},
	{"account", func(t *table) { t.limit("account1", Limit{Until: t.now.Add(1000 * time.Hour)}) }},
	{"budget", func(t *table) {
		t.Budget = Budget{Day: 1 << 60, Month: 1 << 60}
		t.settings = func(string) Settings { return Settings{Budget: t.Budget} }
	}},
}

// BenchmarkDecision measures the decisions of one place going round among 10 and among
// 10,000 keys that wait, and how much slower the latter is: with a limit on the agents, with
// one on their memory, while the account of every second key is limited, and with budgets.
func BenchmarkDecision(b *testing.B) {
	for _, c := range crowds {
		growing(b, "limit="+c.name, 10_000, func(n int) func() { return crowd(n, c.set).cycle })
	}
}

// BenchmarkGate measures how long it takes to close and open the gate of an account of half
// of 10 and of 10,000 keys that wait, which no turn does but one that hits a limit.
func BenchmarkGate(b *testing.B) {
	growing(b, "close and open", 10_000, func(n int) func() {
		t := crowd(n, nil)
		return func() {
			t.limit("account1", Limit{Until: t.now.Add(time.Hour)})
			t.launch()
			t.open(t.gates["account1"], "")
			t.launch()
		}
	})
}

// growing measures what it makes for 10 and for most keys, and reports the ratio of the
// processor times, which say more than the clock of a machine that others use too.
func growing(b *testing.B, name string, most int, make func(n int) func()) {
	perOp := map[int]float64{}
	for _, n := range []int{10, most} {
		b.Run(fmt.Sprintf("%s/keys=%d", name, n), func(b *testing.B) {
			f := make(n)
			b.ReportAllocs()
			before := processorTime(b)
			for b.Loop() {
				f()
			}
			perOp[n] = float64(processorTime(b)-before) / float64(b.N)
			b.ReportMetric(perOp[n], "cpu-ns/op")
			if n == most && perOp[10] > 0 {
				b.ReportMetric(perOp[n]/perOp[10], "ratio")
			}
		})
	}
}

// processorTime is that of this process so far.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestDecisionLooksAtNoOtherKey has ten thousand keys in the table, and as many
// messages, that cannot be looked at: a search through them all ends the test.
// How long a decision takes is BenchmarkDecision's to say.
func TestDecisionLooksAtNoOtherKey(t *testing.T) {
	tab := crowd(10, nil)
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
