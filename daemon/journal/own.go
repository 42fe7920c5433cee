package journal

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"time"

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
	err := j.update(func(tx *txn) error {
		if _, err := tx.CreateBucketIfNotExists(bucketOwn); err != nil {
			return halfway{err}
		}
		k := append(ownKey(o.At), o.Process...)
		if tx.Bucket(bucketOwn).Get(k) != nil { // on record, and in its sum
			return nil
		}
		if err := putJSON(tx, bucketOwn, k, o); err != nil {
			return err
		}
		return addOwn(tx, &o, o.spent())
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
	err = j.view(func(tx *txn) error {
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
			var err error
			if h.own, err = openOwn(k, v); err != nil {
				h.err = &DamageError{Path: j.path, What: fmt.Sprintf("%s %x: %v", bucketOwn, k, err)}
			}
			found = append(found, h)
		}
		return nil
	})
	return found, next, err
}

// openOwn reads the record of an own turn.
func openOwn(k, v []byte) (o Own, err error) {
	b, err := unseal(bucketOwn, k, v)
	if err == nil {
		err = json.Unmarshal(b, &o)
	}
	return o, err
}

// oldOwns returns some of the own turns that ended before a time.
func (j *Journal) oldOwns(before time.Time, at []byte) (keys [][]byte, last []byte, more bool, err error) {
	end := string(ownKey(before))
	return j.walk(bucketOwn, at, func(k, _ []byte) bool { return string(k) < end })
}

// pruneOwns removes own turns.
func (j *Journal) pruneOwns(keys [][]byte) (n int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	err = j.update(func(tx *txn) error {
		for _, k := range keys {
			if err := removeOwn(tx, k); err != nil {
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

// removeOwn removes an own turn, from its sum too.
func removeOwn(tx *txn, k []byte) error {
	var o Own
	if ok, err := getJSON(tx, bucketOwn, k, &o); ok && err == nil { // else it is damaged
		if err := addOwn(tx, &o, amounts{}.minus(o.spent())); err != nil {
			return err
		}
	}
	return del(tx, bucketOwn, k)
}
