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
	forgetAfter = 10 * time.Minute // a failing key that nobody asks for is forgotten
	maxTries    = 3                // agents that a turn may be taken to before one has it
)

// queue is what the pool knows of one key: its messages in order, and the slot
// that serves them. It exists while there is anything to know.
type queue struct {
	key     Key
	entries []*entry
	slot    *slot // the only one of this key that is no orphan

	messages int // in queue, without the wakes

	held      bool   // its messages wait for release
	orphans   int    // processes of an earlier daemon that hold this conversation
	recording *entry // ended, but its Run has not returned: the next one must not start before
	finishing int    // messages that have ended and whose Run has not returned, also those that never ran

	yieldSeq uint64 // set when its agent gave way: its age counts from there
	yieldAt  time.Time
	why      string // why its last agent went, until the next is ready
	replaced string // why its next agent takes the place of one that was not used again

	fails   int // starts that failed in a row
	err     error
	retryAt time.Time // no start before

	alarm     alarm
	waiting   int  // place in table.waiting
	ready     bool // stands in table.ready
	returning bool // counted in table.returning
}

func (q *queue) index() *int { return &q.waiting }

// before orders the queues that need a slot by the age of their head.
func (q *queue) before(o *queue) bool { return q.age() < o.age() }

func (q *queue) age() uint64 { return max(q.entries[0].seq, q.yieldSeq) }

// since is age as a time.
func (q *queue) since() time.Time {
	if s := q.entries[0].since; s.After(q.yieldAt) {
		return s
	}
	return q.yieldAt
}

func (q *queue) open(now time.Time) bool { return q.fails >= breakAfter && now.Before(q.retryAt) }

// wants reports that something waits here which an agent would help.
func (q *queue) wants() bool { return len(q.entries) > 0 && !q.held }

// busy reports that the conversation has something to do, or that the end of
// it has not been written down.
func (q *queue) busy() bool {
	return q.messages > 0 || q.slot != nil && (q.slot.entry != nil || q.slot.work != nil) || q.finishing > 0 || q.orphans > 0
}

// empty reports that the queue may be forgotten.
func (q *queue) empty() bool {
	return len(q.entries) == 0 && q.slot == nil && q.orphans == 0 && q.finishing == 0 && q.fails == 0 && !q.held
}

func (q *queue) refusal(now time.Time) *StartError {
	return &StartError{Team: q.key.Team, Retry: q.retryAt.Sub(now), Err: q.err}
}

// entry is a turn in the pool, or a wake: a request to have an idle agent.
type entry struct {
	turn    Turn
	queue   *queue
	phase   phase
	slot    *slot // while running
	seq     uint64
	since   time.Time
	tries   int  // agents that it was taken to in vain
	wake    bool // there is no message
	adopted bool // an image of this program before this one has sent it
	sent    bool
	cause   error // why we ended it; the first reason stands

	parent   *entry // its running turn waits for this one
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

// descends reports whether e is waited for by a, directly or not.
func (e *entry) descends(a *entry) bool {
	for p := e.parent; p != nil; p = p.parent {
		if p == a {
			return true
		}
	}
	return false
}

// alarm is a moment at which the table wants to be asked again, for a slot or
// for a queue; for neither it is the health check.
type alarm struct {
	at    time.Time
	i     int
	slot  *slot
	queue *queue
}

func (a *alarm) index() *int          { return &a.i }
func (a *alarm) before(o *alarm) bool { return a.at.Before(o.at) }

// reindex puts the queue where its state says: among those that can be granted,
// those that need a slot, those that wait for a time, or out of the table. It
// is called after every change of a queue or of its slot.
func (t *table) reindex(q *queue) {
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

// queue returns the queue of a key, a new one if there is none. The caller of a
// new one calls reindex, which forgets it again if it is not needed.
func (t *table) queue(k Key) *queue {
	q := t.queues[k]
	if q == nil {
		q = &queue{key: k}
		q.alarm.queue = q
		t.queues[k] = q
	}
	return q
}

// hold has a queue wait, whatever is in it or comes.
func (t *table) hold(k Key) {
	q := t.queue(k)
	q.held = true
	t.reindex(q)
}

// unhold lets a queue go on.
func (t *table) unhold(k Key) {
	if q := t.queues[k]; q != nil {
		q.held = false
		t.reindex(q)
	}
}

// position is the place of an entry among the messages that wait in its queue.
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

// push puts an entry at the end of its queue, or, when it comes back from an
// agent that did not take it, at the head. One that an earlier daemon accepted
// comes before those that were accepted later, and is as old as the one whose
// place it takes.
func (t *table) push(e *entry, head bool) {
	q := e.queue
	e.phase, e.slot = queued, nil
	at := len(q.entries)
	switch {
	case head:
		at = 0
	case e.turn.AcceptedSeq > 0:
		for at > 0 && !q.entries[at-1].precedes(e) {
			at--
		}
		if at < len(q.entries) {
			e.seq, e.since = q.entries[at].seq, q.entries[at].since
		}
	}
	q.entries = slices.Insert(q.entries, at, e)
	t.count(e, 1)
}

// precedes reports whether e, which waits, was accepted before k, which an
// earlier daemon accepted.
func (e *entry) precedes(k *entry) bool {
	return e.turn.AcceptedSeq > 0 && e.turn.AcceptedSeq <= k.turn.AcceptedSeq
}

// pull takes an entry out of its queue.
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

// count keeps the number of waiting messages, which the limits are about.
// Wakes are not messages.
func (t *table) count(e *entry, n int) {
	if e.wake {
		return
	}
	t.messages += n
	e.queue.messages += n
	team := e.queue.key.Team
	if t.queued[team] += n; t.queued[team] == 0 {
		delete(t.queued, team)
	}
}

// drop ends an entry that waits.
func (t *table) drop(e *entry, err error) {
	t.pull(e)
	if !e.wake {
		t.emit(Event{Type: MessageDropped, Key: e.queue.key, Message: e.turn.ID, Detail: reason(err)})
	}
	t.end(e)
	t.do(step{kind: stepAnswer, entry: e, err: err})
	t.reindex(e.queue)
}

// dropAll ends all that wait in a queue.
func (t *table) dropAll(q *queue, err error) {
	for len(q.entries) > 0 {
		t.drop(q.entries[0], err)
	}
}

// dropAs ends those that wait in a queue for an agent started as that variant.
func (t *table) dropAs(q *queue, v turn.Variant, err error) {
	for _, e := range slices.Clone(q.entries) {
		if cold(e.turn.Variant.Value(), false) == v {
			t.drop(e, err)
		}
	}
}

// end takes an entry out of the table. Its key is busy until recorded.
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

// recorded is called when Run has returned: what comes next for this key may
// rely on it.
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

// failed counts a start that failed, and gives up on those who wait for it
// when trying again cannot help or has not helped for a while. What a message has
// asked for may be why, and says nothing of the usual agent.
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

// backoff doubles with every failure; the upper half is jitter, so that teams
// which fail for one reason do not try again in step.
func (t *table) backoff(fails int) time.Duration {
	d := min(backoffMin<<min(fails, 6), backoffMax)
	return d/2 + t.jitter(d/2)
}
