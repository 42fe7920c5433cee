package pool

import (
	"fmt"
	"testing"
	"time"
)

// crowd returns a table with one busy agent and n keys that wait for its place.
func crowd(n int) *table {
	t := &table{
		Limits: Limits{MaxProcesses: 1}, starts: 1, prefix: "p", now: time.Unix(1e9, 0),
		jitter:   func(d time.Duration) time.Duration { return d },
		settings: func(string) Settings { return Settings{} },
		lines:    map[Key]*line{}, slots: map[string]*slot{}, jobs: map[string]*job{}, queued: map[string]int{},
	}
	for i := range n + 1 {
		t.submit(&Turn{ID: fmt.Sprint(i), Key: Key{Team: fmt.Sprint("team", i)}}, false, nil)
	}
	t.turnover(t.launch().slot)
	return t
}

// launch takes the steps until an agent is to be started, or a turn is given.
func (t *table) launch() (st step) {
	for s, ok := t.next(); ok; s, ok = t.next() {
		if s.kind == stepFinish {
			t.settled(s.job)
		}
		if s.kind != stepGone && s.kind != stepFinish {
			st = s
		}
	}
	return st
}

// turnover has an agent start and take its turn.
func (t *table) turnover(s *slot) step {
	t.started(s, nil, 1)
	return t.launch()
}

// cycle is one place going round: the turn of its agent ends, the agent is the
// victim for the key that waits longest, whose agent starts and gets the turn;
// the key that had its turn asks again.
func (t *table) cycle() {
	t.now = t.now.Add(time.Second)
	s := t.busy.Front().Value.(*slot)
	j := s.job
	t.sent(s, j)
	t.end(s, j, &Result{}, nil)
	if st := t.launch(); st.kind != stepStop {
		panic("bug: nobody was stopped")
	}
	t.exited(s, "")
	t.turnover(t.launch().slot)
	t.submit(j.turn, false, nil)
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

// TestDecisionScales holds the ratio of BenchmarkDecision: a decision among
// 10,000 keys takes about as long as one among ten. The bound is loose because
// machines are noisy; a search through all keys would be a hundred times over.
func TestDecisionScales(t *testing.T) {
	const rounds = 5_000
	best := func(n int) time.Duration {
		least := time.Hour
		for range 3 {
			tab := crowd(n)
			begin := time.Now()
			for range rounds {
				tab.cycle()
			}
			least = min(least, time.Since(begin))
		}
		return least
	}
	few, many := best(10), best(10_000)
	if ratio := float64(many) / float64(few); ratio > 6 {
		t.Errorf("a decision takes %v among 10 keys and %v among 10,000: %.1f times as long", few/rounds, many/rounds, ratio)
	}
}
