package journal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"iris/pool/turn"
)

// Accepted is the result of handing in a message.
type Accepted struct {
	Message
	Existing bool // the message was there already, under its key or its id; nothing was written
	Pruned   bool // it was pruned: only its id and state are left
}

// Accept records a message as queued; it is on disk when Accept returns. A message
// whose key or id is known (its sender repeats it after an error without a certain
// result) is not recorded again. A message whose sender is Gone is refused with
// ErrGone.
func (j *Journal) Accept(n New) (Accepted, error) { return j.accept(n, nil) }

// AcceptAndDispatch does Accept and Dispatch in one transaction, for a message that
// finds its agent idle. If Existing is set, nothing was dispatched. If the error is
// ErrExpired, the message was accepted and has expired.
func (j *Journal) AcceptAndDispatch(n New, a Attempt) (Accepted, error) { return j.accept(n, &a) }

// Find returns the message that Accept would find instead of recording n; Existing is
// not set if there is none.
func (j *Journal) Find(n New) (Accepted, error) {
	if err := n.check(); err != nil {
		return Accepted{}, err
	}
	var got Accepted
	err := j.view(func(tx *txn) (err error) {
		got, err = existing(tx, &n, describe(n.Body))
		return err
	})
	if err != nil {
		return Accepted{}, fmt.Errorf("accept message %s: %w", n.ID, err)
	}
	return got, nil
}

func (j *Journal) accept(n New, a *Attempt) (Accepted, error) {
	if err := n.check(); err != nil {
		return Accepted{}, err
	}
	body, err := j.store(n.ID, "body", n.Body)
	if err != nil {
		return Accepted{}, fmt.Errorf("accept message %s: %w", n.ID, err)
	}
	var got Accepted
	var late error
	err = j.update(func(tx *txn) error {
		var err error
		if got, err = existing(tx, &n, body); err != nil || got.Existing {
			return err
		}
		if n.Gone != nil && n.Gone() {
			return ErrGone
		}
		got.Message, late, err = record(tx, &n, body, a)
		return err
	})
	if got.Existing || refused(err) {
		j.discard(body)
	}
	if err != nil {
		return Accepted{}, fmt.Errorf("accept message %s: %w", n.ID, err)
	}
	return got, late
}

// refused reports whether a failed change certainly left the journal unchanged.
func refused(err error) bool {
	_, stopped := errors.AsType[*StoppedError](err)
	return err != nil && !stopped
}

func (n *New) check() error {
	if err := checkID(n.ID); err != nil {
		return err
	}
	if n.Team == "" {
		return fmt.Errorf("message %s has no team", n.ID)
	}
	if len(n.Options.Key) > 1024 {
		return fmt.Errorf("the key of message %s has %d bytes, more than 1024", n.ID, len(n.Options.Key))
	}
	return nil
}

// record writes a new message, and its dispatch if there is an attempt.
func record(tx *txn, n *New, body Content, a *Attempt) (m Message, late, err error) {
	c, err := getCounts(tx)
	if err != nil {
		return m, nil, err
	}
	c.Seq++
	m = Message{
		ID: n.ID, Seq: c.Seq, Team: n.Team, Session: n.Session, State: Queued,
		Options: n.Options, Body: body,
		History: []Change{{State: Queued, At: n.At}},
	}
	if a != nil {
		late = m.dispatch(*a)
	}
	if err := putMessage(tx, &m, "", c); err != nil {
		return m, nil, err
	}
	if err := addMessage(tx, &m, m.spent()); err != nil {
		return m, nil, err
	}
	if err := keep(tx, bucketBodies, m.ID, body, n.Body, c); err != nil {
		return m, nil, err
	}
	if k := n.Options.Key; k != "" {
		err := putJSON(tx, bucketKeys, []byte(k), keyRecord{ID: m.ID, Sum: n.identity(body), At: n.At})
		if err != nil {
			return m, nil, err
		}
	}
	return m, late, c.put(tx)
}

// keyRecord is the record of an idempotency key. State is set if the message was
// pruned.
type keyRecord struct {
	ID    string    `json:"id"`
	Sum   string    `json:"sum"`
	At    time.Time `json:"at"`
	State State     `json:"state,omitempty"`
}

// identity must be equal for two messages to be the same. The session of a fresh
// message is named by its id, so it does not count.
func (n *New) identity(body Content) string {
	session := "@" + n.Session
	if n.Options.Fresh {
		session = "~"
	}
	what := fmt.Appendf(nil, "%q %q %s", n.Team, session, body.Sum)
	if v := n.Options.Variant.Value(); v != (turn.Variant{}) || n.Options.Blocks {
		what = fmt.Appendf(what, " %q %t", identityOf(v), n.Options.Blocks)
	}
	s := sha256.Sum256(what)
	return hex.EncodeToString(s[:])
}

// existing finds the recorded message that is the same as n, by its key or its id.
func existing(tx *txn, n *New, body Content) (Accepted, error) {
	if n.Options.Key != "" {
		var k keyRecord
		ok, err := getJSON(tx, bucketKeys, []byte(n.Options.Key), &k)
		if err != nil {
			return Accepted{}, damaged(tx, n.ID, fmt.Errorf("key %q: %w", n.Options.Key, err))
		}
		if ok {
			return k.accepted(tx, n, body)
		}
	}
	m, err := getMessage(tx, n.ID)
	if errors.Is(err, ErrNotFound) {
		return Accepted{}, nil
	}
	if err != nil {
		return Accepted{}, err
	}
	if m.Team != n.Team || m.Session != n.Session || m.Body.Sum != body.Sum || m.Options.Key != n.Options.Key {
		return Accepted{}, ErrExists
	}
	return Accepted{Message: *m, Existing: true}, nil
}

func (k *keyRecord) accepted(tx *txn, n *New, body Content) (Accepted, error) {
	if k.Sum != n.identity(body) {
		return Accepted{}, &ConflictError{n.Options.Key, k.ID}
	}
	if k.State != "" {
		m := Message{ID: k.ID, Team: n.Team, Session: n.Session, State: k.State, History: []Change{{State: Queued, At: k.At}}}
		return Accepted{Message: m, Existing: true, Pruned: true}, nil
	}
	m, err := getMessage(tx, k.ID)
	if errors.Is(err, ErrNotFound) {
		err = damaged(tx, k.ID, errMissing)
	}
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{Message: *m, Existing: true}, nil
}
