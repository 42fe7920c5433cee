package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
)

// machine runs a journal beside a map that cannot fail.
type machine struct {
	path  string
	j     *Journal
	clock int
	seq   uint64
	all   map[string]*modelled
	keys  map[string]*modelled // also of pruned ones
}

type modelled struct {
	n        New
	seq      uint64
	state    State
	result   string
	cost     float64
	attempts int
	ended    int // clock of its end, the unknown one where that was resolved; 0 for none
	by       string
	retried  bool
	steps    int
	pruned   bool
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "journal")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		m := &machine{path: filepath.Join(dir, "journal"), all: map[string]*modelled{}, keys: map[string]*modelled{}}
		m.reopen(t)
		defer func() { m.j.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"accept": m.accept, "dispatch": m.dispatch, "end": m.end, "requeue": m.requeue,
			"resolve": m.resolve, "reattempt": m.reattempt, "retry": m.retry, "reopen": m.reopen, "prune": m.prune, "": m.check,
		})
	})
}

func (m *machine) reopen(t *rapid.T) {
	if m.j != nil {
		m.j.Close()
	}
	var err error
	if m.j, err = Open(m.path); err != nil {
		t.Fatal(err)
	}
	m.j.db.NoSync = true // the model says nothing of power cuts
}

func (m *machine) tick() int { m.clock++; return m.clock }

// pick draws a message, sometimes an unknown one.
func (m *machine) pick(t *rapid.T) (string, *modelled) {
	ids := slices.Sorted(maps.Keys(m.all))
	id := rapid.SampledFrom(append(ids, "nosuch")).Draw(t, "id")
	return id, m.all[id]
}

var bodies = [][]byte{[]byte("a"), []byte("b"), {}, bytes.Repeat([]byte("b"), inFile+1)}

