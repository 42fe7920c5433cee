package pool

import (
	"slices"
	"time"

	"pgregory.net/rapid"
)

// world drives a table without goroutines or time: every step that the table
// yields stays open until the test ends it. Beside it stands a model, as simple
// as can be, of what each key is owed.
type world struct {
	*rapid.T
	t *table

	starts   []*slot
	aborted  map[*slot]bool
	agents   []*slot // alive
	stops    []*slot // Stop under way
	turns    []step  // granted and not ended
	finishes []step
	fences   []*slot

	settings Settings
	serial   int
	owed     map[Key][]string  // the model: messages of a key, in order
	kept     map[string]uint64 // and those of an earlier daemon, by id
	running  map[Key]string
	held     map[Key]bool
	ended    map[string]int
	spawned  map[string]int
	parted   map[string]int // terminated or exited
	lowered  bool           // the bound is below what it was
	oldest   *slot          // what the next victim has to be
	seen     uint64
}

func newWorld(rt *rapid.T, max, starts int) *world {
	w := &world{
		T: rt, aborted: map[*slot]bool{}, owed: map[Key][]string{}, kept: map[string]uint64{}, running: map[Key]string{},
		held: map[Key]bool{}, ended: map[string]int{}, spawned: map[string]int{}, parted: map[string]int{},
	}
	w.t = &table{
		Limits: Limits{MaxProcesses: max, FairWait: 3 * time.Second, HealthCheckInterval: 20 * time.Second},
		starts: starts, prefix: "p", jitter: func(d time.Duration) time.Duration { return d },
		settings: func(string) Settings { return w.settings },
		lines:    map[Key]*line{}, slots: map[string]*slot{}, jobs: map[string]*job{}, queued: map[string]int{},
		now: time.Unix(1e9, 0),
	}
	return w
}

// update does what Pool.update does, and checks each decision as it is made.
func (w *world) update(f func(*table)) {
	w.t.now = w.t.now.Add(time.Millisecond)
	f(w.t)
	for {
		w.oldest = w.victim()
		s, ok := w.t.next()
		if !ok {
			break
		}
		w.launch(s)
	}
	w.events()
	w.check()
}

// victim is the model of LRU: of all idle agents without a message that may go
// on the one whose last use ended first.
func (w *world) victim() (oldest *slot) {
	for _, s := range w.t.slots {
		if s.state != Idle || len(s.line.queue) > 0 && !w.held[s.line.key] {
			continue
		}
		if oldest == nil || s.used.Before(oldest.used) {
			oldest = s
		}
	}
	return oldest
}

func (w *world) launch(st step) {
	s := st.slot
	if s != nil && w.held[s.line.key] && (st.kind == stepStart || st.kind == stepGrant || st.kind == stepFinish) {
		w.Fatalf("%v is held and gets %+v", s.line.key, st)
	}
	switch st.kind {
	case stepStart:
		w.starts = append(w.starts, s)
		if len(w.starts) > w.t.starts {
			w.Fatalf("%d starts at a time", len(w.starts))
		}
	case stepAbort:
		w.aborted[s] = true
	case stepGrant:
		k := s.line.key
		if w.owed[k][0] != st.job.turn.ID {
			w.Fatalf("%v: %s was granted before %v", k, st.job.turn.ID, w.owed[k])
		}
		if w.running[k] != "" || st.job.turn.Fresh != s.fresh || st.job.turn.Variant.Value() != s.variant {
			w.Fatalf("%v: wrong grant of %s", k, st.job.turn.ID)
		}
		w.owed[k], w.running[k] = w.owed[k][1:], st.job.turn.ID
		w.turns = append(w.turns, st)
	case stepStop:
		if slices.Contains(w.stops, s) {
			w.Fatalf("%s is stopped twice", s.id)
		}
		if len(s.why) > 9 && s.why[:9] == "made room" && s.job == nil && s != w.oldest {
			w.Fatalf("%s was the victim, not the oldest, %v", s.id, w.oldest)
		}
		w.stops = append(w.stops, s)
	case stepFinish:
		w.finishes = append(w.finishes, st)
		id := st.job.turn.ID
		if w.ended[id]++; id != "" && w.ended[id] > 1 {
			w.Fatalf("%s ended twice", id)
		}
		k := st.job.line.key
		w.owed[k] = slices.DeleteFunc(w.owed[k], func(o string) bool { return o == id })
	}
}

