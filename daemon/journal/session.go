package journal

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Session is the conversation of a key.
type Session struct {
	ID      string    `json:"id"`  // the agent's id of the conversation, a UUID
	Dir     string    `json:"dir"` // the directory that it is in
	Created time.Time `json:"created"`
	Used    bool      `json:"used,omitempty"`    // the model was asked and has answered, so that there is a transcript
	Model   string    `json:"model,omitempty"`   // the model for messages that ask for none
	Rewound string    `json:"rewound,omitempty"` // the answer to continue from; empty: its end
	Lent    bool      `json:"lent,omitempty"`    // a message used another model, which the conversation would otherwise keep
	Seen    time.Time `json:"seen,omitzero"`     // when somebody looked for its directory last and it was there
	Missing time.Time `json:"missing,omitzero"`  // when its directory was first not there since

	Attached *Attachment `json:"attached,omitempty"` // nil while nobody has it in a terminal
}

// An Attachment says where a person has a conversation in a terminal.
type Attachment struct {
	ID      string    `json:"id"` // the mark in the environment of the program
	Boot    string    `json:"boot"`
	Client  ProcessID `json:"client"`
	Program ProcessID `json:"program,omitzero"` // zero until the client has started it
	Config  string    `json:"config"`           // directory of Claude Code
}

// ProcessID names a process until the next boot, by its number and its start.
type ProcessID struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"`
}

// Session returns the conversation of a key; false if it has none yet.
func (j *Journal) Session(key string) (Session, bool, error) {
	var s Session
	var ok bool
	err := j.view(func(tx *txn) (err error) {
		ok, err = getJSON(tx, bucketSessions, []byte(key), &s)
		return err
	})
	if err != nil {
		return Session{}, false, fmt.Errorf("session of %q: %w", key, err)
	}
	return s, ok, nil
}

// SetSession records the conversation of a key. It is on disk when SetSession
// returns.
func (j *Journal) SetSession(key string, s Session) error {
	err := j.update(func(tx *txn) error { return putJSON(tx, bucketSessions, []byte(key), s) })
	if err != nil {
		return fmt.Errorf("record the session of %q: %w", key, err)
	}
	return nil
}

// ReviseSession changes the conversation of a key, if it has one, or forgets it if f
// returns false.
func (j *Journal) ReviseSession(key string, f func(s *Session) (keep bool)) error {
	err := j.update(func(tx *txn) error {
		var s Session
		if ok, err := getJSON(tx, bucketSessions, []byte(key), &s); err != nil || !ok {
			return err
		}
		if !f(&s) {
			return del(tx, bucketSessions, []byte(key))
		}
		return putJSON(tx, bucketSessions, []byte(key), s)
	})
	if err != nil {
		return fmt.Errorf("revise the session of %q: %w", key, err)
	}
	return nil
}

// EndRewind records that a turn has followed the answer that a conversation was
// rewound to: that turn is its end now.
func (j *Journal) EndRewind(key, id string) error {
	s, ok, err := j.Session(key)
	if err != nil || !ok || s.ID != id || s.Rewound == "" {
		return err
	}
	s.Rewound = ""
	return j.SetSession(key, s)
}

// UseSession records that the conversation was answered, whether the model was asked
// for it, and which (empty: unchanged), if it is still the conversation of the key. It
// writes only changes.
func (j *Journal) UseSession(key, id string, asked bool, model string) error {
	if s, ok, err := j.Session(key); err != nil || !ok || s.ID != id || (s.Used || !asked) && (model == "" || model == s.Model) {
		return err
	}
	err := j.update(func(tx *txn) error {
		var s Session
		ok, err := getJSON(tx, bucketSessions, []byte(key), &s)
		if err != nil || !ok || s.ID != id {
			return err
		}
		s.Used, s.Model = s.Used || asked, cmp.Or(model, s.Model)
		return putJSON(tx, bucketSessions, []byte(key), s)
	})
	if err != nil {
		return fmt.Errorf("record the session of %q: %w", key, err)
	}
	return nil
}

// DeleteSession forgets the conversation of a key.
func (j *Journal) DeleteSession(key string) error {
	err := j.update(func(tx *txn) error { return del(tx, bucketSessions, []byte(key)) })
	if err != nil {
		return fmt.Errorf("forget the session of %q: %w", key, err)
	}
	return nil
}

// MoveSessions gives every conversation whose key begins with from the same key with to
// in its place: all of them at once, or with an error none. The error is ErrSession if
// such a key has a conversation already.
func (j *Journal) MoveSessions(from, to string) error {
	err := j.update(func(tx *txn) error { return moveSessions(tx, []byte(from), []byte(to)) })
	if err != nil {
		return fmt.Errorf("move the sessions of %q to %q: %w", from, to, err)
	}
	return nil
}

// moveSessions is the change of MoveSessions. It reads everything before it changes
// anything.
func moveSessions(tx *txn, from, to []byte) error {
	var keys, moved [][]byte
	var sessions []Session
	c := tx.Bucket(bucketSessions).Cursor()
	for k, _ := c.Seek(from); bytes.HasPrefix(k, from); k, _ = c.Next() {
		keys, moved = append(keys, bytes.Clone(k)), append(moved, slices.Concat(to, k[len(from):]))
	}
	for i, k := range keys {
		var s Session
		if there, err := getJSON(tx, bucketSessions, moved[i], &s); err != nil || there {
			return cmp.Or(err, ErrSession)
		}
		if _, err := getJSON(tx, bucketSessions, k, &s); err != nil {
			return err
		}
		sessions = append(sessions, s)
	}
	for i, k := range keys {
		if err := cmp.Or(del(tx, bucketSessions, k), putJSON(tx, bucketSessions, moved[i], sessions[i])); err != nil {
			return err
		}
	}
	return nil
}

// Sessions calls f for each key and its conversation, in the order of keys. A
// *DamageError names the first unreadable one; f was still called for all others. f
// runs after the transaction, and may call the journal.
func (j *Journal) Sessions(f func(key string, s Session) error) error {
	var keys []string
	var sessions []Session
	var damage error
	err := j.view(func(tx *txn) error {
		return tx.Bucket(bucketSessions).ForEach(func(k, v []byte) error {
			var x Session
			err := openJSON(bucketSessions, k, v, &x)
			if err == nil {
				keys, sessions = append(keys, string(k)), append(sessions, x)
			} else if damage == nil {
				damage = damagedRecord(j.path, bucketSessions, k, err)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	for i, k := range keys {
		if err := f(k, sessions[i]); err != nil {
			return err
		}
	}
	return damage
}
