package pool

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"iris/pool/turn"
)

// A budget limits what turns may cost in a day and in a month. Before a turn begins, what
// such a turn of its team is likely to cost is reserved, so that turns side by side cannot
// exceed the budget together. What a turn really cost takes the place of its reserve.
//
// A message that the budget does not allow waits until the running turns have ended, if that
// may help. Otherwise it waits until the day or month is over, or fails with a *BudgetError;
// it fails in any case if its own limit is above the whole budget. Turns that are likely to
// cost more than that begin when nothing is spent: otherwise none would ever again show what
// they cost.

// Budget is the most that turns may cost, in a day and in a month of the local time zone.
// Zero is no limit.
type Budget struct{ Day, Month turn.Cost }

// BudgetError says that a budget does not allow a message.
type BudgetError struct {
	Team  string // whose budget it is; empty for that of all teams
	Month bool   // of the month, not of the day
	Limit turn.Cost
	Spent turn.Cost
	Need  turn.Cost // what the turn is likely to cost, or what the message may cost
	Ends  time.Time // when the day or month is over
}

func (e *BudgetError) Error() string {
	return fmt.Sprintf("%s does not allow a turn of %v: %v of %v spent", e.name(), e.Need, e.Spent, e.Limit)
}

// name is such as "the day's budget of team api".
func (e *BudgetError) name() string {
	name := "the day's budget"
	if e.Month {
		name = "the month's budget"
	}
	if e.Team != "" {
		name += " of team " + e.Team
	}
	return name
}

// Spent is an amount that a team has spent at a time.
type Spent struct {
	Team string
	At   time.Time
	Cost turn.Cost
}

// Spending is what a team, or all teams, have spent in the day and month of now, and what is
// reserved for their running turns.
type Spending struct {
	Day, Month, Reserved turn.Cost
	DayEnds, MonthEnds   time.Time
}

// RestoreSpent takes over what was spent in this month, in any order, and what the last
// turns of teams cost, oldest first. Call it before Restore and Submit.
func (p *Pool[A]) RestoreSpent(spent, turns []Spent) {
	p.update(func(t *table) {
		for _, s := range spent {
			t.book(s.Team, s.At, s.Cost)
		}
		for _, s := range turns {
			t.learnCost(s.Team, s.Cost)
		}
		t.money.quiet = true
		t.warnAll()
		t.money.quiet = false
	})
}

// Spend counts what a team has spent otherwise than by a turn of this pool.
func (p *Pool[A]) Spend(team string, cost turn.Cost) {
	p.update(func(t *table) {
		t.book(team, t.now, cost)
		t.warn(team)
		t.reconsider(false)
	})
}

// Spending returns what a team has spent; all teams, if its name is empty.
func (p *Pool[A]) Spending(team string) Spending {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	now := time.Now()
	day := t.day(now)
	s := Spending{DayEnds: t.ends(now, false), MonthEnds: t.ends(now, true)}
	if l := t.money.ledgers[team]; l != nil {
		s.Day, s.Month, s.Reserved = l.spent[day], l.spent[day.month()], l.reserved
	}
	return s
}

// Unpaid returns the budget that a waiting message waits for; nil if there is none.
func (p *Pool[A]) Unpaid(id string) *BudgetError {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	if e := t.entries[id]; t.position(e) > 0 && e.queue.short != nil {
		return &e.queue.short.BudgetError
	}
	return nil
}

// shortage is why the head of a queue is not allowed by a budget.
type shortage struct {
	BudgetError
	settles bool // when the running turns have ended, it may be allowed
	fails   bool // it is not to wait for the next day or month
}

// text says what the message waits for.
func (s *shortage) text(now time.Time) string {
	if s.settles {
		return "what the running turns cost: " + s.name() + " may be spent with them"
	}
	return fmt.Sprintf("%s until %s (%v of %v spent)", s.name(), clock(s.Ends, now), s.Spent, s.Limit)
}

