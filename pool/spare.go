package pool

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"iris/pool/turn"
)

// A spare message begins only while its account has capacity to spare: no other message
// of the account waits, and of each of its limits less is used than SpareBelow of the
// team. Of the spare messages of an account that could begin, one at a time may ask for an
// agent, so that a change of the account concerns one queue, however many wait.

// quota is what an account has left for its spare messages. Teams without an account have
// one together, of which no limit is known.
type quota struct {
	account string
	windows []turn.Window // as last reported; replaced as a whole

	usual int              // queues with another message that waits
	spare heap[*candidate] // queues whose spare message could begin
	next  *queue           // the one whose message may begin; nil for none
	look  bool             // it is in table.reviews
	alarm alarm            // the next look at the clock, while too much is used
}

// candidate is a queue whose first message is spare and waits only for its account and an
// agent.
type candidate struct {
	queue *queue
	below float64 // SpareBelow of its team
	age   uint64
	i     int
}

func (c *candidate) index() *int { return &c.i }

// before puts the queue first that may use more of the account, and then the oldest.
func (c *candidate) before(o *candidate) bool {
	if c.below != o.below {
		return c.below > o.below
	}
	return c.age < o.age
}

// SetUtilization says how much of its limits an account has used. A limit counts until its
// reset; if the reset is not known, it does not count. Limits that are not named stay.
func (p *Pool[A]) SetUtilization(account string, windows []turn.Window) {
	p.update(func(t *table) { t.utilize(account, windows) })
}

// Utilization returns how much of its limits each account has used, as last reported,
// without limits whose reset has passed.
func (p *Pool[A]) Utilization() map[string][]turn.Window {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, all := time.Now().Round(0), map[string][]turn.Window{}
	for account, u := range p.table.quotas {
		if windows := u.current(now); len(windows) > 0 {
			all[account] = windows
		}
	}
	return all
}

// Spares reports whether spare messages wait.
func (p *Pool[A]) Spares() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.table.spares > 0
}

// SpareWaits returns what a message waits for because it is spare; empty if it does not
// wait for that.
func (p *Pool[A]) SpareWaits(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	t.now = time.Now()
	if e := t.entries[id]; t.position(e) > 0 && e.turn.Spare && e.queue.lacking() {
		return t.lacks(e.queue)
	}
	return ""
}

func (t *table) utilize(account string, windows []turn.Window) {
	u := t.quota(account)
	all := slices.Clone(windows)
	for _, w := range u.current(t.wall()) {
		if !slices.ContainsFunc(windows, func(o turn.Window) bool { return o.Name == w.Name }) {
			all = append(all, w)
		}
	}
	u.windows = all
	t.review(u)
}

// Lacking is an account whose spare messages wait.
type Lacking struct {
	Account  string // empty for the teams without an account
	Waiting  int    // spare messages that wait for nothing else
	WaitsFor string // what they wait for
}

// Lacking returns the accounts whose spare messages wait, by name.
func (p *Pool[A]) Lacking() (all []Lacking) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &p.table
	t.now = time.Now()
	for account, u := range t.quotas {
		if u.spare.len() == 0 || u.next != nil {
			continue
		}
		l := Lacking{Account: account, WaitsFor: t.lacks(u.spare.first().queue)}
		for _, c := range u.spare.items {
			l.Waiting += c.queue.messages
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Lacking) int { return cmp.Compare(a.Account, b.Account) })
	return all
}

// quota returns the quota of an account.
func (t *table) quota(account string) *quota {
	u := t.quotas[account]
	if u == nil {
		u = &quota{account: account}
		u.alarm.quota = u
		t.quotas[account] = u
	}
	return u
}

// current are the limits whose reset has not passed.
func (u *quota) current(wall time.Time) (all []turn.Window) {
	for _, w := range u.windows {
		if w.Resets.IsZero() || w.Resets.After(wall) {
			all = append(all, w)
		}
	}
	return all
}

// most is the limit of which most is used, and says whether that is too much for a spare
// message that may begin below this utilization.
func (u *quota) most(wall time.Time, below float64) (most turn.Window, tooMuch bool) {
	for _, w := range u.windows {
		if w.Resets.After(wall) && w.Utilization > most.Utilization {
			most = w
		}
	}
	return most, most.Utilization > 0 && most.Utilization >= below
}

