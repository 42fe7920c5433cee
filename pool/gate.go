package pool

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"iris/pool/turn"
)

// Teams whose agents use the same credentials share an account. If a turn reports that
// the account is limited, no message of the account begins before the reset. Then one
// message goes first; when the agent has ended that turn, the others follow.

const (
	limitMin = time.Minute      // back-off of a limit without a reset, which doubles with every
	limitMax = 24 * time.Minute // limit that follows; up to a quarter of jitter is added
	gateLook = time.Minute      // between two looks at the wall clock
)

// Limit says that the account of a turn is limited.
type Limit struct {
	Until time.Time // the reset by the wall clock; the zero time or a past one if it is not known
	Why   string    // in a few words, such as "five-hour limit"
}

// Gate is an account that is limited.
type Gate struct {
	Account string
	Until   time.Time // no message begins before
	Why     string
	Tries   int      // limits in a row without a known reset
	Teams   []string // the known teams of the account, sorted

	Trying  bool   // the reset has passed, and one message goes first
	Message string // the message that goes first, empty if none waits
	Waiting int    // messages that wait for the account
}

// String says how long the account is limited, and why.
func (g Gate) String() string { return g.text(time.Now()) }

func (g Gate) text(now time.Time) string {
	why := ""
	if g.Why != "" {
		why = " (" + g.Why + ")"
	}
	if g.Trying {
		return "limited until one message has gone through" + why
	}
	return "limited until " + clock(g.Until, now) + why
}

// clock writes a time in the local zone, with the date unless it is of today.
func clock(at, now time.Time) string {
	layout := "15:04"
	if at, now := at.Local(), now.Local(); at.YearDay() != now.YearDay() || at.Year() != now.Year() {
		layout = "2006-01-02 15:04"
	}
	return at.Local().Format(layout)
}

// SetAccount says which account the agents of a team use. The messages of the team wait
// while that account is limited. A team without an account is never limited.
func (p *Pool[A]) SetAccount(team, account string) {
	p.update(func(t *table) { t.setAccount(team, account) })
}

// Account returns the account of a team; false if nobody has set it.
func (p *Pool[A]) Account(team string) (account string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	account, known = p.table.accounts[team]
	return account, known
}

// AccountTeams returns the teams whose account is known, sorted.
func (p *Pool[A]) AccountTeams() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.table.accounts))
}

// Limit closes the gate of an account. Turns that run go on.
func (p *Pool[A]) Limit(account string, l Limit) {
	p.update(func(t *table) { t.limit(account, l) })
}

// Open opens the gate of an account: its messages go on at once. It reports false if the
// account is not limited.
func (p *Pool[A]) Open(account string) (was bool) {
	p.update(func(t *table) {
		g := t.gates[account]
		if was = g != nil; was {
			t.open(g, "by a person")
		}
	})
	return was
}

// Limits reports whether an account is limited.
func (p *Pool[A]) Limits() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.table.gates) > 0
}

// Gates returns the accounts that are limited, by name.
func (p *Pool[A]) Gates() []Gate {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Gate, 0, len(p.table.gates))
	for _, g := range p.table.gates {
		all = append(all, p.table.gate(g))
	}
	slices.SortFunc(all, func(a, b Gate) int { return cmp.Compare(a.Account, b.Account) })
	return all
}

// RestoreGates closes gates as an earlier pool had them. Call it before Submit.
func (p *Pool[A]) RestoreGates(gates []Gate) {
	p.update(func(t *table) {
		for _, o := range gates {
			for _, team := range o.Teams {
				t.setAccount(team, o.Account)
			}
			t.shut(&gate{account: o.Account, until: o.Until, why: o.Why, tries: o.Tries})
		}
	})
}

// Limited returns the gate that a waiting message waits for; false if there is none.
func (p *Pool[A]) Limited(id string) (g Gate, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	if e := t.entries[id]; t.position(e) > 0 && e.queue.limited() {
		return e.queue.gate.state(), true
	}
	return Gate{}, false
}

// gate is an account that is limited. There is none for an account that is open.
type gate struct {
	account string
	until   time.Time // by the wall clock
	why     string
	tries   int // limits in a row without a known reset

	due   bool   // the reset has passed
	first *queue // when due: the queue whose next message goes first; nil if there is none
	look  bool   // first may have changed
	alarm alarm
}

// limited reports whether the queue waits for its account.
func (q *queue) limited() bool { return q.gate != nil && q.gate.first != q }

func (g *gate) state() Gate {
	return Gate{Account: g.account, Until: g.until, Why: g.why, Tries: g.tries, Trying: g.due}
}

// gate is the state of a gate with its teams and messages.
func (t *table) gate(g *gate) Gate {
	o := g.state()
	for team, account := range t.accounts {
		if account == g.account {
			o.Teams = append(o.Teams, team)
		}
	}
	slices.Sort(o.Teams)
	for _, q := range t.queues {
		if q.gate == g {
			o.Waiting += q.messages
		}
	}
	if q := g.first; q != nil && q.slot != nil && q.slot.entry != nil {
		o.Message = q.slot.entry.turn.ID
	} else if q != nil && len(q.entries) > 0 {
		o.Message = q.entries[0].turn.ID
	}
	return o
}

