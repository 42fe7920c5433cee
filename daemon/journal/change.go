package journal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"iris/pool/turn"
)

// End says how a message ended.
type End struct {
	State  State
	Result *Result // nil if there is none
	At     time.Time
	By     string // who says so, unless it is the agent's own word
	Note   string // why
	Retry  bool   // with State Unknown: queue it for another attempt, in the same transaction
}

// Dispatch records that a queued message is about to be written to an agent; it is on
// disk when Dispatch returns, and only then may the first byte be written. If the
// deadline has passed, the message is recorded as expired instead, and the error is
// ErrExpired.
func (j *Journal) Dispatch(id string, a Attempt) (Message, error) {
	var late error
	m, err := j.move(id, func(_ *txn, m *Message, _ *counts) error {
		if err := m.may(Running); err != nil {
			return err
		}
		late = m.dispatch(a)
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("dispatch message %s: %w", id, err)
	}
	return m, late
}

// dispatch makes a queued message a running one, or an expired one.
func (m *Message) dispatch(a Attempt) error {
	if d := m.Options.Deadline; !d.IsZero() && a.At.After(d) {
		m.step(Change{State: Expired, At: a.At})
		return fmt.Errorf("message %s: %w", m.ID, ErrExpired)
	}
	m.step(Change{State: Running, At: a.At})
	m.Attempts = append(m.Attempts, a)
	return nil
}

// Reattempt queues an unknown message for another attempt, which By and Note of c
// explain; Reattempt sets its State. The attempt has no deadline: an earlier one has
// begun.
func (j *Journal) Reattempt(id string, c Change) (Message, error) {
	var old Content
	m, err := j.move(id, func(tx *txn, m *Message, count *counts) error {
		if m.State != Unknown {
			return &StateError{m.ID, m.State, Queued}
		}
		old = m.Result
		return m.reattempt(tx, c, count)
	})
	if err != nil {
		return m, fmt.Errorf("retry message %s: %w", id, err)
	}
	j.discard(old)
	return m, nil
}

// reattempt puts an unknown message back at its place in the queue.
func (m *Message) reattempt(tx *txn, c Change, count *counts) error {
	if m.Result.File != "" {
		count.Files -= m.Result.Size
	} else if err := del(tx, bucketResults, []byte(m.ID)); err != nil {
		return err
	}
	m.Result, m.Outcome, m.Error = Content{}, "", ""
	m.Options.Deadline = time.Time{}
	c.State = Queued
	m.step(c)
	return nil
}

// Requeue puts a running message back at its place in the queue. The caller has proof
// that its turn never began, or that nothing was done in it; why names the proof.
func (j *Journal) Requeue(id, why string, at time.Time) (Message, error) {
	m, err := j.move(id, func(_ *txn, m *Message, _ *counts) error {
		if m.State != Running {
			return &StateError{m.ID, m.State, Queued}
		}
		m.step(Change{State: Queued, At: at, Note: why})
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("requeue message %s: %w", id, err)
	}
	return m, nil
}

// End records the end of a queued or running message; it is on disk when End returns.
// The same end with the same result again changes nothing and is no error, so that
// End may be repeated if its result is unknown. With Retry the message is queued
// again at once, and keeps the cost of Result.
func (j *Journal) End(id string, e End) (Message, error) {
	if !e.State.Ended() || !e.State.Known() {
		return Message{}, fmt.Errorf("end message %s: %q is not an end", id, e.State)
	}
	return j.end(id, e, func(m *Message) error {
		if m.State == Unknown {
			return &StateError{m.ID, m.State, e.State}
		}
		return m.may(e.State)
	})
}

// Resolve records how an unknown message really ended, by evidence or because a
// person says so. By names which.
func (j *Journal) Resolve(id string, e End) (Message, error) {
	if e.By == "" {
		return Message{}, fmt.Errorf("resolve message %s: nobody says so", id)
	}
	return j.end(id, e, func(m *Message) error {
		if m.State != Unknown {
			return &StateError{m.ID, m.State, e.State}
		}
		return m.may(e.State)
	})
}

func (j *Journal) end(id string, e End, may func(*Message) error) (Message, error) {
	if err := checkID(id); err != nil {
		return Message{}, err
	}
	var text []byte
	var result Content
	var err error
	if e.Result != nil && !e.Retry {
		if text, err = encodeResult(e.Result); err == nil {
			result, err = j.store(id, "result", text)
		}
	}
	if err != nil {
		if refused(err) { // the next message must not begin as if this one had ended
			err = j.stop(err)
		}
		return Message{}, fmt.Errorf("end message %s as %s: %w", id, e.State, err)
	}
	var old Content // the earlier result of an unknown message
	repeated := false
	m, err := j.move(id, func(tx *txn, m *Message, c *counts) error {
		if repeated = m.is(e, result); repeated {
			return nil
		}
		if err := may(m); err != nil {
			return err
		}
		old = m.Result
		return m.finish(tx, e, result, text, c)
	})
	switch {
	case repeated || refused(err):
		j.discard(result)
	case err == nil && m.Result.File != old.File:
		j.discard(old)
	}
	if err != nil {
		return m, fmt.Errorf("end message %s as %s: %w", id, e.State, err)
	}
	return m, nil
}

// is reports whether the message has that end already.
func (m *Message) is(e End, result Content) bool {
	if e.Retry {
		return m.State == Queued && m.Retried()
	}
	last := m.History[len(m.History)-1]
	return m.State == e.State && last.By == e.By && m.Result.Sum == result.Sum
}

func (m *Message) finish(tx *txn, e End, result Content, text []byte, c *counts) error {
	was := m.State
	m.step(Change{State: e.State, At: e.At, By: e.By, Note: e.Note})
	if e.Result != nil {
		if was == Unknown { // this end replaces its result
			m.CostUSD, m.Usage = 0, turn.Usage{}
		}
		m.CostUSD += e.Result.CostUSD
		m.Usage = m.Usage.Plus(e.Result.Usage)
	}
	switch {
	case e.Retry:
		return m.reattempt(tx, Change{At: e.At, By: "on_unknown"}, c)
	case e.Result == nil:
		return nil
	}
	if m.Result.File != "" {
		c.Files -= m.Result.Size
	} else if err := del(tx, bucketResults, []byte(m.ID)); err != nil {
		return err
	}
	m.Result = result
	m.Outcome, m.Error = string(e.Result.Outcome), short(e.Result.Err)
	return keep(tx, bucketResults, m.ID, result, text, c)
}

// short cuts a text for a list.
func short(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}

// may returns a typed error if the message cannot change to s.
func (m *Message) may(s State) error {
	if !slices.Contains(leads[m.State], s) {
		return &StateError{m.ID, m.State, s}
	}
	return nil
}

func (m *Message) step(c Change) {
	m.State = c.State
	m.History = append(m.History, c)
}

// move changes one message in a transaction: f checks, then changes it.
func (j *Journal) move(id string, f func(*txn, *Message, *counts) error) (Message, error) {
	var got Message
	err := j.update(func(tx *txn) error {
		m, err := getMessage(tx, id)
		if err != nil {
			return err
		}
		c, err := getCounts(tx)
		if err != nil {
			return err
		}
		was, before, steps, cost := m.State, m.spent(), len(m.History), m.CostUSD
		if err := f(tx, m, c); err != nil {
			return err
		}
		got = *m
		if len(m.History) == steps {
			return nil
		}
		if err := putMessage(tx, m, was, c); err != nil {
			return err
		}
		more := turn.Dollars(m.CostUSD) - turn.Dollars(cost)
		if err := spend(tx, m.History[len(m.History)-1].At, m.Team, more); err != nil {
			return err
		}
		if err := addMessage(tx, m, m.spent().minus(before)); err != nil {
			return err
		}
		return c.put(tx)
	})
	if err != nil {
		if s, ok := errors.AsType[*StateError](err); ok {
			got.ID, got.State = id, s.From
		}
		return Message{ID: got.ID, State: got.State}, err
	}
	return got, nil
}
