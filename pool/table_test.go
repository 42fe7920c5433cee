package pool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
)

func (w *world) key() Key {
	return Key{Team: string(rune('a' + rapid.IntRange(0, 5).Draw(w.T, "team")))}
}

func (w *world) submit() {
	w.serial++
	msg := Turn{ID: fmt.Sprint("m", w.serial), Key: w.key(), Fresh: rapid.IntRange(0, 5).Draw(w.T, "fresh") == 0}
	msg.Variant = &turn.Variant{
		MaxCost:        rapid.SampledFrom([]float64{0, 0, 0, 0, 0, 0.4, 9}).Draw(w.T, "max cost"),
		MaxTurns:       max(0, rapid.IntRange(-4, 2).Draw(w.T, "variant")),
		PermissionMode: rapid.SampledFrom([]string{"", "", "", "plan"}).Draw(w.T, "mode"),
		Effort:         rapid.SampledFrom([]string{"", "", "low"}).Draw(w.T, "effort"),
	}
	switch how := rapid.IntRange(0, 5).Draw(w.T, "how"); {
	case how < 2 && len(w.turns) > 0:
		msg.Parent = rapid.SampledFrom(w.turns).Draw(w.T, "parent").slot.id
	case how < 2 && len(w.workers()) > 0:
		msg.Parent = rapid.SampledFrom(w.workers()).Draw(w.T, "working parent").id
	case how == 2:
		msg.AcceptedSeq = uint64(rapid.IntRange(1, 9).Draw(w.T, "kept"))
	case how == 3:
		msg.IfIdle = true
	}
	msg.Spare = rapid.IntRange(0, 2).Draw(w.T, "spare") == 0
	busy := w.busy(msg.Key)
	owed := slices.Clone(w.owed[msg.Key])
	w.spare[msg.ID] = msg.Spare && w.t.parent(msg) == nil
	w.owe(msg)
	var err error
	w.update(func(t *table) {
		passes := w.passes(msg.Parent)
		if _, _, err = t.submit(msg, false); err != nil {
			w.owed[msg.Key] = owed
		} else if passes != "" {
			delete(w.limits, passes)
		}
	})
	if msg.AcceptedSeq > 0 && err != nil || errors.Is(err, ErrBusy) != (msg.IfIdle && busy) {
		w.Fatalf("%+v: refused with %v, busy: %v", msg, err, busy)
	}
}

// owe puts a message at its place: at the end, or, when an earlier daemon
// accepted it, before the first that is new or was accepted later.
func (w *world) owe(msg Turn) {
	w.kept[msg.ID] = msg.AcceptedSeq
	queue := w.owed[msg.Key]
	at := len(queue)
	for at > 0 && w.staysBehind(queue[at-1], msg.ID) {
		at--
	}
	for msg.AcceptedSeq > 0 && at > 0 && !w.staysBehind(msg.ID, queue[at-1]) && (w.kept[queue[at-1]] == 0 || w.kept[queue[at-1]] > msg.AcceptedSeq) {
		at--
	}
	w.owed[msg.Key] = slices.Insert(queue, at, msg.ID)
}

// busy is the model of a conversation with something to do.
func (w *world) busy(k Key) bool {
	open := func(st step) bool { return !st.entry.wake && st.entry.queue.key == k }
	orphaned := func(s *slot) bool { return s.queue.key == k }
	works := func(s *slot) bool { return s.queue.key == k }
	return len(w.owed[k]) > 0 || w.running[k] != "" || w.held[k] || slices.ContainsFunc(w.workers(), works) ||
		slices.ContainsFunc(w.finishes, open) || slices.ContainsFunc(w.orphans, orphaned)
}

func (w *world) hold() {
	k := w.key()
	w.held[k] = true
	w.update(func(t *table) { t.hold(k, "a person") })
}

func (w *world) release(k Key) {
	delete(w.held, k)
	w.update(func(t *table) { t.unhold(k) })
}

func (w *world) wake() {
	w.update(func(t *table) { t.submit(Turn{Key: w.key()}, true) })
}

func (w *world) cancel() {
	if w.serial == 0 {
		w.Skip("none")
	}
	id := fmt.Sprint("m", rapid.IntRange(1, w.serial).Draw(w.T, "id"))
	w.update(func(t *table) { t.cancel(t.entries[id], ErrCancelled) })
}

func (w *world) started() {
	s := take(w.T, &w.starts)
	if w.aborted[s] && rapid.Bool().Draw(w.T, "too late") {
		w.update(func(t *table) { t.notStarted(s, errors.New("no longer wanted")) })
		return
	}
	w.agents = append(w.agents, s)
	w.update(func(t *table) { t.started(s, 1, s.nr%2 == 0) })
}

func (w *world) startFails() {
	s := take(w.T, &w.starts)
	err := &StartError{Err: errors.New("not found"), Permanent: rapid.Bool().Draw(w.T, "permanent")}
	w.update(func(t *table) { t.notStarted(s, err) })
}