func (t *table) setAccount(team, account string) {
	was := t.accounts[team]
	t.accounts[team] = account
	if was == account {
		return
	}
	for _, q := range t.queues {
		if q.key.Team == team {
			t.setQuota(q, t.quota(account))
		}
	}
	t.regate(func(q *queue) bool { return q.key.Team == team })
}

// regate finds the gates of queues again. The queue that was to go first is one of its
// old gate no more.
func (t *table) regate(match func(*queue) bool) {
	for _, q := range t.queues {
		if g := q.gate; g != nil && g.first == q && match(q) {
			g.first, g.look = nil, true
		}
	}
	for _, q := range t.sortedQueues() { // the oldest message is served first
		if match(q) {
			q.gate = t.gates[t.accounts[q.key.Team]]
			t.reindex(q)
		}
	}
	for _, q := range t.queues { // those without messages
		if match(q) {
			q.gate = t.gates[t.accounts[q.key.Team]]
		}
	}
}

// limit closes the gate of an account until its reset, or for a back-off. Of the resets
// that several running turns report, the last counts.
func (t *table) limit(account string, l Limit) {
	g := t.gates[account]
	old := g != nil && !g.due
	if g == nil {
		g = &gate{account: account}
	}
	switch known := l.Until.After(t.wall()); {
	case known && (!old || g.tries > 0 || l.Until.After(g.until)):
		g.until, g.why, g.tries = l.Until.Round(0), l.Why, 0
	case known || old: // it says nothing new
		return
	default:
		g.tries++
		d := min(limitMin<<min(g.tries-1, 10), limitMax)
		g.until, g.why = t.wall().Add(d+t.jitter(d/4)), l.Why
	}
	t.shut(g)
	t.emit(Event{Type: AccountLimited, Account: account, Until: g.until, Detail: g.state().text(t.now)})
}

// shut closes a gate.
func (t *table) shut(g *gate) {
	g.due, g.first = false, nil
	g.alarm.gate = g
	t.gates[g.account] = g
	t.awaitReset(g)
	t.regate(func(q *queue) bool { return t.accounts[q.key.Team] == g.account })
}

// open opens a gate.
func (t *table) open(g *gate, why string) {
	delete(t.gates, g.account)
	t.alarms.remove(&g.alarm)
	t.emit(Event{Type: AccountOpened, Account: g.account, Until: g.until, Detail: fmt.Sprintf("account %s: %s", g.account, why)})
	t.regate(func(q *queue) bool { return q.gate == g })
}

// wall is the time by the wall clock. While the machine sleeps, only that clock goes on.
func (t *table) wall() time.Time { return t.now.Round(0) }

// awaitReset looks at the wall clock: has the reset passed? As the clock may be set, or
// the machine may sleep, it looks again from time to time.
func (t *table) awaitReset(g *gate) {
	if left := g.until.Sub(t.wall()); left > 0 {
		t.setAlarm(&g.alarm, t.now.Add(min(left, gateLook)))
		return
	}
	g.due, g.look = true, true
}

// elect chooses the message that goes first after the reset of an account: the oldest.
func (t *table) elect() bool {
	for _, g := range t.gates {
		if !g.look {
			continue
		}
		g.look = false
		if g.due && (g.first == nil || !g.first.mayGo() && g.first.turn() == nil) {
			t.goFirst(g, t.oldest(g))
			return true
		}
	}
	return false
}

func (t *table) goFirst(g *gate, q *queue) {
	was := g.first
	g.first = q
	for _, q := range []*queue{was, q} {
		if q != nil {
			t.reindex(q)
		}
	}
}

// oldest is the queue of an account with the oldest message that may go.
func (t *table) oldest(g *gate) (first *queue) {
	for _, q := range t.queues {
		if q.gate == g && q.turn() == nil && q.mayGo() && (first == nil || q.before(first)) {
			first = q
		}
	}
	return first
}

// turn is the running turn of a queue.
func (q *queue) turn() *entry {
	if q.slot == nil {
		return nil
	}
	return q.slot.entry
}

// mayGo reports whether the head of a queue waits for nothing but its account and an
// agent, which may have to wait for the next try to start it. What an agent does by itself
// may wait for another message of the account.
func (q *queue) mayGo() bool {
	return q.free() && !q.barred() && (q.slot == nil || q.slot.work == nil)
}

// free reports the same, or that a spare message waits for capacity.
func (q *queue) free() bool {
	return len(q.entries) > 0 && q.held == "" && q.short == nil && q.orphans == 0 && q.recording == nil
}

// note draws the conclusion from the end of a turn: the account is limited, or it is not
// any more. The end of a turn by anything but the agent's own word says nothing about it.
func (t *table) note(q *queue, end *End) {
	g := q.gate
	switch account := t.accounts[q.key.Team]; {
	case end.Limit != nil && account != "":
		t.limit(account, *end.Limit)
	case g == nil || g.first != q:
	case end.Err != nil || end.Outcome == turn.Interrupted:
		g.first, g.look = nil, true
	default:
		t.open(g, "a message has gone through")
	}
}

// passed opens the gate if the turn that goes first sends a message: so it has reached
// its model, and the message must not wait for it.
func (t *table) passed(parent *entry) {
	if parent == nil {
		return
	}
	if g := parent.queue.gate; g != nil && g.first == parent.queue {
		t.open(g, "the first message sends another")
	}
}