// fund decides whether the budgets allow the head of a queue. It is called after every
// change of a queue, and before its head takes an agent.
func (t *table) fund(q *queue) {
	was := q.short
	if q.short = nil; len(q.entries) > 0 && !q.entries[0].wake && q.held == "" {
		q.short = t.shortage(q, q.entries[0])
	}
	if q.short == nil {
		if was != nil {
			delete(t.money.short, q)
		}
		return
	}
	t.money.short[q] = q.short.settles
	if t.money.look.i == 0 {
		t.awaitPeriod()
	}
	if q.short.settles {
		return
	}
	if was == nil || was.settles {
		t.tell(&q.short.BudgetError, 100)
	}
	if q.short.fails {
		t.money.failing = append(t.money.failing, q)
	}
}

// shortage returns why the budgets do not allow an entry as the head of a queue; nil if they
// do. If a running turn waits for the queue, only what is spent counts: the other running
// turns may in the end wait for that one.
func (t *table) shortage(q *queue, head *entry) (found *shortage) {
	price, known := t.price(head)
	estimated := head.turn.Variant.Value().MaxCost == 0
	t.eachLimit(q.key.Team, func(l limit) {
		need, left := price, l.most-l.spent
		switch {
		case !known:
			need = max(1, left)
		case estimated:
			need = min(need, l.most)
		}
		settles := need <= left
		if need <= left-l.of.reserved || settles && (found != nil || awaited(q, head)) || found != nil && !found.settles {
			return
		}
		fails := need > l.most || t.settings(q.key.Team).BudgetFail
		found = &shortage{t.budgetError(l), settles, fails && !settles}
		found.Need = need
	})
	return found
}

// awaited reports whether a running turn waits for an entry or for one in its queue.
func awaited(q *queue, head *entry) bool {
	return head.parent != nil || slices.ContainsFunc(q.entries, func(e *entry) bool { return e.parent != nil })
}

// refusal is why a message is refused that would fail at once, or after those before it
// since it may cost more than the whole budget; nil if it would not.
func (t *table) refusal(q *queue, turn Turn, wake bool) error {
	if wake || q.held != "" {
		return nil
	}
	s := t.shortage(q, &entry{turn: turn, queue: q, parent: t.parent(turn)})
	if s == nil || !s.fails || len(q.entries) > 0 && s.Need <= s.Limit {
		return nil
	}
	t.tell(&s.BudgetError, 100)
	return &s.BudgetError
}

// limit is the limit of a budget in this day or month.
type limit struct {
	of          *ledger
	team        string // empty for all teams
	month       bool
	most, spent turn.Cost
}

// budgetError says how much of a limit is spent.
func (t *table) budgetError(l limit) BudgetError {
	return BudgetError{Team: l.team, Month: l.month, Limit: l.most, Spent: l.spent, Ends: t.ends(t.now, l.month)}
}

// eachLimit calls f for each limit that applies to a team, its own and that of all teams.
func (t *table) eachLimit(team string, f func(limit)) {
	own := Budget{}
	if team != "" {
		own = t.settings(team).Budget
	}
	if own == (Budget{}) && t.Budget == (Budget{}) {
		return
	}
	day := t.day(t.now)
	for _, b := range [...]struct {
		team string
		Budget
	}{{"", t.Budget}, {team, own}} {
		if b.Budget == (Budget{}) {
			continue
		}
		of := t.ledger(b.team)
		if b.Day > 0 {
			f(limit{of, b.team, false, b.Day, of.spent[day]})
		}
		if b.Month > 0 {
			f(limit{of, b.team, true, b.Month, of.spent[day.month()]})
		}
	}
}

// price is what the turn of an entry may cost: the limit of its message, or what such a turn
// of its team is likely to cost. It is not known before any turn has ended.
func (t *table) price(e *entry) (c turn.Cost, known bool) {
	if most := e.turn.Variant.Value().MaxCost; most > 0 {
		return turn.Dollars(most), true
	}
	for _, of := range []string{e.queue.key.Team, ""} {
		if l := t.money.ledgers[of]; l != nil && len(l.recent) > 0 {
			return l.likely, true
		}
	}
	return 0, false
}

