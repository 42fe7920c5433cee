package pool

import (
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
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
	orphans  []*slot
	samples  []step
	working  map[*slot]bool // by themselves
	closing  bool

	settings Settings
	serial   int
	owed     map[Key][]string  // the model: messages of a key, in order
	kept     map[string]uint64 // and those of an earlier daemon, by id
	running  map[Key]string
	held     map[Key]bool
	ended    map[string]int
	spawned  map[string]int
	parted   map[string]int      // terminated or exited
	lowered  bool                // the bound is below what it was
	limits   map[string]*limited // the model: accounts that are limited
	purse    purse               // the model: what was spent
	spare    map[string]bool     // and spare messages
	windows  map[string]map[string]turn.Window
	seen     uint64
	memory   memoryModel // before the next step
}

func newWorld(rt *rapid.T, max, starts int) *world {
	w := &world{
		T: rt, aborted: map[*slot]bool{}, owed: map[Key][]string{}, kept: map[string]uint64{}, running: map[Key]string{},
		working: map[*slot]bool{}, held: map[Key]bool{}, ended: map[string]int{}, spawned: map[string]int{}, parted: map[string]int{}, limits: map[string]*limited{},
		purse: newPurse(),
		spare: map[string]bool{}, windows: map[string]map[string]turn.Window{},
	}
	w.t = &table{
		Limits: Limits{MaxMemoryTotal: rapid.SampledFrom(limitsOfMemory).Draw(rt, "max memory total"), MaxProcesses: max, FairWait: 3 * time.Second, HealthCheckInterval: 20 * time.Second},
		starts: starts, prefix: "p", jitter: func(d time.Duration) time.Duration { return d },
		settings: func(team string) Settings {
			set := w.settings
			set.SpareBelow = below(team)
			return set
		},
		queues: map[Key]*queue{}, slots: map[string]*slot{}, entries: map[string]*entry{}, queued: map[string]int{},
		accounts: map[string]string{"a": "x", "b": "x", "c": "x", "d": "y"}, gates: map[string]*gate{}, quotas: map[string]*quota{},
		money: newMoney(time.UTC),
		now:   time.Unix(1e9, 0),
	}
	return w
}

