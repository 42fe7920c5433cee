package pool

import (
	"context"
	"errors"
	"slices"
	"time"

	"iris/pool/turn"
)

const (
	breakAfter  = 3 // starts that fail in a row before the breaker opens
	backoffMin  = time.Second
	backoffMax  = time.Minute
	forgetAfter = 10 * time.Minute // a failing key without messages is forgotten
	maxTries    = 3                // agents that a turn may be tried with before one takes it
)

// queue is the state of one key: its messages in order, and the slot that serves
// them. It exists while any of its state matters.
type queue struct {
	key     Key
	entries []*entry
	slot    *slot // the only one of this key that is not an orphan

	messages int // in entries, without the wakes

	held      string    // what its messages wait for until Unhold; empty if they are not held
	gate      *gate     // of its account; nil if the account is open
	quota     *quota    // of its account
	short     *shortage // a budget does not allow its head; nil if all do
	orphans   int       // processes of an earlier daemon that hold this conversation
	recording *entry    // ended, but its Run has not returned: the next entry must not start before
	finishing int       // ended messages whose Run has not returned, including messages that never ran

	yieldSeq uint64 // set when its agent gave its place up: its age counts from there
	yieldAt  time.Time
	why      string // why its last agent stopped, until the next is ready
	replaced string // why its next agent replaces one instead of using it again

	fails   int // failed starts in a row
	err     error
	retryAt time.Time // no start before

	alarm     alarm
	candidate candidate // in quota.spare
	counted   bool      // in quota.usual
	waiting   int       // index in table.waiting
	ready     bool      // it is in table.ready
	returning bool      // counted in table.returning
}

func (q *queue) index() *int { return &q.waiting }

// before orders the queues that need a slot: those whose head is spare come last, and then
// the age of the head counts.
func (q *queue) before(o *queue) bool {
	if q.spare() != o.spare() {
		return o.spare()
	}
	return q.age() < o.age()
}

func (q *queue) age() uint64 { return max(q.entries[0].seq, q.yieldSeq) }

// since is age as a time.
func (q *queue) since() time.Time {
	if s := q.entries[0].since; s.After(q.yieldAt) {
		return s
	}
	return q.yieldAt
}

func (q *queue) open(now time.Time) bool { return q.fails >= breakAfter && now.Before(q.retryAt) }

// wants reports whether entries wait here for an agent.
func (q *queue) wants() bool { return len(q.entries) > 0 && !q.stopped() }

// stopped reports whether the queue is held, its account is limited, a budget does not allow
// its head, or its head is spare and may not begin.
func (q *queue) stopped() bool {
	return q.held != "" || q.limited() || q.short != nil || q.barred()
}

// busy reports whether the conversation has a turn or a message, or the end of one
// has not been recorded.
func (q *queue) busy() bool {
	return q.messages > 0 || q.slot != nil && (q.slot.entry != nil || q.slot.work != nil) || q.finishing > 0 || q.orphans > 0
}

// empty reports whether the queue may be forgotten.
func (q *queue) empty() bool {
	return len(q.entries) == 0 && q.slot == nil && q.orphans == 0 && q.finishing == 0 && q.fails == 0 && q.held == ""
}

func (q *queue) refusal(now time.Time) *StartError {
	return &StartError{Team: q.key.Team, Retry: q.retryAt.Sub(now), Err: q.err}
}

// entry is a turn in the pool, or a wake: a request for an idle agent.
type entry struct {
	turn     Turn
	queue    *queue
	phase    phase
	slot     *slot // while running
	seq      uint64
	since    time.Time
	tries    int  // agents that did not take it
	wake     bool // no message
	adopted  bool // sent by an earlier image of this program
	sent     bool
	reserved turn.Cost // while it runs
	cause    error     // why the pool ended it; the first cause stays

	parent   *entry // the running turn that waits for this one
	children []*entry

	ctx    context.Context // set when it is granted
	cancel context.CancelCauseFunc
}

type phase int