// reserve reserves what the turn of an entry may cost; if that is not known, all that is left.
func (t *table) reserve(e *entry) {
	c, known := t.price(e)
	if !known {
		least := turn.Cost(-1)
		t.eachLimit(e.queue.key.Team, func(l limit) {
			if left := max(0, l.most-l.spent-l.of.reserved); least < 0 || left < least {
				least = left
			}
		})
		c = max(0, least)
	}
	t.commit(e.queue, &e.reserved, c)
}

// commit changes what is reserved for a turn in a queue.
func (t *table) commit(q *queue, reserved *turn.Cost, c turn.Cost) {
	for _, of := range []string{"", q.key.Team} {
		t.ledger(of).reserved += c - *reserved
	}
	*reserved = c
}

// settle replaces the reserve of an entry by what its turn cost. If nobody knows that, it
// counts as what was reserved.
func (t *table) settle(e *entry, end *End) {
	team, cost := e.queue.key.Team, end.Cost
	switch {
	case !e.sent || errors.Is(end.Err, ErrNotDispatched):
		cost = 0
	case end.Err != nil:
		cost = max(cost, e.reserved)
	case end.Limit == nil && (cost > 0 || end.Outcome.Answered()): // what fails at once says nothing
		t.learnCost(team, cost)
	}
	t.commit(e.queue, &e.reserved, 0)
	t.book(team, t.now, cost)
	t.warn(team)
	t.reconsider(false)
}

// unpaid handles the queues that the budgets do not allow: those that need a place leave the
// waiting ones, and messages that are not to wait fail.
func (t *table) unpaid() bool {
	if n := len(t.money.failing); n > 0 {
		q := t.money.failing[n-1]
		t.money.failing = t.money.failing[:n-1]
		if s := q.short; s != nil && s.fails {
			t.drop(q.entries[0], &s.BudgetError)
		}
		return true
	}
	if t.waiting.len() == 0 {
		return false
	}
	q := t.waiting.first()
	if t.fund(q); q.short == nil {
		return false
	}
	t.reindex(q)
	return true
}

// reconsider looks again at the queues that wait for money: all, or those that wait for
// running turns.
func (t *table) reconsider(all bool) {
	for q, settles := range t.money.short {
		if all || settles {
			t.reindex(q)
		}
	}
}

// awaitPeriod looks again when the day is over, and from time to time, as the clock may be
// set or the machine may sleep.
func (t *table) awaitPeriod() {
	left := t.ends(t.now, false).Sub(t.wall())
	if left <= 0 || left > gateLook {
		left = gateLook
	}
	t.setAlarm(&t.money.look, t.now.Add(left))
}

// nextPeriod is called when the alarm of awaitPeriod rings.
func (t *table) nextPeriod() {
	t.reconsider(true)
	if len(t.money.short) > 0 {
		t.awaitPeriod()
	}
}

// NearlySpent reports whether four fifths of a limit are spent.
func NearlySpent(spent, limit turn.Cost) bool { return spent >= limit-limit/5 }

// warn reports each limit of a team, and of all teams, of which four fifths are spent.
func (t *table) warn(team string) {
	t.eachLimit(team, func(l limit) {
		if NearlySpent(l.spent, l.most) {
			e := t.budgetError(l)
			t.tell(&e, 80)
		}
	})
}

func (t *table) warnAll() {
	for team := range t.money.ledgers {
		t.warn(team)
	}
}

// tell reports, once a period and limit, that this percentage of a budget is used.
func (t *table) tell(e *BudgetError, percent int) {
	period := t.day(t.now)
	if e.Month {
		period = period.month()
	}
	l := t.ledger(e.Team)
	if last := l.told[period]; last.limit == e.Limit && last.percent >= percent {
		return
	}
	l.told[period] = report{e.Limit, percent}
	if t.money.quiet {
		return
	}
	typ, detail := BudgetLow, fmt.Sprintf("%s is nearly spent: %v of %v", e.name(), e.Spent, e.Limit)
	if percent == 100 {
		typ, detail = BudgetSpent, e.Error()
	}
	t.emit(Event{Type: typ, Key: Key{Team: e.Team}, Until: e.Ends, Detail: detail})
}