// turnEnds ends a turn in one of the ways in which turns end. A turn that waits for
// another ends only when it is interrupted or its agent dies.
func (w *world) turnEnds() {
	st := take(w.T, &w.turns)
	s, e := st.slot, st.entry
	how := rapid.SampledFrom([]string{"ok", "ok", "ok", "stale", "begin", "refused", "broken", "retire", "limited", "limited until", "interrupted"}).Draw(w.T, "how")
	if len(e.children) > 0 && (how == "ok" || how == "retire" || strings.HasPrefix(how, "limited")) && e.cause == nil {
		w.turns = append(w.turns, st)
		w.Skip("waits for another")
	}
	w.endTurn(s, e, how)
}

func (w *world) endTurn(s *slot, e *entry, how string) {
	k := s.queue.key
	w.running[k] = ""
	w.update(func(t *table) {
		back := func() {
			w.oweAgain(k, e.turn.ID)
			w.refund(e)
		}
		var end End
		switch {
		case how == "stale" && t.giveBack(s, e, "stale"):
			back()
			return
		case how == "stale" || how == "begin" || t.begin(s, e) != nil:
			end.Err = errors.Join(errors.New("begin"), e.cause)
		case how == "refused":
			end.Err = ErrNotDispatched
		case how == "broken":
			end.Err = ErrUnknown
		case how == "retire":
			end.Retire = "used up"
		case how == "interrupted":
			end.Outcome = turn.Interrupted
		case how == "limited" || how == "limited until":
			end.Outcome, end.Limit = turn.RateLimited, w.limit(how == "limited until")
		}
		end.Cost = rapid.SampledFrom([]turn.Cost{0, 1e8, 2e8, 3e8, 9e8}).Draw(w.T, "cost")
		w.pays(e, &end)
		if t.release(s, e, end).Again {
			back()
		} else {
			w.learn(k.Team, e.turn.ID, &end)
			w.over(step{entry: e})
		}
	})
}

// workers are the slots whose agents work by themselves, oldest first.
func (w *world) workers() []*slot {
	return slices.DeleteFunc(w.t.sortedSlots(), func(s *slot) bool { return !w.working[s] })
}

// works has an agent do something by itself, or something else.
func (w *world) works() {
	live := slices.DeleteFunc(w.t.sortedSlots(), func(s *slot) bool { return s.state == Stopping })
	if len(live) == 0 {
		w.Skip("none")
	}
	s := rapid.SampledFrom(live).Draw(w.T, "who works")
	w.working[s] = true
	w.update(func(t *table) { t.works(s, "scheduler") })
}

// rests ends that. Work that waits for a message does not end by itself.
func (w *world) rests() {
	all := w.workers()
	if len(all) == 0 {
		w.Skip("none")
	}
	s := rapid.SampledFrom(all).Draw(w.T, "who rests")
	if len(s.work.children) > 0 {
		w.Skip("waits for a message")
	}
	w.restsNow(s)
}

func (w *world) restsNow(s *slot) {
	delete(w.working, s)
	w.update(func(t *table) { t.works(s, "") })
	if s.state == Idle && !s.used.Equal(w.t.now) {
		w.Fatalf("%s was used until %v, want now", s.id, s.used)
	}
}

func (w *world) exits(list *[]*slot) {
	s := take(w.T, list)
	w.agents = slices.DeleteFunc(w.agents, func(a *slot) bool { return a == s })
	delete(w.purse.orphans, s)
	w.update(func(t *table) { t.exited(s, "exit status 1") })
}

func (w *world) finished() {
	st := take(w.T, &w.finishes)
	w.update(func(t *table) { t.recorded(st.entry) })
}

func (w *world) operator() {
	k := w.key()
	what := rapid.SampledFrom([]string{"kill", "evict", "restart", "oldest"}).Draw(w.T, "what")
	w.update(func(t *table) {
		q := t.queues[k]
		switch {
		case what == "oldest":
			if s := t.victim(); s != nil {
				t.stop(s, "evicted")
			}
		case q == nil || q.slot == nil:
		case what == "kill":
			t.kill(q.slot, "killed", ErrKilled)
		case q.slot.state == Idle:
			q.slot.again = what == "restart"
			t.stop(q.slot, what)
		case q.slot.state != Stopping:
			q.slot.retire, q.slot.again = what, what == "restart"
			t.reindex(q)
		}
	})
}