func (w *world) events() {
	for e, ok := w.t.events.after(w.seen); ok; e, ok = w.t.events.after(w.seen) {
		w.seen = e.Seq
		switch e.Type {
		case ProcessSpawned, ProcessFenced:
			w.spawned[e.Process]++
		case ProcessExited, ProcessTerminated:
			w.parted[e.Process]++
		}
		if w.spawned[e.Process] > 1 || w.parted[e.Process] > w.spawned[e.Process] {
			w.Fatalf("%s: spawned %d times, left %d times", e.Process, w.spawned[e.Process], w.parted[e.Process])
		}
	}
}

// check walks the table and recomputes everything that it keeps.
func (w *world) check() {
	t := w.t
	var idle, starting, stopping, returning, waiting, needy, held int
	byLine := map[*line]*slot{}
	for _, s := range t.slots {
		if s.fence {
			held++
			continue
		}
		if byLine[s.line] != nil || s.line.slot != s || t.lines[s.line.key] != s.line {
			w.Fatalf("%s is not the only slot of %v", s.id, s.line.key)
		}
		byLine[s.line] = s
		switch s.state {
		case Idle:
			idle++
		case Stopping:
			stopping++
		}
		if (s.state == Busy) != (s.job != nil) && s.state != Stopping {
			w.Fatalf("%s is %s with turn %v", s.id, s.state, s.job)
		}
	}
	for _, l := range t.lines {
		for _, j := range l.queue {
			if !j.wake {
				waiting++
			}
		}
		if l.held != w.held[l.key] {
			w.Fatalf("%v: held: %v, want %v", l.key, l.held, w.held[l.key])
		}
		need := len(l.queue) > 0 && !l.held && l.slot == nil && l.fences == 0 && l.settling == nil && !t.now.Before(l.retryAt)
		if need {
			needy++
		}
		if need != (l.needy > 0) {
			w.Fatalf("%v: needs a slot: %v, stands in the heap: %v", l.key, need, l.needy > 0)
		}
		if len(l.queue) > 0 && !l.held && l.slot != nil && l.slot.state == Stopping {
			returning++
		}
		if l.empty() {
			w.Fatalf("%v is kept for nothing", l.key)
		}
	}
	for k, ids := range w.owed {
		for i, id := range ids {
			if n := t.position(t.jobs[id]); n != i+1 {
				w.Fatalf("%v: %s is at position %d, want %d", k, id, n, i+1)
			}
		}
		if n := t.position(t.jobs[w.running[k]]); n != 0 {
			w.Fatalf("%v: %s runs, at position %d", k, w.running[k], n)
		}
	}
	starting = len(w.starts)
	got := []int{t.idle.Len(), t.starting, t.stopping, t.returning, t.waiting, t.needy.len(), len(t.ready)}
	want := []int{idle, starting, stopping, returning, waiting, needy, 0}
	if !slices.Equal(got, want) {
		w.Fatalf("idle starting stopping returning waiting needy ready: got %v, want %v", got, want)
	}
	if len(t.slots)-held > t.MaxProcesses && !w.lowered {
		w.Fatalf("%d slots, more than %d", len(t.slots), t.MaxProcesses)
	}
	if v := w.victim(); v != nil && (t.short() || t.over()) {
		w.Fatalf("%s is idle while room is needed that is not on its way", v.id)
	}
	if needy > 0 && len(t.slots) < t.MaxProcesses && t.starting < t.starts {
		w.Fatalf("room is free and %v waits", t.needy.first().key)
	}
	checkHeap(w, &t.needy)
	checkHeap(w, &t.alarms)
	var last time.Time
	for e := t.idle.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*slot); s.used.Before(last) {
			w.Fatalf("the idle list is out of order at %s", s.id)
		} else {
			last = s.used
		}
	}
}

func checkHeap[T node[T]](w *world, h *heap[T]) {
	for i, x := range h.items {
		if *x.index() != i+1 {
			w.Fatalf("item %d of the heap believes to be at %d", i+1, *x.index())
		}
		if i > 0 && x.before(h.items[(i-1)/2]) {
			w.Fatalf("item %d of the heap is before its parent", i+1)
		}
	}
}

func take[T any](rt *rapid.T, from *[]T) T {
	if len(*from) == 0 {
		rt.Skip("none")
	}
	i := rapid.IntRange(0, len(*from)-1).Draw(rt, "which")
	x := (*from)[i]
	*from = slices.Delete(*from, i, i+1)
	return x
}
