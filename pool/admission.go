package pool

import (
	"fmt"
	"strconv"
)

// admit says why a turn is refused; nil if it is not.
func (t *table) admit(q *queue, turn Turn, wake bool) error {
	if t.closed {
		return ErrClosed
	}
	if turn.ID != "" && t.entries[turn.ID] != nil {
		return fmt.Errorf("message %s is in the pool already", turn.ID)
	}
	if turn.AcceptedSeq > 0 {
		return nil // it was admitted before, and its sender may be gone
	}
	if turn.IfIdle && (q.busy() || q.held != "") {
		return ErrBusy
	}
	if q.open(t.now) {
		return q.refusal(t.now)
	}
	if p := t.parent(turn); p != nil && t.stuck(turn) {
		return t.deadlock(turn.Key, p)
	}
	if !wake && !t.immediate(q, turn) {
		if limit := t.settings(turn.Key.Team).QueueLimit; limit > 0 && t.queued[turn.Key.Team] >= limit {
			return ErrQueueFull
		}
	}
	if err := t.refusal(q, turn, wake); err != nil {
		return err
	}
	if t.WhenFull == WhenFullFail && !turn.Spare {
		return t.full(q)
	}
	return nil
}

// immediate reports whether the agent of the queue takes the turn at once.
func (t *table) immediate(q *queue, turn Turn) bool {
	s := q.slot
	if t.frozen || s == nil || turn.Spare || len(q.entries) > 0 || q.stopped() {
		return false
	}
	if t.shortage(q, &entry{turn: turn, queue: q, parent: t.parent(turn)}) != nil {
		return false
	}
	return s.state == Idle && s.fresh == turn.Fresh || s.working() && q.recording == nil && t.takes(s, &entry{turn: turn})
}

// full returns ErrFull or ErrNoMemory if a queue without an agent would get one only
// when somebody else's turn ends. A held or limited queue waits for something else.
func (t *table) full(q *queue) error {
	if q.slot != nil && q.slot.state != Stopping || q.orphans > 0 || len(q.entries) > 0 || q.stopped() {
		return nil
	}
	free := t.MaxProcesses - len(t.slots) + t.stopping - t.waiting.len() - t.returning
	for e := t.idle.Front(); e != nil && free <= 0; e = e.Next() {
		if !e.Value.(*slot).queue.wants() {
			free++
		}
	}
	switch {
	case free <= 0:
		return ErrFull
	case t.hopeless(q.key.Team):
		return ErrNoMemory
	}
	return nil
}

// submit takes a turn in. The position is its place in the queue of its key, from 1;
// 0 if an idle agent takes it at once.
func (t *table) submit(turn Turn, wake bool) (*entry, int, error) {
	if t.parent(turn) != nil {
		turn.Spare = false // another turn waits for it
	}
	q := t.queue(turn.Key)
	if err := t.admit(q, turn, wake); err != nil {
		t.reindex(q)
		return nil, 0, err
	}
	now := t.immediate(q, turn)
	e := &entry{turn: turn, wake: wake, queue: q, seq: t.number(), since: t.now}
	t.active++
	if turn.ID != "" {
		t.entries[turn.ID] = e
	}
	t.attach(e, t.parent(turn))
	t.passed(e.parent)
	position := t.push(e, false)
	t.reindex(q)
	if now {
		return e, 0, nil
	}
	if !wake {
		t.emit(Event{Type: MessageQueued, Key: q.key, Message: turn.ID, Sender: turn.Sender, Detail: "position " + strconv.Itoa(position)})
	}
	return e, position, nil
}

// cancel ends an entry: at once if it waits; if it runs, its turn is interrupted.
func (t *table) cancel(e *entry, cause error) error {
	switch {
	case e == nil || e.phase == ended:
		return ErrNotRunning
	case e.phase == queued:
		t.drop(e, cause)
	case e.cause == nil:
		e.cause = cause
		t.do(step{kind: stepInterrupt, entry: e, err: cause})
	}
	return nil
}

// setCause records why the turn of an agent that is being stopped will end. The first
// cause stays. A turn that has not reached the agent yet is not sent.
func (t *table) setCause(e *entry, cause error) {
	if e.cause == nil && !e.sent {
		t.cancel(e, cause)
	} else if e.cause == nil {
		e.cause = cause
	}
}
