package pool

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
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

func (w *world) key() Key {
	return Key{Team: string(rune('a' + rapid.IntRange(0, 5).Draw(w.T, "team")))}
}

func (w *world) submit() {
	w.serial++
	turn := &Turn{ID: fmt.Sprint("m", w.serial), Key: w.key(), Fresh: rapid.IntRange(0, 5).Draw(w.T, "fresh") == 0}
	turn.Variant = &Variant{MaxTurns: max(0, rapid.IntRange(-4, 2).Draw(w.T, "variant"))}
	switch how := rapid.IntRange(0, 5).Draw(w.T, "how"); {
	case how < 2 && len(w.turns) > 0:
		turn.Parent = rapid.SampledFrom(w.turns).Draw(w.T, "parent").slot.id
	case how == 2:
		turn.Kept = uint64(rapid.IntRange(1, 9).Draw(w.T, "kept"))
	case how == 3:
		turn.IfIdle = true
	}
	busy := w.busy(turn.Key)
	owed := slices.Clone(w.owed[turn.Key])
	w.owe(turn)
	var err error
	w.update(func(t *table) {
		if _, _, err = t.submit(turn, false, nil); err != nil {
			w.owed[turn.Key] = owed
		}
	})
	if turn.Kept > 0 && err != nil || errors.Is(err, ErrBusy) != (turn.IfIdle && busy) {
		w.Fatalf("%+v: refused with %v, busy: %v", turn, err, busy)
	}
}

// owe puts a message at its place: at the end, or, when an earlier daemon
// accepted it, before the first that is new or was accepted later.
func (w *world) owe(turn *Turn) {
	w.kept[turn.ID] = turn.Kept
	queue := w.owed[turn.Key]
	at := len(queue)
	for turn.Kept > 0 && at > 0 && (w.kept[queue[at-1]] == 0 || w.kept[queue[at-1]] > turn.Kept) {
		at--
	}
	w.owed[turn.Key] = slices.Insert(queue, at, turn.ID)
}

// busy is the model of a conversation with something to do.
func (w *world) busy(k Key) bool {
	open := func(st step) bool { return !st.job.wake && st.job.line.key == k }
	fenced := func(s *slot) bool { return s.line.key == k }
	return len(w.owed[k]) > 0 || w.running[k] != "" ||
		slices.ContainsFunc(w.finishes, open) || slices.ContainsFunc(w.fences, fenced)
}

func (w *world) hold() {
	k := w.key()
	w.held[k] = true
	w.update(func(t *table) { t.hold(k) })
}

func (w *world) release(k Key) {
	delete(w.held, k)
	w.update(func(t *table) { t.release(k) })
}

func (w *world) wake() {
	w.update(func(t *table) { t.submit(&Turn{Key: w.key()}, true, func(Process, error) {}) })
}

func (w *world) cancel() {
	if w.serial == 0 {
		w.Skip("none")
	}
	id := fmt.Sprint("m", rapid.IntRange(1, w.serial).Draw(w.T, "id"))
	w.update(func(t *table) { t.cancel(t.jobs[id], ErrCancelled) })
}

func (w *world) started() {
	s := take(w.T, &w.starts)
	if w.aborted[s] && rapid.Bool().Draw(w.T, "too late") {
		w.update(func(t *table) { t.notStarted(s, errors.New("no longer wanted")) })
		return
	}
	w.agents = append(w.agents, s)
	w.update(func(t *table) { t.started(s, nil, 1) })
}

func (w *world) startFails() {
	s := take(w.T, &w.starts)
	err := &StartError{Err: errors.New("not found"), Permanent: rapid.Bool().Draw(w.T, "permanent")}
	w.update(func(t *table) { t.notStarted(s, err) })
}

// turnEnds ends a turn in one of the ways in which turns end. One that waits
// for another only does when it is interrupted or its agent dies.
func (w *world) turnEnds() {
	st := take(w.T, &w.turns)
	s, j := st.slot, st.job
	how := rapid.SampledFrom([]string{"ok", "ok", "ok", "stale", "begin", "refused", "broken", "retire"}).Draw(w.T, "how")
	if len(j.children) > 0 && (how == "ok" || how == "retire") && j.cause == nil {
		w.turns = append(w.turns, st)
		w.Skip("waits for another")
	}
	w.endTurn(s, j, how)
}