func (m *machine) accept(t *rapid.T) {
	now := m.tick()
	n := New{
		ID:   fmt.Sprintf("m%d", rapid.IntRange(0, 40).Draw(t, "id")),
		Team: rapid.SampledFrom([]string{"api", "web"}).Draw(t, "team"),
		Body: bodies[rapid.IntRange(0, len(bodies)-1).Draw(t, "body")], At: at(now),
		Options: Options{Key: rapid.SampledFrom([]string{"", "", "k1", "k2"}).Draw(t, "key")},
	}
	if rapid.Bool().Draw(t, "ttl") {
		n.Options.Deadline = at(now + rapid.IntRange(-1, 9).Draw(t, "deadline"))
	}
	var got Accepted
	var err error
	both := rapid.Bool().Draw(t, "and dispatch")
	if both {
		got, err = m.j.AcceptAndDispatch(n, attempt(now))
	} else {
		got, err = m.j.Accept(n)
	}
	old, want := m.existing(n)
	switch {
	case want != nil:
		if !errors.Is(err, want) {
			t.Fatalf("got %v, want %v", err, want)
		}
	case old != nil:
		if err != nil || !got.Existing || got.ID != old.n.ID || got.State != old.state || got.Pruned != old.pruned {
			t.Fatalf("got %+v, %v, want the existing %+v", got, err, old)
		}
	default:
		m.seq++
		x := &modelled{n: n, seq: m.seq, state: Queued, steps: 1}
		m.all[n.ID] = x
		if n.Options.Key != "" {
			m.keys[n.Options.Key] = x
		}
		if both {
			x.dispatch(t, now, err)
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func (m *machine) existing(n New) (*modelled, error) {
	if x := m.keys[n.Options.Key]; x != nil {
		if x.n.Team != n.Team || !bytes.Equal(x.n.Body, n.Body) {
			return nil, ErrConflict
		}
		return x, nil
	}
	x := m.all[n.ID]
	if x != nil && (x.n.Team != n.Team || !bytes.Equal(x.n.Body, n.Body) || x.n.Options.Key != n.Options.Key) {
		return nil, ErrExists
	}
	return x, nil
}

func (x *modelled) dispatch(t *rapid.T, now int, err error) {
	if d := x.n.Options.Deadline; !d.IsZero() && at(now).After(d) {
		if !errors.Is(err, ErrExpired) {
			t.Fatalf("got %v, want %v", err, ErrExpired)
		}
		x.to(Expired, now)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	x.attempts++
	x.to(Running, now)
}

func (x *modelled) to(s State, now int) {
	x.state = s
	x.steps++
	switch {
	case !s.Ended():
		x.ended = 0
	case x.ended == 0:
		x.ended = now
	}
}

// again queues an unknown message.
func (x *modelled) again(now int) {
	x.to(Queued, now)
	x.result, x.by, x.retried, x.n.Options.Deadline = "", "", true, time.Time{}
}

// refuse checks that a change that there is not was refused.
func refuse(t *rapid.T, x *modelled, err error) {
	if x == nil {
		if !errors.Is(err, ErrNotFound) {
			t.Fatalf("got %v, want %v", err, ErrNotFound)
		}
		return
	}
	s, ok := errors.AsType[*StateError](err)
	if !ok || s.From != x.state {
		t.Fatalf("from %s: got %v, want a refusal", x.state, err)
	}
}

func (m *machine) dispatch(t *rapid.T) {
	id, x := m.pick(t)
	now := m.tick()
	_, err := m.j.Dispatch(id, attempt(now))
	if x == nil || x.state != Queued {
		refuse(t, x, err)
		return
	}
	x.dispatch(t, now, err)
}

func (m *machine) requeue(t *rapid.T) {
	id, x := m.pick(t)
	now := m.tick()
	_, err := m.j.Requeue(id, "test", at(now))
	if x == nil || x.state != Running {
		refuse(t, x, err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	x.to(Queued, now)
}

var results = []string{"", "short", string(bytes.Repeat([]byte("l"), inFile))}

func (m *machine) drawEnd(t *rapid.T, states ...State) (End, string) {
	e := End{State: rapid.SampledFrom(states).Draw(t, "end"), At: at(m.tick())}
	text := results[rapid.IntRange(0, len(results)-1).Draw(t, "result")]
	if text != "" {
		e.Result = &Result{Result: turn.Result{Outcome: "success", Text: text, CostUSD: 0.25}}
	}
	return e, text
}

func (m *machine) end(t *rapid.T) {
	id, x := m.pick(t)
	e, text := m.drawEnd(t, Done, Failed, Cancelled, Expired, Unknown)
	_, err := m.j.End(id, e)
	ways := map[State][]State{Queued: {Failed, Cancelled, Expired}, Running: {Done, Failed, Cancelled, Unknown}}
	switch {
	case x != nil && x.state == e.State && x.result == text && x.by == "":
		if err != nil {
			t.Fatal("the same end again:", err)
		}
	case x == nil || !slices.Contains(ways[x.state], e.State):
		refuse(t, x, err)
	case err != nil:
		t.Fatal(err)
	default:
		x.result = text
		x.cost += costOf(text)
		x.to(e.State, m.clock)
	}
}

// costOf is the cost of a result with that text; no text stands for no result.
func costOf(text string) float64 {
	if text == "" {
		return 0
	}
	return 0.25
}

func (m *machine) resolve(t *rapid.T) {
	id, x := m.pick(t)
	e, text := m.drawEnd(t, Done, Failed, Cancelled)
	e.By = "a person"
	_, err := m.j.Resolve(id, e)
	switch {
	case x != nil && x.state == e.State && x.by == e.By && x.result == text:
		if err != nil {
			t.Fatal("the same again:", err)
		}
	case x == nil || x.state != Unknown:
		refuse(t, x, err)
	case err != nil:
		t.Fatal(err)
	default:
		x.by = e.By
		if text != "" {
			x.result, x.cost = text, costOf(text)
		}
		x.to(e.State, m.clock)
	}
}

// retry ends a message as unknown and queues it at once.
func (m *machine) retry(t *rapid.T) {
	id, x := m.pick(t)
	e, text := m.drawEnd(t, Unknown)
	e.Retry = true
	got, err := m.j.End(id, e)
	switch {
	case x != nil && x.state == Queued && x.retried:
		if err != nil {
			t.Fatal("the same again:", err)
		}
	case x == nil || x.state != Running:
		refuse(t, x, err)
	case err != nil || got.State != Queued || !got.Retried():
		t.Fatalf("got %+v, %v", got, err)
	default:
		x.cost += costOf(text)
		x.to(Unknown, m.clock)
		x.again(m.clock)
	}
}

func (m *machine) reattempt(t *rapid.T) {
	id, x := m.pick(t)
	now := m.tick()
	_, err := m.j.Reattempt(id, Change{At: at(now), By: "a person"})
	switch {
	case x == nil || x.state != Unknown:
		refuse(t, x, err)
	case err != nil:
		t.Fatal(err)
	default:
		x.again(now)
	}
}

func (m *machine) prune(t *rapid.T) {
	before := rapid.IntRange(0, m.clock+1).Draw(t, "before")
	p, err := m.j.Prune(context.Background(), at(before), at(0))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for id, x := range m.all {
		if x.ended == 0 || x.ended >= before {
			continue
		}
		n++
		delete(m.all, id)
		x.pruned = true
	}
	if p.Messages != n || p.Keys != 0 {
		t.Fatalf("pruned %+v, want %d messages", p, n)
	}
}
