package pool

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	breakAfter  = 3 // starts that fail in a row before the breaker opens
	backoffMin  = time.Second
	backoffMax  = time.Minute
	forgetAfter = 10 * time.Minute // a failing key that nobody asks for is forgotten
	maxTries    = 3                // agents that a turn may be taken to before one has it
)

// line is what the pool knows of one key: its messages in order, and the slot
// that serves them. It exists while there is anything to know.
type line struct {
	key   Key
	queue []*job
	slot  *slot // the only one of this key that is not fenced

	messages int // in queue, without the wakes

	held      bool // its messages wait for release
	fences    int  // processes of an earlier daemon that hold this conversation
	settling  *job // ended, but its Finish has not returned: the next one must not start before
	finishing int  // messages whose Finish has not returned, also those that never ran

	yieldSeq uint64 // set when its agent gave way: its age counts from there
	yieldAt  time.Time
	why      string // why its last agent went, until the next is ready
	replaced string // why its next agent takes the place of one that was not used again

	fails   int // starts that failed in a row
	err     error
	retryAt time.Time // no start before

	alarm     alarm
	needy     int  // place in table.needy
	ready     bool // stands in table.ready
	returning bool // counted in table.returning
}

func (l *line) index() *int { return &l.needy }

// before orders the lines that need a slot by the age of their head.
func (l *line) before(o *line) bool { return l.age() < o.age() }

func (l *line) age() uint64 { return max(l.queue[0].seq, l.yieldSeq) }

// since is age as a time.
func (l *line) since() time.Time {
	if s := l.queue[0].since; s.After(l.yieldAt) {
		return s
	}
	return l.yieldAt
}

func (l *line) open(now time.Time) bool { return l.fails >= breakAfter && now.Before(l.retryAt) }

// wants reports that something waits here which an agent would help.
func (l *line) wants() bool { return len(l.queue) > 0 && !l.held }

// busy reports that the conversation has something to do, or that the end of
// it has not been written down.
func (l *line) busy() bool {
	return l.messages > 0 || l.slot != nil && l.slot.job != nil || l.finishing > 0 || l.fences > 0
}

// empty reports that the line may be forgotten.
func (l *line) empty() bool {
	return len(l.queue) == 0 && l.slot == nil && l.fences == 0 && l.finishing == 0 && l.fails == 0 && !l.held
}

func (l *line) refusal(now time.Time) *StartError {
	return &StartError{Team: l.key.Team, Retry: l.retryAt.Sub(now), Err: l.err}
}

// job is a turn in the pool, or a wake: a request to have an idle agent.
type job struct {
	turn  *Turn
	woken func(Process, error) // of a wake; nil when nobody asks
	line  *line
	phase phase
	slot  *slot // while running
	seq   uint64
	since time.Time
	tries int  // agents that it was taken to in vain
	wake  bool // there is no message
	sent  bool
	cause error // why we ended it; the first reason stands

	parent   *job // its running turn waits for this one
	children []*job

	ctx    context.Context // set when it is granted
	cancel context.CancelCauseFunc
}

type phase int

const (
	queued phase = iota
	running
	ended
)

// descends reports whether j is waited for by a, directly or not.
func (j *job) descends(a *job) bool {
	for p := j.parent; p != nil; p = p.parent {
		if p == a {
			return true
		}
	}
	return false
}

// alarm is a moment at which the table wants to be asked again, for a slot or
// for a line; for neither it is the health check.
type alarm struct {
	at   time.Time
	i    int
	slot *slot
	line *line
}

func (a *alarm) index() *int          { return &a.i }
func (a *alarm) before(o *alarm) bool { return a.at.Before(o.at) }

// place puts the line where its state says: among those that can be granted,
// those that need a slot, those that wait for a time, or out of the table. It
// is called after every change of a line or of its slot.
func (t *table) place(l *line) {
	waiting := l.wants()
	free := waiting && l.settling == nil
	back := free && l.slot == nil && l.fences == 0 && t.now.Before(l.retryAt)
	if free && l.slot == nil && l.fences == 0 && !back {
		t.needy.put(l)
	} else {
		t.needy.remove(l)
	}
	if free && !l.ready && l.slot != nil && l.slot.state == Idle {
		l.ready = true
		t.ready = append(t.ready, l)
	}
	if r := waiting && l.slot != nil && l.slot.state == Stopping; r != l.returning {
		l.returning = r
		if r {
			t.returning++
		} else {
			t.returning--
		}
	}
	switch {
	case back:
		t.wakeAt(&l.alarm, l.retryAt)
	case l.fails > 0 && !waiting && l.slot == nil:
		t.wakeAt(&l.alarm, l.retryAt.Add(forgetAfter))
	default:
		t.alarms.remove(&l.alarm)
	}
	if l.empty() {
		delete(t.lines, l.key)
	}
}

// line returns the line of a key, a new one if there is none. Whoever gets a
// new one calls place, which forgets it again if it is not needed.
func (t *table) line(k Key) *line {
	l := t.lines[k]
	if l == nil {
		l = &line{key: k}
		l.alarm.line = l
		t.lines[k] = l
	}
	return l
}