// spare reports whether the first message of a queue is spare.
func (q *queue) spare() bool { return len(q.entries) > 0 && q.entries[0].turn.Spare }

// barred reports whether the first message of a queue is spare and may not begin now.
func (q *queue) barred() bool { return q.spare() && q.quota.next != q }

// lacking reports whether the first message of a queue waits for nothing but capacity.
func (q *queue) lacking() bool { return q.candidate.i > 0 && q.barred() }

// usual reports whether spare messages wait for the first message of a queue. A message
// that is held, or waits for a budget or an orphan, may wait for a long time, and for no
// agent.
func (q *queue) usual() bool {
	return len(q.entries) > 0 && !q.spare() && q.held == "" && q.short == nil && q.orphans == 0
}

// couldBegin reports whether the spare message at the head of a queue waits only for its
// account and an agent.
func (t *table) couldBegin(q *queue) bool {
	if !q.spare() || !q.free() {
		return false
	}
	s := q.slot
	return s == nil || s.state == Starting || s.state == Stopping || t.takes(s, q.entries[0])
}

// rank notes what a queue means for the spare messages of its account.
func (t *table) rank(q *queue) {
	u, c := q.quota, &q.candidate
	if usual := q.usual(); usual != q.counted {
		q.counted = usual
		if usual {
			u.usual++
		} else {
			u.usual--
		}
		t.review(u)
	}
	if t.couldBegin(q) {
		c.below, c.age = t.settings(q.key.Team).SpareBelow, q.age()
		u.spare.put(c)
		t.review(u)
	} else if c.i > 0 {
		t.withdrawSpare(q)
	}
}

// withdrawSpare has a queue ask for spare capacity no more.
func (t *table) withdrawSpare(q *queue) {
	u := q.quota
	u.spare.remove(&q.candidate)
	if u.next == q {
		u.next = nil
	}
	t.review(u)
}

// setQuota moves a queue to the quota of another account; reindex then ranks it.
func (t *table) setQuota(q *queue, u *quota) {
	if q.counted {
		q.counted = false
		q.quota.usual--
	}
	t.withdrawSpare(q)
	q.quota = u
}

// review has allot look at a quota again.
func (t *table) review(u *quota) {
	if !u.look && (u.spare.len() > 0 || u.next != nil || u.alarm.i > 0) {
		u.look = true
		t.reviews = append(t.reviews, u)
	}
}

// allot chooses the queue of an account whose spare message may begin.
func (t *table) allot() bool {
	if len(t.reviews) == 0 {
		return false
	}
	u := t.reviews[0]
	if t.reviews = t.reviews[1:]; len(t.reviews) == 0 {
		t.reviews = nil
	}
	u.look = false
	was := u.next
	u.next = nil
	t.alarms.remove(&u.alarm)
	if u.spare.len() > 0 && u.usual == 0 {
		c := u.spare.first()
		if most, tooMuch := u.most(t.wall(), c.below); !tooMuch {
			u.next = c.queue
		} else { // the clock may be set, or the machine may sleep
			t.setAlarm(&u.alarm, t.now.Add(min(most.Resets.Sub(t.wall()), gateLook)))
		}
	}
	for _, q := range []*queue{was, u.next} {
		if q != nil && was != u.next {
			t.reindex(q)
		}
	}
	return true
}

// lacks says what a queue waits for whose first message is spare and may not begin.
func (t *table) lacks(q *queue) string {
	u, below := q.quota, t.settings(q.key.Team).SpareBelow
	of := "account " + u.account
	if u.account == "" {
		of = "the teams without an account"
	}
	switch most, tooMuch := u.most(t.wall(), below); {
	case u.usual > 0:
		return "the other messages of " + of
	case tooMuch:
		return fmt.Sprintf("spare capacity: %s has used %.0f%% of its %s, which resets at %s, and spare_below is %g",
			of, 100*most.Utilization, most.Name, clock(most.Resets, t.now), below)
	}
	return "the spare messages before it of " + of
}

// givesWay reports whether an agent at the end of a turn gives its place to a message
// that is not spare, as its own next message is.
func (t *table) givesWay(s *slot) bool {
	return s.queue.spare() && t.waiting.len() > 0 && !t.waiting.first().spare() &&
		(t.short() || t.starved() > 0) && t.victim() == nil
}