const (
	queued phase = iota
	running
	ended
)

// descends reports whether a waits for e, directly or not.
func (e *entry) descends(a *entry) bool {
	for p := e.parent; p != nil; p = p.parent {
		if p == a {
			return true
		}
	}
	return false
}

// alarm is a time at which the table must be updated, for a slot, a queue, a gate or a
// quota; for none of them, it is the health check, or that of the budgets.
type alarm struct {
	at    time.Time
	i     int
	slot  *slot
	queue *queue
	gate  *gate
	quota *quota
}

func (a *alarm) index() *int          { return &a.i }
func (a *alarm) before(o *alarm) bool { return a.at.Before(o.at) }

// reindex puts the queue where its state belongs: among the queues that can be
// granted, that need a slot, or that wait for a time, or out of the table. It is
// called after every change of a queue or its slot.
func (t *table) reindex(q *queue) {
	t.fund(q)
	t.rank(q)
	wants := q.wants()
	free := wants && q.recording == nil
	back := free && q.slot == nil && q.orphans == 0 && t.now.Before(q.retryAt)
	if free && q.slot == nil && q.orphans == 0 && !back {
		t.waiting.put(q)
	} else {
		t.waiting.remove(q)
	}
	if free && !q.ready && q.slot != nil && t.takes(q.slot, q.entries[0]) {
		q.ready = true
		t.ready = append(t.ready, q)
	}
	if g := q.gate; g != nil && (g.first == nil || g.first == q) {
		g.look = true
	}
	if r := wants && q.slot != nil && q.slot.state == Stopping; r != q.returning {
		q.returning = r
		if r {
			t.returning++
		} else {
			t.returning--
		}
	}
	switch {
	case back:
		t.setAlarm(&q.alarm, q.retryAt)
	case q.fails > 0 && !wants && q.slot == nil:
		t.setAlarm(&q.alarm, q.retryAt.Add(forgetAfter))
	default:
		t.alarms.remove(&q.alarm)
	}
	if q.empty() {
		delete(t.queues, q.key)
	}
}

// queue returns the queue of a key, a new one if there is none. The caller then calls
// reindex, which forgets a queue that is not needed.
func (t *table) queue(k Key) *queue {
	q := t.queues[k]
	if q == nil {
		account := t.accounts[k.Team]
		q = &queue{key: k, gate: t.gates[account], quota: t.quota(account)}
		q.alarm.queue, q.candidate.queue = q, q
		t.queues[k] = q
	}
	return q
}

// hold holds a queue and its future messages, which then wait for what reason says.
func (t *table) hold(k Key, reason string) {
	q := t.queue(k)
	q.held = reason
	t.reindex(q)
}

// unhold ends the hold of a queue.
func (t *table) unhold(k Key) {
	if q := t.queues[k]; q != nil {
		q.held = ""
		t.reindex(q)
	}
}

// position is the place of an entry among the waiting messages of its queue.
func (t *table) position(e *entry) int {
	if e == nil || e.phase != queued {
		return 0
	}
	n := 1
	for _, o := range e.queue.entries {
		if o == e {
			break
		}
		if !o.wake {
			n++
		}
	}
	return n
}

// push adds an entry at the end of its queue, or at the head if an agent did not take
// it; spare messages stay behind all others. A message that an earlier daemon accepted
// goes before messages that were accepted later, and is as old as the message whose place
// it takes. The position counts from 1.
func (t *table) push(e *entry, head bool) (position int) {
	q := e.queue
	e.phase, e.slot = queued, nil
	at, position := len(q.entries), q.messages+1
	for at > 0 && !q.entries[at-1].precedes(e, head) {
		if at--; !q.entries[at].wake {
			position--
		}
	}
	if !head && at < len(q.entries) && q.entries[at].turn.Spare == e.turn.Spare {
		e.seq, e.since = q.entries[at].seq, q.entries[at].since
	}
	q.entries = slices.Insert(q.entries, at, e)
	t.count(e, 1)
	return position
}