func (w *world) reconfigure() {
	l := w.t.Limits
	l.MaxProcesses = rapid.IntRange(1, 4).Draw(w.T, "max")
	l.MaxMemoryTotal = rapid.SampledFrom(limitsOfMemory).Draw(w.T, "max memory total")
	l.Budget = w.budget("all")
	l.WhenFull = rapid.SampledFrom([]WhenFull{WhenFullWait, WhenFullWait, WhenFullFail, WhenFullEvict}).Draw(w.T, "when full")
	w.settings = Settings{
		IdleTimeout: time.Duration(rapid.IntRange(0, 1).Draw(w.T, "idle")) * time.Minute,
		MaxMessages: rapid.IntRange(0, 3).Draw(w.T, "turns"),
		QueueLimit:  rapid.IntRange(0, 4).Draw(w.T, "limit"),
		MaxMemory:   rapid.SampledFrom([]int64{0, 250}).Draw(w.T, "max memory"),
		Budget:      w.budget("team"),
		BudgetFail:  rapid.Bool().Draw(w.T, "budget fail"),
		Size:        rapid.SampledFrom([]int64{0, 100}).Draw(w.T, "size"),
	}
	w.lowered = w.lowered || l.MaxProcesses < w.t.MaxProcesses
	w.update(func(t *table) { t.reconfigure(l) })
}

func (w *world) orphan() {
	w.serial++
	k, id := w.key(), fmt.Sprint("old", w.serial)
	if q := w.t.queues[k]; q != nil && q.slot != nil || len(w.orphans) > 1 {
		w.Skip("only before it has an agent")
	}
	w.lowered = true // it takes a place, whatever the bound
	w.update(func(t *table) {
		s := t.addOrphan(k, id, 1)
		w.orphans = append(w.orphans, s)
		w.purse.orphans[s], _ = w.purse.need(&entry{queue: s.queue})
	})
}

func (w *world) pass() {
	d := rapid.SampledFrom([]time.Duration{time.Second, 5 * time.Second, time.Minute, 20 * time.Minute, 10 * time.Hour}).Draw(w.T, "time")
	w.t.now = w.t.now.Add(d)
	w.update(func(*table) {})
}

// settle ends everything that is under way until nothing is, and checks that
// nothing was forgotten: a message that was taken in has ended.
func (w *world) settle() {
	for i := 0; w.t.active > 0 || len(w.starts)+len(w.turns)+len(w.stops)+len(w.finishes)+len(w.orphans) > 0; i++ {
		if i > 10000 {
			w.Fatalf("stuck: %d entries, owed %v, running %v", w.t.active, w.owed, w.running)
		}
		for _, s := range slices.Clone(w.stops) {
			w.stops = slices.DeleteFunc(w.stops, func(o *slot) bool { return o == s })
			w.agents = slices.DeleteFunc(w.agents, func(o *slot) bool { return o == s })
			w.update(func(t *table) { t.exited(s, "") })
		}
		for _, s := range w.workers() {
			if w.working[s] && len(s.work.children) == 0 {
				w.restsNow(s)
			}
		}
		for len(w.orphans) > 0 {
			w.exits(&w.orphans)
		}
		for len(w.finishes) > 0 {
			w.finished()
		}
		for len(w.samples) > 0 {
			w.sampled()
		}
		for len(w.starts) > 0 {
			w.started()
		}
		for _, st := range slices.Clone(w.turns) {
			if len(st.entry.children) > 0 && st.entry.cause == nil && st.slot.state == Busy {
				continue
			}
			w.turns = slices.DeleteFunc(w.turns, func(o step) bool { return o.entry == st.entry })
			w.endTurn(st.slot, st.entry, "ok")
		}
		w.t.now = w.t.now.Add(time.Second)
		if len(w.t.money.short) > 0 {
			w.t.now = w.t.now.Add(8 * time.Hour)
		}
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
			"works":       func(rt *rapid.T) { w.T = rt; w.works() },
			"rests":       func(rt *rapid.T) { w.T = rt; w.rests() },
			"finished":    func(rt *rapid.T) { w.T = rt; w.finished() },
			"operator":    func(rt *rapid.T) { w.T = rt; w.operator() },
			"hold":        func(rt *rapid.T) { w.T = rt; w.hold() },
			"release":     func(rt *rapid.T) { w.T = rt; w.release(w.key()) },
			"reconfigure": func(rt *rapid.T) { w.T = rt; w.reconfigure() },
			"measured":    func(rt *rapid.T) { w.T = rt; w.measured() },
			"sampled":     func(rt *rapid.T) { w.T = rt; w.sampled() },
			"account":     func(rt *rapid.T) { w.T = rt; w.account() },
			"spend":       func(rt *rapid.T) { w.T = rt; w.spend() },
			"utilize":     func(rt *rapid.T) { w.T = rt; w.utilize() },
			"orphan":      func(rt *rapid.T) { w.T = rt; w.orphan() },
			"orphan goes": func(rt *rapid.T) { w.T = rt; w.exits(&w.orphans) },
			"time passes": func(rt *rapid.T) { w.T = rt; w.pass() },
		})
		w.T = rt
		if len(w.held) == 0 || rapid.Bool().Draw(rt, "release before the close") {
			for k := range maps.Clone(w.held) {
				w.release(k)
			}
			w.settle()
		}
		w.closing = true
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