func (w *world) endTurn(s *slot, j *job, how string) {
	k := s.line.key
	w.running[k] = ""
	w.update(func(t *table) {
		back := func() { w.owed[k] = slices.Insert(w.owed[k], 0, j.turn.ID) }
		switch {
		case how == "stale":
			back()
			if !t.giveBack(s, j, "stale") {
				t.end(s, j, nil, errors.New("stale"))
			}
		case how == "begin" || !t.sent(s, j):
			t.end(s, j, nil, errors.Join(errors.New("begin"), j.cause))
		case how == "refused":
			back()
			t.end(s, j, nil, ErrNotDispatched)
		case how == "broken":
			t.end(s, j, nil, ErrUnknown)
		case how == "retire":
			t.end(s, j, &Result{Retire: "used up"}, nil)
		default:
			t.end(s, j, &Result{}, nil)
		}
	})
}

func (w *world) exits(list *[]*slot) {
	s := take(w.T, list)
	w.agents = slices.DeleteFunc(w.agents, func(a *slot) bool { return a == s })
	w.update(func(t *table) { t.exited(s, "exit status 1") })
}

func (w *world) finished() {
	st := take(w.T, &w.finishes)
	w.update(func(t *table) { t.settled(st.job) })
}

func (w *world) operator() {
	k := w.key()
	what := rapid.SampledFrom([]string{"kill", "evict", "restart", "oldest"}).Draw(w.T, "what")
	w.update(func(t *table) {
		l := t.lines[k]
		switch {
		case what == "oldest":
			if s := t.victim(); s != nil {
				t.stop(s, "evicted")
			}
		case l == nil || l.slot == nil:
		case what == "kill":
			t.kill(l.slot, "killed")
		case l.slot.state == Idle:
			l.slot.again = what == "restart"
			t.stop(l.slot, what)
		case l.slot.state != Stopping:
			l.slot.retire, l.slot.again = what, what == "restart"
		}
	})
}

func (w *world) reconfigure() {
	l := w.t.Limits
	l.MaxProcesses = rapid.IntRange(1, 4).Draw(w.T, "max")
	l.WhenFull = rapid.SampledFrom([]WhenFull{WhenFullWait, WhenFullWait, WhenFullFail, WhenFullEvict}).Draw(w.T, "when full")
	w.settings = Settings{
		IdleTimeout: time.Duration(rapid.IntRange(0, 1).Draw(w.T, "idle")) * time.Minute,
		MaxTurns:    rapid.IntRange(0, 3).Draw(w.T, "turns"),
		QueueLimit:  rapid.IntRange(0, 4).Draw(w.T, "limit"),
	}
	w.lowered = w.lowered || l.MaxProcesses < w.t.MaxProcesses
	w.update(func(t *table) { t.reconfigure(l) })
}

func (w *world) fence() {
	w.serial++
	k, id := w.key(), fmt.Sprint("old", w.serial)
	if l := w.t.lines[k]; l != nil && l.slot != nil || len(w.fences) > 1 {
		w.Skip("only before it has an agent")
	}
	w.lowered = true // it takes a place, whatever the bound
	w.update(func(t *table) { w.fences = append(w.fences, t.fence(k, id, 1)) })
}

func (w *world) pass() {
	d := rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, time.Minute, 20 * time.Minute}).Draw(w.T, "time")
	w.t.now = w.t.now.Add(d)
	w.update(func(*table) {})
}