// precedes reports whether the waiting entry e stays before k, which is added at the end or
// at the head.
func (e *entry) precedes(k *entry, head bool) bool {
	switch {
	case e.turn.Spare != k.turn.Spare:
		return k.turn.Spare
	case head || k.turn.AcceptedSeq == 0:
		return !head
	}
	return e.turn.AcceptedSeq > 0 && e.turn.AcceptedSeq <= k.turn.AcceptedSeq
}

// pull removes an entry from its queue.
func (t *table) pull(e *entry) {
	q := e.queue
	if q.entries[0] == e {
		q.entries[0] = nil
		q.entries = q.entries[1:]
	} else if i := slices.Index(q.entries, e); i > 0 {
		q.entries = slices.Delete(q.entries, i, i+1)
	}
	t.count(e, -1)
}

// count changes the number of waiting messages, which the limits apply to. Wakes do
// not count.
func (t *table) count(e *entry, n int) {
	if e.wake {
		return
	}
	t.messages += n
	e.queue.messages += n
	if e.turn.Spare {
		t.spares += n
	}
	team := e.queue.key.Team
	if t.queued[team] += n; t.queued[team] == 0 {
		delete(t.queued, team)
	}
}

// drop ends a waiting entry.
func (t *table) drop(e *entry, err error) {
	t.pull(e)
	if !e.wake {
		t.emit(Event{Type: MessageDropped, Key: e.queue.key, Message: e.turn.ID, Detail: reason(err)})
	}
	t.end(e)
	t.do(step{kind: stepAnswer, entry: e, err: err})
	t.reindex(e.queue)
}

// dropAll ends all entries that wait in a queue.
func (t *table) dropAll(q *queue, err error) {
	for len(q.entries) > 0 {
		t.drop(q.entries[0], err)
	}
}

// dropAs ends the entries of a queue that wait for an agent started as that variant.
func (t *table) dropAs(q *queue, v turn.Variant, err error) {
	for _, e := range slices.Clone(q.entries) {
		if cold(e.turn.Variant.Value(), false) == v {
			t.drop(e, err)
		}
	}
}

// end removes an entry from the table. Its key is busy until recorded.
func (t *table) end(e *entry) {
	e.phase, e.slot = ended, nil
	if t.entries[e.turn.ID] == e {
		delete(t.entries, e.turn.ID)
	}
	t.detach(e)
	t.dropChildren(e)
	if !e.wake {
		e.queue.finishing++
	}
}

// recorded is called when Run has returned: the next entry of this key may rely on
// that.
func (t *table) recorded(e *entry) {
	t.active--
	if e.wake {
		return // its queue may have been forgotten
	}
	q := e.queue
	q.finishing--
	if q.recording == e {
		q.recording = nil
	}
	t.reindex(q)
}

// failed counts a failed start. It ends the waiting entries if trying again cannot
// help or has not helped for a while. If the start was for a Variant, that may be the
// cause, and the failure says nothing about the usual agent.
func (t *table) failed(s *slot, err error) {
	q := s.queue
	e := &StartError{Team: q.key.Team, Err: err}
	var given *StartError
	if errors.As(err, &given) {
		*e = *given
	}
	if !e.Permanent {
		q.fails++
		q.err = e.Err
		q.retryAt = t.now.Add(t.backoff(q.fails))
		if q.fails < breakAfter {
			return
		}
	}
	usual := s.variant == turn.Variant{}
	if e.Permanent || !usual {
		q.fails, q.err, q.retryAt = 0, nil, time.Time{}
	} else {
		e.Retry = q.retryAt.Sub(t.now)
	}
	if usual {
		t.dropAll(q, e)
	} else {
		t.dropAs(q, s.variant, e)
	}
}

// backoff doubles with every failure; the upper half is jitter, so that teams that
// fail for the same reason do not try again at the same time.
func (t *table) backoff(fails int) time.Duration {
	d := min(backoffMin<<min(fails, 6), backoffMax)
	return d/2 + t.jitter(d/2)
}