// hold has a line wait, whatever is in it or comes.
func (t *table) hold(k Key) {
	l := t.line(k)
	l.held = true
	t.place(l)
}

// release lets a line go on.
func (t *table) release(k Key) {
	if l := t.lines[k]; l != nil {
		l.held = false
		t.place(l)
	}
}

// position is the place of a job among the messages that wait in its line.
func (t *table) position(j *job) int {
	if j == nil || j.phase != queued {
		return 0
	}
	n := 1
	for _, o := range j.line.queue {
		if o == j {
			break
		}
		if !o.wake {
			n++
		}
	}
	return n
}

// push puts a job at the end of its line, or, when it comes back from an
// agent that did not take it, at the head. One that an earlier daemon accepted
// comes before those that were accepted later, and is as old as the one whose
// place it takes.
func (t *table) push(j *job, head bool) {
	l := j.line
	j.phase, j.slot = queued, nil
	at := len(l.queue)
	switch {
	case head:
		at = 0
	case j.turn.Kept > 0:
		for at > 0 && !l.queue[at-1].precedes(j) {
			at--
		}
		if at < len(l.queue) {
			j.seq, j.since = l.queue[at].seq, l.queue[at].since
		}
	}
	l.queue = slices.Insert(l.queue, at, j)
	t.count(j, 1)
}

// precedes reports whether j, which waits, was accepted before k, which an
// earlier daemon accepted.
func (j *job) precedes(k *job) bool { return j.turn.Kept > 0 && j.turn.Kept <= k.turn.Kept }

// pull takes a job out of its line.
func (t *table) pull(j *job) {
	l := j.line
	if l.queue[0] == j {
		l.queue[0] = nil
		l.queue = l.queue[1:]
	} else if i := slices.Index(l.queue, j); i > 0 {
		l.queue = slices.Delete(l.queue, i, i+1)
	}
	t.count(j, -1)
}

// count keeps the number of waiting messages, which the limits are about.
// Wakes are not messages.
func (t *table) count(j *job, n int) {
	if j.wake {
		return
	}
	t.waiting += n
	j.line.messages += n
	team := j.line.key.Team
	if t.queued[team] += n; t.queued[team] == 0 {
		delete(t.queued, team)
	}
}

// drop ends a job that waits.
func (t *table) drop(j *job, err error) {
	t.pull(j)
	if !j.wake {
		t.emit(Event{Type: MessageDropped, Key: j.line.key, Message: j.turn.ID, Detail: reason(err)})
	}
	t.finish(j, nil, err)
	t.place(j.line)
}

// dropAll ends all that wait in a line.
func (t *table) dropAll(l *line, err error) {
	for len(l.queue) > 0 {
		t.drop(l.queue[0], err)
	}
}

// dropAs ends those that wait in a line for an agent of that variant.
func (t *table) dropAs(l *line, v Variant, err error) {
	for _, j := range slices.Clone(l.queue) {
		if j.turn.Variant.Value() == v {
			t.drop(j, err)
		}
	}
}

// finish takes a job out of the table and has its Finish called.
func (t *table) finish(j *job, res *Result, err error) {
	j.phase, j.slot = ended, nil
	if t.jobs[j.turn.ID] == j {
		delete(t.jobs, j.turn.ID)
	}
	t.detach(j)
	t.disown(j)
	if !j.wake {
		j.line.finishing++
	}
	t.do(step{kind: stepFinish, job: j, res: res, err: err})
}

// settled is called when Finish has returned: what comes next for this key may
// rely on it.
func (t *table) settled(j *job) {
	t.active--
	if j.wake {
		return // its line may have been forgotten
	}
	l := j.line
	l.finishing--
	if l.settling == j {
		l.settling = nil
	}
	t.place(l)
}

// failed counts a start that failed, and gives up on those who wait for it
// when trying again cannot help or has not helped for a while. What a message has
// asked for may be why, and says nothing of the usual agent.
func (t *table) failed(s *slot, err error) {
	l := s.line
	e := &StartError{Team: l.key.Team, Err: err}
	var given *StartError
	if errors.As(err, &given) {
		*e = *given
	}
	if !e.Permanent {
		l.fails++
		l.err = e.Err
		l.retryAt = t.now.Add(t.backoff(l.fails))
		if l.fails < breakAfter {
			return
		}
	}
	usual := s.variant == Variant{}
	if e.Permanent || !usual {
		l.fails, l.err, l.retryAt = 0, nil, time.Time{}
	} else {
		e.Retry = l.retryAt.Sub(t.now)
	}
	if usual {
		t.dropAll(l, e)
	} else {
		t.dropAs(l, s.variant, e)
	}
}

// backoff doubles with every failure; the upper half is jitter, so that teams
// which fail for one reason do not try again in step.
func (t *table) backoff(fails int) time.Duration {
	d := min(backoffMin<<min(fails, 6), backoffMax)
	return d/2 + t.jitter(d/2)
}
