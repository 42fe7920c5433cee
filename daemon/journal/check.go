package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// Check reads everything and returns all damage, joined; nil if there is none. It may
// run beside everything else: it counts in one transaction, even if the counts change
// meanwhile.
func (j *Journal) Check() error {
	var bad []error
	var ids []string
	err := j.viewWhole(func(tx *txn) error {
		bad, ids = nil, nil
		note := func(err error) { bad = append(bad, err) }
		for _, name := range buckets[1:] {
			checkBucket(tx, name, note)
		}
		for _, name := range lateBuckets {
			if tx.Bucket(name) != nil {
				checkBucket(tx, name, note)
			}
		}
		ids = checkMessages(tx, note)
		checkStates(tx, note)
		return nil
	})
	if err != nil {
		return err
	}
	return errors.Join(append(bad, j.checkContents(ids)...)...)
}

// checkContents reads bodies and results outside their records, which the seal does not
// cover. Their messages may be pruned meanwhile.
func (j *Journal) checkContents(ids []string) (bad []error) {
	for _, id := range ids {
		_, err1 := j.Body(id)
		_, err2 := j.Result(id)
		for _, err := range []error{err1, err2} {
			if err != nil && !errors.Is(err, ErrNotFound) {
				bad = append(bad, err)
			}
		}
	}
	return bad
}

// checkBucket checks the seals and the order of a bucket, and that each key is found
// from the root.
func checkBucket(tx *txn, name []byte, note func(error)) {
	b := tx.Bucket(name)
	var last []byte
	b.ForEach(func(k, v []byte) error {
		if _, err := unseal(name, k, v); err != nil {
			note(&DamageError{Path: tx.DB().Path(), ID: messageOf(name, k), What: fmt.Sprintf("%s %q: %v", name, k, err)})
		}
		if misplaced(b, last, k, v) {
			note(disorder(tx.DB().Path(), name, k))
		}
		last = k
		return nil
	})
}

// misplaced reports whether a pair does not come after the key before it, or is not found
// from the root.
func misplaced(b *bolt.Bucket, last, k, v []byte) bool {
	return last != nil && string(k) <= string(last) || string(b.Get(k)) != string(v)
}

func messageOf(bucket, k []byte) string {
	switch string(bucket) {
	case "messages", "bodies", "results":
		return string(k)
	}
	return ""
}

// checkMessages checks the indexes and the number of messages, and returns the ids of
// those with a body or a result outside their records.
func checkMessages(tx *txn, note func(error)) (ids []string) {
	n := int64(0)
	sums, unread := tallies{}, false
	eachMessage(tx, func(id string, m *Message, err error) error {
		n++
		if err == nil {
			sums.addMessage(m)
		} else {
			unread = true
		}
		if err == nil && (m.Body.apart() || m.Result.apart()) {
			ids = append(ids, id)
		}
		if err == nil && m.State.indexed() {
			seq, bad := get(tx, bucketStates, stateKey(m.State, id))
			if bad != nil || len(seq) != 8 || binary.BigEndian.Uint64(seq) != m.Seq {
				err = fmt.Errorf("it is not in the index of %s messages", m.State)
			}
		}
		if err != nil && err != errSum { // noted
			note(damaged(tx, id, err))
		}
		return nil
	})
	c, err := getCounts(tx)
	if err == nil && c.Messages != n {
		err = &DamageError{Path: tx.DB().Path(), What: fmt.Sprintf("it has %d messages instead of %d", n, c.Messages)}
	}
	if err != nil {
		note(err)
	}
	checkKeys(tx, note)
	if sums.addOwns(tx) == nil && !unread { // else what cannot be read is noted
		checkSums(tx, sums, note)
	}
	return ids
}

// checkStates compares the lengths of the indexes with the counts.
func checkStates(tx *txn, note func(error)) {
	n := map[State]int64{}
	tx.Bucket(bucketStates).ForEach(func(k, _ []byte) error {
		n[stateOf(k[0])]++
		return nil
	})
	for _, s := range states {
		if !s.indexed() {
			continue
		}
		if err := checkCount(tx, s, n[s]); err != nil {
			note(err)
		}
	}
}

// checkSums compares the sums with those of what is on record.
func checkSums(tx *txn, want tallies, note func(error)) {
	bad := 0
	tx.Bucket(bucketSums).ForEach(func(k, v []byte) error {
		t, err := readTally(k, v)
		w := want[string(k)]
		delete(want, string(k))
		if err == nil && (w == nil || t.amounts != w.amounts || w.first != "" && (t.first > w.first || t.last < w.last)) {
			bad++
		}
		return nil
	})
	if bad += len(want); bad > 0 {
		note(&DamageError{Path: tx.DB().Path(), What: fmt.Sprintf("%d of its sums are not those of its messages", bad)})
	}
}

// checkKeys checks that each key names a message.
func checkKeys(tx *txn, note func(error)) {
	tx.Bucket(bucketKeys).ForEach(func(k, v []byte) error {
		b, err := unseal(bucketKeys, k, v)
		if err != nil {
			return nil // noted
		}
		var r keyRecord
		if err = json.Unmarshal(b, &r); err == nil && r.State == "" {
			_, err = getMessage(tx, r.ID)
		}
		if err != nil {
			note(&DamageError{Path: tx.DB().Path(), What: fmt.Sprintf("key %q: %v", k, err)})
		}
		return nil
	})
}

// Snapshot writes a copy of the journal, without its side files, to a new file:
// another program image tries the copy.
func (j *Journal) Snapshot(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = j.viewWhole(func(tx *txn) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("copy journal %s to %s: %w", j.path, filepath.Base(path), err)
	}
	return nil
}
