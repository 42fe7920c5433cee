package journal

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Session is the conversation of a key.
type Session struct {
	ID      string    `json:"id"`  // the agent's id of the conversation, a UUID
	Dir     string    `json:"dir"` // the directory that it is in
	Created time.Time `json:"created"`
	Used    bool      `json:"used,omitempty"`    // one of its turns was answered, so that there is a transcript
	Model   string    `json:"model,omitempty"`   // the model for messages that ask for none
	Rewound string    `json:"rewound,omitempty"` // the answer to continue from; empty: its end
	Lent    bool      `json:"lent,omitempty"`    // a message used another model, which the conversation would otherwise keep
}

// Session returns the conversation of a key; false if it has none yet.
func (j *Journal) Session(key string) (Session, bool, error) {
	var s Session
	var ok bool
	err := j.view(func(tx *bolt.Tx) (err error) {
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
	err := j.update(func(tx *bolt.Tx) error { return putJSON(tx, bucketSessions, []byte(key), s) })
	if err != nil {
		return fmt.Errorf("record the session of %q: %w", key, err)
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

// UseSession records that the conversation was answered, and by which model (empty:
// unchanged), if it is still that of the key. It writes only changes.
func (j *Journal) UseSession(key, id, model string) error {
	if s, ok, err := j.Session(key); err != nil || !ok || s.ID != id || s.Used && (model == "" || model == s.Model) {
		return err
	}
	err := j.update(func(tx *bolt.Tx) error {
		var s Session
		ok, err := getJSON(tx, bucketSessions, []byte(key), &s)
		if err != nil || !ok || s.ID != id {
			return err
		}
		s.Used, s.Model = true, cmp.Or(model, s.Model)
		return putJSON(tx, bucketSessions, []byte(key), s)
	})
	if err != nil {
		return fmt.Errorf("record the session of %q: %w", key, err)
	}
	return nil
}

// DeleteSession forgets the conversation of a key.
func (j *Journal) DeleteSession(key string) error {
	err := j.update(func(tx *bolt.Tx) error { return del(tx, bucketSessions, []byte(key)) })
	if err != nil {
		return fmt.Errorf("forget the session of %q: %w", key, err)
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
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSessions).ForEach(func(k, v []byte) error {
			b, err := unseal(bucketSessions, k, v)
			var x Session
			if err == nil {
				err = json.Unmarshal(b, &x)
			}
			if err == nil {
				keys, sessions = append(keys, string(k)), append(sessions, x)
			} else if damage == nil {
				damage = &DamageError{Path: j.path, What: fmt.Sprintf("%s %q: %v", bucketSessions, k, err)}
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
