package journal

import (
	"bytes"
	"cmp"
	"iter"
	"maps"
	"os"
	"slices"

	"pgregory.net/rapid"
)

// check compares all that the journal shows with the model.
func (m *machine) check(t *rapid.T) {
	var listed []string
	for got, err := range m.j.List(Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		listed = append(listed, got.ID)
		m.checkOne(t, &got)
	}
	want := slices.Sorted(maps.Keys(m.all))
	slices.Reverse(want)
	if !slices.Equal(listed, want) {
		t.Fatalf("listed %v, want %v", listed, want)
	}
	m.checkLive(t, Queued, m.j.Queued())
	m.checkLive(t, Running, m.j.Running())
	m.checkLive(t, Unknown, m.j.Unresolved())
	m.checkStates(t)
	m.checkSums(t)
	m.checkSize(t)
	if err := m.j.Check(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) checkOne(t *rapid.T, got *Message) {
	x := m.all[got.ID]
	if x == nil {
		t.Fatalf("%s should not be there", got.ID)
	}
	if got.State != x.state || got.Seq != x.seq || len(got.Attempts) != x.attempts || len(got.History) != x.steps || got.Team != x.n.Team {
		t.Fatalf("got %+v, want %+v", got, x)
	}
	if b, err := m.j.Body(got.ID); err != nil || !bytes.Equal(b, x.n.Body) {
		t.Fatalf("body of %s: %d bytes, %v", got.ID, len(b), err)
	}
	r, err := m.j.Result(got.ID)
	if err != nil || (r == nil) != (x.result == "") || r != nil && r.Text != x.result {
		t.Fatalf("result of %s: %v, %v", got.ID, r, err)
	}
}

func (m *machine) checkLive(t *rapid.T, s State, seq func(func(Message, error) bool)) {
	var want, got []string
	for _, x := range slices.SortedFunc(maps.Values(m.all), func(a, b *modelled) int { return cmp.Compare(a.seq, b.seq) }) {
		if x.state == s {
			want = append(want, x.n.ID)
		}
	}
	for msg, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, msg.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", s, got, want)
	}
}

// checkStates compares a list by states, page by page.
func (m *machine) checkStates(t *rapid.T) {
	f := Filter{States: rapid.SliceOfNDistinct(rapid.SampledFrom(states), 1, 3, rapid.ID).Draw(t, "states"), Limit: 2}
	var want, got []string
	for id, x := range m.all {
		if slices.Contains(f.States, x.state) {
			want = append(want, id)
		}
	}
	slices.Sort(want)
	slices.Reverse(want)
	for n := -1; n != len(got); {
		n = len(got)
		for msg, err := range m.j.List(f) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, msg.ID)
			f.Before = msg.ID
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%v: got %v, want %v", f.States, got, want)
	}
}

func (m *machine) checkSums(t *rapid.T) {
	var messages, wanted int64
	var cost, want float64
	for _, x := range m.all {
		if x.state.Ended() {
			wanted++
			want += x.cost
		}
	}
	for _, sums := range []iter.Seq2[Sum, error]{m.j.Days(Filter{}), m.j.Slots(Filter{})} {
		messages, cost = 0, 0
		for s, err := range sums {
			if err != nil {
				t.Fatal(err)
			}
			messages, cost = messages+s.Messages, cost+s.CostUSD
		}
		if messages != wanted || cost != want {
			t.Fatalf("sums of %d messages, %v; want %d, %v", messages, cost, wanted, want)
		}
	}
}

// checkSize also checks that there is a file for each large content and no
// other.
func (m *machine) checkSize(t *rapid.T) {
	s, err := m.j.Size()
	if err != nil || s.Messages != int64(len(m.all)) {
		t.Fatalf("got %+v, %v, want %d messages", s, err, len(m.all))
	}
	var bytes int64
	entries, _ := os.ReadDir(m.j.dir)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		bytes += info.Size()
	}
	if bytes != s.Bodies {
		t.Fatalf("files have %d bytes, on record are %d", bytes, s.Bodies)
	}
}
