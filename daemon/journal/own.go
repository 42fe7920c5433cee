package journal

import (
	"encoding/binary"
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
		if err := spend(tx, o.At, o.Team, turn.Dollars(o.CostUSD)); err != nil {
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
	at := []byte(nil)
	if !f.Since.IsZero() {
		at = ownKey(f.Since)
	}
	return inChunks(at, func(at []byte) ([]finding[Own], []byte, error) { return j.ownsFrom(&f, at) })
}

// ownsFrom reads a chunk of records.
func (j *Journal) ownsFrom(f *Filter, at []byte) ([]finding[Own], []byte, error) {
	return readChunk(j, bucketOwn, nil, at, func(k, v []byte) (finding[Own], bool) {
		var o Own
		if err := openJSON(bucketOwn, k, v, &o); err != nil {
			return finding[Own]{err: &DamageError{Path: j.path, What: fmt.Sprintf("%s %x: %v", bucketOwn, k, err)}}, true
		}
		return finding[Own]{record: o}, (f.Team == "" || o.Team == f.Team) && (f.Session == nil || o.Session == *f.Session)
	})
}

// oldOwns returns some of the own turns that ended before a time.
func (j *Journal) oldOwns(before time.Time, at []byte) (keys [][]byte, last []byte, more bool, err error) {
	end := string(ownKey(before))
	return j.walk(bucketOwn, at, func(k, _ []byte) bool { return string(k) < end })
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
