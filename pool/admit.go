package pool

import (
	"fmt"
	"strconv"
)

// admit says why a turn is refused, if it is.
func (t *table) admit(l *line, turn *Turn, wake bool) error {
	if t.closed {
		return ErrClosed
	}
	if turn.ID != "" && t.jobs[turn.ID] != nil {
		return fmt.Errorf("message %s is in the pool already", turn.ID)
	}
	if turn.Kept > 0 {
		return nil // it was admitted once, and whoever could be told is gone
	}
	if turn.IfIdle && l.busy() {
		return ErrBusy
	}
	if l.open(t.now) {
		return l.refusal(t.now)
	}
	if t.parent(turn) != nil && t.stuck(turn) {
		return ErrDeadlock
	}
	if !wake && !t.immediate(l, turn) {
		if limit := t.settings(turn.Key.Team).QueueLimit; limit > 0 && t.queued[turn.Key.Team] >= limit {
			return ErrQueueFull
		}
	}
	if t.WhenFull == WhenFullFail && t.full(l) {
		return ErrFull
	}
	return nil
}

// immediate reports that an idle agent takes the turn at once.
func (t *table) immediate(l *line, turn *Turn) bool {
	return !t.frozen && l.slot != nil && l.slot.state == Idle && l.slot.fresh == turn.Fresh && len(l.queue) == 0 && !l.held
}

// full reports that a line without an agent would have to wait for the end of
// somebody's turn to get one. One that is held waits for something else.
func (t *table) full(l *line) bool {
	if l.slot != nil && l.slot.state != Stopping || l.fences > 0 || len(l.queue) > 0 || l.held {
		return false
	}
	free := t.MaxProcesses - len(t.slots) + t.stopping - t.needy.len() - t.returning
	for e := t.idle.Front(); e != nil && free <= 0; e = e.Next() {
		if !e.Value.(*slot).line.wants() {
			free++
		}
	}
	return free <= 0
}

// submit takes a turn in. Its position is its place in the line of its key,
// from 1; 0 when an idle agent takes it at once.
func (t *table) submit(turn *Turn, wake bool, woken func(Process, error)) (*job, int, error) {
	l := t.line(turn.Key)
	if err := t.admit(l, turn, wake); err != nil {
		t.place(l)
		return nil, 0, err
	}
	now := t.immediate(l, turn)
	j := &job{turn: turn, wake: wake, woken: woken, line: l, since: t.now}
	t.seq++
	j.seq = t.seq
	t.active++
	if turn.ID != "" {
		t.jobs[turn.ID] = j
	}
	t.attach(j, t.parent(turn))
	t.push(j, false)
	t.place(l)
	if now {
		return j, 0, nil
	}
	if !wake {
		t.emit(Event{Type: MessageQueued, Key: l.key, Message: turn.ID, Detail: "position " + strconv.Itoa(l.messages)})
	}
	return j, l.messages, nil
}

// cancel ends a job: gone at once while it waits, interrupted while it runs.
func (t *table) cancel(j *job, cause error) error {
	switch {
	case j == nil || j.phase == ended:
		return ErrNotRunning
	case j.phase == queued:
		t.drop(j, cause)
	case j.cause == nil:
		j.cause = cause
		t.do(step{kind: stepInterrupt, job: j, err: cause})
	}
	return nil
}

// condemn says why the turn of an agent that we stop will end. The first
// reason stands. One that has not reached the agent yet is not sent any more.
func (t *table) condemn(j *job, cause error) {
	if j.cause == nil && !j.sent {
		t.cancel(j, cause)
	} else if j.cause == nil {
		j.cause = cause
	}
}
