package pool

import (
	"errors"
	"slices"
	"time"

	"pgregory.net/rapid"

	"iris/pool/turn"
)

// purse is the model of what turns cost.
type purse struct {
	spent   []Spent                // all of it
	costs   map[string][]turn.Cost // of the turns of a team that say what the next one may cost; of all, under ""
	running map[*entry]turn.Cost   // what is reserved
	orphans map[*slot]turn.Cost
}

func newPurse() purse {
	return purse{costs: map[string][]turn.Cost{}, running: map[*entry]turn.Cost{}, orphans: map[*slot]turn.Cost{}}
}

func (w *world) budget(of string) Budget {
	limits := []turn.Cost{0, 0, 1e9, 3e9}
	return Budget{rapid.SampledFrom(limits).Draw(w.T, of+" day"), rapid.SampledFrom(limits).Draw(w.T, of+" month")}
}

// spend is a turn of an agent that nobody has sent.
func (w *world) spend() {
	team := w.key().Team
	w.update(func(t *table) {
		w.purse.spent = append(w.purse.spent, Spent{team, t.now, 1e8})
		t.book(team, t.now, 1e8)
		t.reconsider(false)
	})
}

// need is what a turn may cost.
func (p *purse) need(e *entry) (c turn.Cost, known bool) {
	if most := e.turn.Variant.Value().MaxCost; most > 0 {
		return turn.Dollars(most), true
	}
	for _, of := range []string{e.queue.key.Team, ""} {
		if all := p.costs[of]; len(all) > 0 {
			last := slices.Sorted(slices.Values(all[max(0, len(all)-50):]))
			return last[(9*len(last)+9)/10-1], true // nine of ten cost no more
		}
	}
	return 0, false
}

// each calls f with every limit that holds for a team, what is left of it, and what of that
// is reserved for running turns.
func (w *world) each(team string, f func(limit, left, reserved turn.Cost)) {
	p := &w.purse
	for _, b := range []struct {
		of string
		Budget
	}{{"", w.t.Budget}, {team, w.settings.Budget}} {
		of := func(t string) bool { return b.of == "" || b.of == t }
		var day, month, reserved turn.Cost
		for _, s := range p.spent {
			at, now := s.At.UTC(), w.t.now.UTC()
			if of(s.Team) && at.Year() == now.Year() && at.Month() == now.Month() {
				month += s.Cost
				if at.Day() == now.Day() {
					day += s.Cost
				}
			}
		}
		for e, c := range p.running {
			if of(e.queue.key.Team) {
				reserved += c
			}
		}
		for s, c := range p.orphans {
			if of(s.queue.key.Team) {
				reserved += c
			}
		}
		if b.Day > 0 {
			f(b.Day, b.Day-day, reserved)
		}
		if b.Month > 0 {
			f(b.Month, b.Month-month, reserved)
		}
	}
}

// verdict says what the model does with a message: it "goes", "waits" for running turns,
// waits until the "period" ends, or "fails".
func (w *world) verdict(e *entry, entries []*entry) string {
	price, known := w.purse.need(e)
	awaited := e.parent != nil || slices.ContainsFunc(entries, func(e *entry) bool { return e.parent != nil })
	verdict := "goes"
	worse := func(v string) {
		order := []string{"goes", "waits", "period", "fails"}
		if slices.Index(order, v) > slices.Index(order, verdict) {
			verdict = v
		}
	}
	w.each(e.queue.key.Team, func(limit, left, reserved turn.Cost) {
		need := price
		if e.turn.Variant.Value().MaxCost == 0 && need > limit {
			need = limit
		}
		switch {
		case !known && left <= 0 || need > left:
			if need > limit || w.settings.BudgetFail {
				worse("fails")
			} else {
				worse("period")
			}
		case awaited:
		case !known && reserved > 0 || need > left-reserved:
			worse("waits")
		}
	})
	return verdict
}

// mayPay checks that the budgets allow a turn that begins, and reserves what it may cost.
func (w *world) mayPay(e *entry) {
	if v := w.verdict(e, e.queue.entries); v != "goes" && len(e.queue.entries) == 0 { // one behind it may have a parent that is gone
		w.Fatalf("%s begins, and %s for its budget", e.turn.ID, v)
	}
	c, known := w.purse.need(e)
	if !known {
		least := turn.Cost(1 << 60)
		w.each(e.queue.key.Team, func(_, left, reserved turn.Cost) { least = max(0, min(least, left-reserved)) })
		if c = least; least == 1<<60 {
			c = 0
		}
	}
	w.purse.running[e] = c
}

// refund notes that the agent has not taken a message.
func (w *world) refund(e *entry) { delete(w.purse.running, e) }

// pays notes the end of a turn.
func (w *world) pays(e *entry, end *End) {
	p, team := &w.purse, e.queue.key.Team
	err := end.Err
	if err == nil && end.Outcome == turn.Interrupted && (errors.Is(e.cause, ErrKilled) || e.cause == ErrEvicted) {
		err = e.cause
	}
	cost := end.Cost
	switch {
	case !e.sent || errors.Is(err, ErrNotDispatched):
		cost = 0
	case err != nil:
		cost = max(cost, p.running[e])
	case end.Limit == nil:
		p.costs[team], p.costs[""] = append(p.costs[team], cost), append(p.costs[""], cost)
	}
	delete(p.running, e)
	p.spent = append(p.spent, Spent{team, w.t.now, cost})
}

// checkBudgets compares what the table keeps with the model.
func (w *world) checkBudgets() {
	day := w.t.day(w.t.now)
	for team, l := range w.t.money.ledgers {
		var spent, reserved turn.Cost
		for _, s := range w.purse.spent {
			if (team == "" || s.Team == team) && s.At.UTC().Format(time.DateOnly) == w.t.now.UTC().Format(time.DateOnly) {
				spent += s.Cost
			}
		}
		for e, c := range w.purse.running {
			if team == "" || e.queue.key.Team == team {
				reserved += c
			}
		}
		for s, c := range w.purse.orphans {
			if team == "" || s.queue.key.Team == team {
				reserved += c
			}
		}
		if l.spent[day] != spent || l.reserved != reserved {
			w.Fatalf("team %q: spent %v and reserved %v, want %v and %v", team, l.spent[day], l.reserved, spent, reserved)
		}
	}
	for _, q := range w.t.queues {
		if short, kept := w.t.money.short[q]; kept != (q.short != nil) || kept && short != q.short.settles {
			w.Fatalf("%v: short %+v, kept %v", q.key, q.short, kept)
		}
		if q.short == nil || w.t.closed {
			continue
		}
		switch v := w.verdict(q.entries[0], q.entries); {
		case v == "fails", v == "waits" != q.short.settles && w.t.money.look.at.After(w.t.now.Add(gateLook)):
			w.Fatalf("%v has %+v, and %s", q.key, q.short, v)
		case v == "goes" && !slices.Contains(w.t.alarms.items, &w.t.money.look):
			w.Fatalf("%v has %+v and could go", q.key, q.short)
		}
	}
}