// update does what Pool.update does, and checks each decision as it is made.
func (w *world) update(f func(*table)) {
	w.t.now = w.t.now.Add(time.Millisecond)
	f(w.t)
	for {
		for len(w.t.out) == 0 && w.t.allot() { // before the decision that the model looks at
		}
		w.memory = w.memoryNow()
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
		if s.state != Idle || len(s.queue.entries) > 0 && !s.queue.stopped() {
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
	if s != nil && w.held[s.queue.key] && (st.kind == stepStart || st.kind == stepGrant || st.kind == stepAnswer) {
		w.Fatalf("%v is held and gets %+v", s.queue.key, st)
	}
	if s != nil {
		w.mayBegin(st)
		w.mayBeginSpare(st)
	}
	switch st.kind {
	case stepStart:
		w.mayStart(s)
		w.starts = append(w.starts, s)
		if len(w.starts) > w.t.starts {
			w.Fatalf("%d starts at a time", len(w.starts))
		}
	case stepAbort:
		w.aborted[s] = true
	case stepGrant:
		k := s.queue.key
		if w.owed[k][0] != st.entry.turn.ID {
			w.Fatalf("%v: %s was granted before %v", k, st.entry.turn.ID, w.owed[k])
		}
		if w.running[k] != "" || st.entry.turn.Fresh != s.fresh || cold(st.entry.turn.Variant.Value(), s.modes) != s.variant {
			w.Fatalf("%v: wrong grant of %s", k, st.entry.turn.ID)
		}
		w.mayPay(st.entry)
		w.owed[k], w.running[k] = w.owed[k][1:], st.entry.turn.ID
		w.turns = append(w.turns, st)
	case stepStop:
		if slices.Contains(w.stops, s) {
			w.Fatalf("%s is stopped twice", s.id)
		}
		w.mayStopForMemory(s)
		if older := w.victim(); strings.HasPrefix(s.why, "made room") && !strings.HasSuffix(s.why, forMemory) && s.entry == nil && older != nil && older.used.Before(s.used) {
			w.Fatalf("%s was the victim, not the oldest, %s", s.id, older.id)
		}
		w.mayStop(s)
		w.stops = append(w.stops, s)
	case stepAnswer:
		w.over(st)
	case stepSample:
		if w.samples = append(w.samples, st); len(w.samples) > 1 {
			w.Fatalf("two samples at a time")
		}
	}
}

// over notes that an entry has ended, and that its Run has not returned.
func (w *world) over(st step) {
	w.finishes = append(w.finishes, st)
	id := st.entry.turn.ID
	if w.ended[id]++; id != "" && w.ended[id] > 1 {
		w.Fatalf("%s ended twice", id)
	}
	k := st.entry.queue.key
	w.owed[k] = slices.DeleteFunc(w.owed[k], func(o string) bool { return o == id })
}

// mayStop checks that no agent is stopped that works by itself, unless it is of no
// use any more or was killed.
func (w *world) mayStop(s *slot) {
	if w.working[s] {
		switch {
		case w.closing, s.why == "killed", s.why == "used up", s.why == "did not take the message":
		case strings.HasPrefix(s.why, "its turn ended with"):
		default:
			w.Fatalf("%s works by itself and is stopped: %s", s.id, s.why)
		}
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
	var idle, starting, stopping, returning, messages, waiting, held int
	byQueue := map[*queue]*slot{}
	for _, s := range t.slots {
		if s.orphan {
			held++
			continue
		}
		if byQueue[s.queue] != nil || s.queue.slot != s || t.queues[s.queue.key] != s.queue {
			w.Fatalf("%s is not the only slot of %v", s.id, s.queue.key)
		}
		byQueue[s.queue] = s
		switch s.state {
		case Idle:
			idle++
		case Stopping:
			stopping++
		}
		if s.state == Stopping {
			delete(w.working, s)
		}
		if s.work != nil != w.working[s] {
			w.Fatalf("%s works by itself: %v, want %v", s.id, s.work != nil, w.working[s])
		}
		if (s.state == Busy) != (s.entry != nil || s.work != nil) && s.state != Stopping && s.state != Starting {
			w.Fatalf("%s is %s with turn %v", s.id, s.state, s.entry)
		}
	}
	for _, q := range t.queues {
		for _, e := range q.entries {
			if !e.wake {
				messages++
			}
		}
		if (q.held != "") != w.held[q.key] {
			w.Fatalf("%v: held: %v, want %v", q.key, q.held, w.held[q.key])
		}
		need := len(q.entries) > 0 && !q.stopped() && q.slot == nil && q.orphans == 0 && q.recording == nil && !t.now.Before(q.retryAt)
		if need {
			waiting++
		}
		if need != (q.waiting > 0) {
			w.Fatalf("%v: needs a slot: %v, stands in the heap: %v", q.key, need, q.waiting > 0)
		}
		if len(q.entries) > 0 && !q.stopped() && q.slot != nil && q.slot.state == Stopping {
			returning++
		}
		if q.wants() && q.recording == nil && q.slot != nil && t.takes(q.slot, q.entries[0]) {
			w.Fatalf("%v: its agent could take the next message", q.key)
		}
		if q.empty() {
			w.Fatalf("%v is kept for nothing", q.key)
		}
	}
	w.checkGates()
	w.checkBudgets()
	w.checkSpare()
	for k, ids := range w.owed {
		for i, id := range ids {
			if n := t.position(t.entries[id]); n != i+1 {
				w.Fatalf("%v: %s is at position %d, want %d", k, id, n, i+1)
			}
		}
		if n := t.position(t.entries[w.running[k]]); n != 0 {
			w.Fatalf("%v: %s runs, at position %d", k, w.running[k], n)
		}
	}
	starting = len(w.starts)
	got := []int{t.idle.Len(), t.starting, t.stopping, t.returning, t.messages, t.waiting.len(), len(t.ready)}
	want := []int{idle, starting, stopping, returning, messages, waiting, 0}
	if !slices.Equal(got, want) {
		w.Fatalf("idle starting stopping returning waiting waiting ready: got %v, want %v", got, want)
	}
	if len(t.slots)-held > t.MaxProcesses && !w.lowered {
		w.Fatalf("%d slots, more than %d", len(t.slots), t.MaxProcesses)
	}
	w.checkMemory()
	if v := w.victim(); v != nil && (t.short() && !w.waitsForMemory() || t.overfull()) {
		w.Fatalf("%s is idle while room is needed that is not on its way", v.id)
	}
	if waiting > 0 && len(t.slots) < t.MaxProcesses && t.starting < t.starts && !w.waitsForMemory() {
		w.Fatalf("room is free and %v waits", t.waiting.first().key)
	}
	checkHeap(w, &t.waiting)
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
