package journal

import (
	"context"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Retention is how long messages and keys are kept by default.
const Retention = 35 * 24 * time.Hour

// pruneGroup limits the messages that one transaction removes.
const pruneGroup = 50

// Pruned counts what Prune removed.
type Pruned struct {
	Messages int
	Keys     int
	Owns     int
	Agents   int
	Spent    int
}

// Prune removes the messages that ended before ended, with their bodies and results,
// the own turns and agents that ended before it, the keys of ended messages that were
// accepted before keys, and what was spent long before the last turn. It works in short transactions with pauses, and may run beside
// everything else. It keeps unreadable records, and messages that hold their
// conversation: without such a message nobody could release the conversation. When ctx
// ends it stops, and the error is the cause.
func (j *Journal) Prune(ctx context.Context, ended, keys time.Time) (Pruned, error) {
	var p Pruned
	for _, part := range []struct {
		n      *int
		find   func(at []byte) (found [][]byte, last []byte, more bool, err error)
		remove func(found [][]byte) (int, error)
	}{
		{
			&p.Messages,
			func(at []byte) ([][]byte, []byte, bool, error) { return j.old(ended, at) },
			func(ids [][]byte) (int, error) { return j.prune(ids, ended) },
		}, {
			&p.Keys,
			func(at []byte) ([][]byte, []byte, bool, error) { return j.oldKeys(keys, at) },
			func(names [][]byte) (int, error) { return j.pruneKeys(names, keys) },
		}, {
			&p.Owns,
			func(at []byte) ([][]byte, []byte, bool, error) { return j.oldOwns(ended, at) },
			func(keys [][]byte) (int, error) { return j.removeEach(keys, removeOwn) },
		}, {
			&p.Agents,
			func(at []byte) ([][]byte, []byte, bool, error) { return j.oldAgents(ended, at) },
			func(keys [][]byte) (int, error) { return j.removeEach(keys, removeAgent) },
		}, {
			&p.Spent, j.oldSpent,
			func(keys [][]byte) (int, error) { return j.removeEach(keys, removeSpent) },
		},
	} {
		for at, more := []byte(nil), true; more; {
			began := time.Now()
			var found [][]byte
			var err error
			if found, at, more, err = part.find(at); err != nil {
				return p, err
			}
			n, err := part.remove(found)
			*part.n += n
			if err == nil {
				err = rest(ctx, began, pruneRest)
			}
			if err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// PruneTimes says when the journal was last pruned, and since when and why a pruning
// is overdue, as far as SetPruneTimes has recorded it.
type PruneTimes struct {
	Last  time.Time `json:"last,omitzero"`
	Since time.Time `json:"since,omitzero"`
	Why   string    `json:"why,omitempty"`
}

// PruneTimes returns what SetPruneTimes has recorded.
func (j *Journal) PruneTimes() (t PruneTimes, err error) {
	err = j.view(func(tx *txn) error {
		t = PruneTimes{}
		_, err := getJSON(tx, bucketMeta, keyPrune, &t)
		return err
	})
	return t, err
}

// SetPruneTimes records t.
func (j *Journal) SetPruneTimes(t PruneTimes) error {
	return j.update(func(tx *txn) error { return putJSON(tx, bucketMeta, keyPrune, t) })
}

// after moves a cursor to the first key after at, which may be gone, or to the first of
// all if at is nil.
func after(c *bolt.Cursor, at []byte) (k, v []byte) {
	if at == nil {
		return c.First()
	}
	if k, v = c.Seek(at); string(k) == string(at) {
		return c.Next()
	}
	return k, v
}

// walk reads a chunk of a bucket after the key at, and returns the keys that want
// selects, at most pruneGroup.
func (j *Journal) walk(bucket, at []byte, want func(k, v []byte) bool) (found [][]byte, last []byte, more bool, err error) {
	err = j.viewMany(func(tx *txn) error {
		found, last, more = nil, append([]byte(nil), at...), false
		b := tx.Bucket(bucket)
		if b == nil { // of lateBuckets
			return nil
		}
		c := b.Cursor()
		k, v := after(c, at)
		for n := 0; k != nil; k, v = c.Next() {
			if n == chunk || len(found) == pruneGroup {
				more = true
				return nil
			}
			n++
			if last != nil && string(k) <= string(last) {
				return disorder(j.path, bucket, k)
			}
			last = append(last[:0], k...)
			if want(k, v) {
				found = append(found, append([]byte(nil), k...))
			}
		}
		return nil
	})
	return found, last, more, err
}

func (j *Journal) old(ended time.Time, at []byte) ([][]byte, []byte, bool, error) {
	return j.walk(bucketMessages, at, func(k, v []byte) bool {
		b, err := unseal(bucketMessages, k, v)
		if err != nil {
			return false
		}
		h, err := decodeHead(b)
		return err == nil && h.end != 0 && h.end < ended.UnixNano()
	})
}

// prune removes the messages that must still be removed, and then their files.
func (j *Journal) prune(ids [][]byte, ended time.Time) (n int, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	var files []string
	err = j.update(func(tx *txn) error {
		n, files = 0, nil
		c, err := getCounts(tx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			m, err := getMessage(tx, string(id))
			if err != nil || !m.State.Ended() || !m.Ended().Before(ended) || m.Holds() {
				continue
			}
			if err := m.remove(tx, c); err != nil {
				return err
			}
			n++
			for _, f := range []string{m.Body.File, m.Result.File} {
				if f != "" {
					files = append(files, f)
				}
			}
		}
		return c.put(tx)
	})
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		os.Remove(filepath.Join(j.dir, f)) // a remaining file is swept at the next Open
	}
	return n, nil
}

// Holds reports whether later messages of the conversation wait until a person says
// how this one ended.
func (m *Message) Holds() bool { return m.State == Unknown && m.Options.OnUnknown == "hold" }

// remove deletes a message; its key, if any, keeps its end.
func (m *Message) remove(tx *txn, c *counts) error {
	c.add(m.State, -1)
	c.Messages--
	for _, of := range []Content{m.Body, m.Result} {
		if of.File != "" {
			c.Files -= of.Size
		}
	}
	if m.State.indexed() {
		if err := del(tx, bucketStates, stateKey(m.State, m.ID)); err != nil {
			return err
		}
	}
	if err := addMessage(tx, m, amounts{}.minus(m.spent())); err != nil {
		return err
	}
	for _, bucket := range [][]byte{bucketMessages, bucketBodies, bucketResults} {
		if err := del(tx, bucket, []byte(m.ID)); err != nil {
			return err
		}
	}
	name := []byte(m.Options.Key)
	if len(name) == 0 {
		return nil
	}
	var k keyRecord
	if _, err := getJSON(tx, bucketKeys, name, &k); err != nil || k.ID != m.ID {
		return nil // a key that was pruned may belong to a later message by now
	}
	k.State = m.State
	return putJSON(tx, bucketKeys, name, k)
}

func (j *Journal) oldKeys(before time.Time, at []byte) ([][]byte, []byte, bool, error) {
	return j.walk(bucketKeys, at, func(k, v []byte) bool {
		var r keyRecord
		return openJSON(bucketKeys, k, v, &r) == nil && r.At.Before(before)
	})
}

func (j *Journal) pruneKeys(names [][]byte, before time.Time) (n int, err error) {
	if len(names) == 0 {
		return 0, nil
	}
	err = j.update(func(tx *txn) error {
		n = 0
		for _, name := range names {
			var k keyRecord
			if ok, err := getJSON(tx, bucketKeys, name, &k); !ok || err != nil || !k.At.Before(before) {
				continue
			}
			if m, err := getMessage(tx, k.ID); k.State == "" && (err != nil || !m.State.Ended()) {
				continue
			}
			if err := del(tx, bucketKeys, name); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Size is the size of the journal.
type Size struct {
	File     int64 // bytes of the journal on disk
	Bodies   int64 // bytes of its side files
	Messages int64
	Queued   int64
	Running  int64
	Unknown  int64
}

// Size returns the values for status; it is cheap.
func (j *Journal) Size() (Size, error) {
	var s Size
	err := j.view(func(tx *txn) error {
		c, err := getCounts(tx)
		if err != nil {
			return err
		}
		s = Size{File: tx.Size(), Bodies: c.Files, Messages: c.Messages, Queued: c.Queued, Running: c.Running, Unknown: c.Unknown}
		return nil
	})
	return s, err
}
