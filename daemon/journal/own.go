package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	bolt "go.etcd.io/bbolt"

	"iris/pool/turn"
)

// Own is the usage of a turn that nobody has sent: the agent began it by itself.
type Own struct {
	At      time.Time  `json:"at"` // its end
	Team    string     `json:"team"`
	Session string     `json:"session,omitempty"`
	Process string     `json:"process"`
	Origin  string     `json:"origin,omitempty"` // what began it
	Model   string     `json:"model,omitempty"`
	CostUSD float64    `json:"cost_usd,omitempty"`
	Usage   turn.Usage `json:"usage,omitzero"`
}

// bucketOwn holds own turns by the time of their end and their process. The first one
// creates it, so that an iris without own turns can open the journal.
var bucketOwn = []byte("own")

// RecordOwn records an own turn. It is on disk when RecordOwn returns. Repeat it if
// its result is unknown.
func (j *Journal) RecordOwn(o Own) error {
	err := j.update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(bucketOwn); err != nil {
			return halfway{err}
		}
		return putJSON(tx, bucketOwn, append(ownKey(o.At), o.Process...), o)
	})
	if err != nil {
		return fmt.Errorf("record a turn of team %s that nobody has sent: %w", o.Team, err)
	}
	return nil
}

// ownKey is the lowest key of the turns that ended at that time or later.
func ownKey(at time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))
}

// Owns yields the own turns, oldest first, that match the team, session and time of a
// filter; its other fields are ignored. A damaged record is yielded as a *DamageError
// and does not end the list. No lock is held while the caller handles a turn.
func (j *Journal) Owns(f Filter) iter.Seq2[Own, error] {
	return func(yield func(Own, error) bool) {
		at := []byte(nil)
		if !f.Since.IsZero() {
			at = ownKey(f.Since)
		}
		for more := true; more; {
			var found []ownHit
			var err error
			if found, at, err = j.ownsFrom(at); err != nil {
				yield(Own{}, err)
				return
			}
			more = at != nil
			for _, h := range found {
				if h.err == nil && (f.Team != "" && h.own.Team != f.Team || f.Session != nil && h.own.Session != *f.Session) {
					continue
				}
				if !yield(h.own, h.err) {
					return
				}
			}
		}
	}
}

type ownHit struct {
	own Own
	err error
}

// ownsFrom reads a chunk of records, and returns the key to continue from; nil at the
// end.
func (j *Journal) ownsFrom(at []byte) (found []ownHit, next []byte, err error) {
	err = j.view(func(tx *bolt.Tx) error {
		found, next = nil, nil
		b := tx.Bucket(bucketOwn)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(at); k != nil; k, v = c.Next() {
			if len(found) == chunk {
				next = append([]byte(nil), k...)
				return nil
			}
			var h ownHit
			raw, err := unseal(bucketOwn, k, v)
			if err == nil {
				err = json.Unmarshal(raw, &h.own)
			}
			if err != nil {
				h.err = &DamageError{Path: j.path, What: fmt.Sprintf("%s %x: %v", bucketOwn, k, err)}
			}
			found = append(found, h)
		}
		return nil
	})
	return found, next, err
}

// pruneOwn removes at most a group of the own turns that ended before a time, and
// returns how many.
func (j *Journal) pruneOwn(before time.Time) (n int, err error) {
	end := string(ownKey(before))
	var keys [][]byte
	err = j.view(func(tx *bolt.Tx) error {
		keys = nil
		b := tx.Bucket(bucketOwn)
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, _ := c.First(); k != nil && string(k) < end && len(keys) < pruneGroup; k, _ = c.Next() {
			keys = append(keys, append([]byte(nil), k...))
		}
		return nil
	})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	err = j.update(func(tx *bolt.Tx) error {
		for _, k := range keys {
			if err := del(tx, bucketOwn, k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(keys), nil
}