// settle ends everything that is under way until nothing is, and checks that
// nothing was forgotten: a message that was taken in has ended.
func (w *world) settle() {
	for i := 0; w.t.active > 0 || len(w.starts)+len(w.turns)+len(w.stops)+len(w.finishes)+len(w.fences) > 0; i++ {
		if i > 10000 {
			w.Fatalf("stuck: %d jobs, owed %v, running %v", w.t.active, w.owed, w.running)
		}
		for _, s := range slices.Clone(w.stops) {
			w.stops = slices.DeleteFunc(w.stops, func(o *slot) bool { return o == s })
			w.agents = slices.DeleteFunc(w.agents, func(o *slot) bool { return o == s })
			w.update(func(t *table) { t.exited(s, "") })
		}
		for len(w.fences) > 0 {
			w.exits(&w.fences)
		}
		for len(w.finishes) > 0 {
			w.finished()
		}
		for len(w.starts) > 0 {
			w.started()
		}
		for _, st := range slices.Clone(w.turns) {
			if len(st.job.children) > 0 && st.job.cause == nil && st.slot.state == Busy {
				continue
			}
			w.turns = slices.DeleteFunc(w.turns, func(o step) bool { return o.job == st.job })
			w.endTurn(st.slot, st.job, "ok")
		}
		w.t.now = w.t.now.Add(time.Second)
		w.update(func(*table) {})
	}
	for k, owed := range w.owed {
		if len(owed) > 0 {
			w.Fatalf("%v: %v were taken in and never ended", k, owed)
		}
	}
}

func TestTableModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt, rapid.IntRange(1, 3).Draw(rt, "max"), rapid.IntRange(1, 3).Draw(rt, "starts"))
		rt.Repeat(map[string]func(*rapid.T){
			"submit":      func(rt *rapid.T) { w.T = rt; w.submit() },
			"submit more": func(rt *rapid.T) { w.T = rt; w.submit() },
			"wake":        func(rt *rapid.T) { w.T = rt; w.wake() },
			"cancel":      func(rt *rapid.T) { w.T = rt; w.cancel() },
			"started":     func(rt *rapid.T) { w.T = rt; w.started() },
			"start fails": func(rt *rapid.T) { w.T = rt; w.startFails() },
			"turn ends":   func(rt *rapid.T) { w.T = rt; w.turnEnds() },
			"turn ends 2": func(rt *rapid.T) { w.T = rt; w.turnEnds() },
			"stopped":     func(rt *rapid.T) { w.T = rt; w.exits(&w.stops) },
			"crash":       func(rt *rapid.T) { w.T = rt; w.crash() },
			"finished":    func(rt *rapid.T) { w.T = rt; w.finished() },
			"operator":    func(rt *rapid.T) { w.T = rt; w.operator() },
			"hold":        func(rt *rapid.T) { w.T = rt; w.hold() },
			"release":     func(rt *rapid.T) { w.T = rt; w.release(w.key()) },
			"reconfigure": func(rt *rapid.T) { w.T = rt; w.reconfigure() },
			"fence":       func(rt *rapid.T) { w.T = rt; w.fence() },
			"unfence":     func(rt *rapid.T) { w.T = rt; w.exits(&w.fences) },
			"time passes": func(rt *rapid.T) { w.T = rt; w.pass() },
		})
		w.T = rt
		if len(w.held) == 0 || rapid.Bool().Draw(rt, "release before the close") {
			for k := range maps.Clone(w.held) {
				w.release(k)
			}
			w.settle()
		}
		w.update((*table).close)
		w.settle()
		if n := len(w.t.slots); n > 0 {
			w.Fatalf("%d slots are left", n)
		}
		for id, n := range w.spawned {
			if n != w.parted[id] {
				w.Fatalf("%s: spawned %d times, left %d times", id, n, w.parted[id])
			}
		}
	})
}

func (w *world) crash() {
	s := take(w.T, &w.agents)
	w.stops = slices.DeleteFunc(w.stops, func(o *slot) bool { return o == s })
	w.update(func(t *table) { t.exited(s, "signal: killed") })
}

func TestHeap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		w := &world{T: rt}
		var h heap[*alarm]
		in := map[*alarm]bool{}
		all := make([]*alarm, 60)
		for i := range all {
			all[i] = &alarm{}
		}
		for range 300 {
			a := all[r.IntN(len(all))]
			if r.IntN(3) == 0 {
				h.remove(a)
				delete(in, a)
			} else {
				a.at = time.Unix(r.Int64N(1000), 0)
				h.put(a)
				in[a] = true
			}
			checkHeap(w, &h)
			if len(in) != h.len() {
				rt.Fatalf("%d items, want %d", h.len(), len(in))
			}
		}
	})
}
