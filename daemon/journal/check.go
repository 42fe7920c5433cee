package journal

import (
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
	err := j.view(func(tx *bolt.Tx) error {
		bad, ids = nil, nil
		note := func(err error) { bad = append(bad, err) }
		for _, name := range buckets[1:] {
			checkBucket(tx, name, note)
		}
		if tx.Bucket(bucketOwn) != nil {
			checkBucket(tx, bucketOwn, note)
		}
		ids = checkMessages(tx, note)
		for _, s := range []State{Queued, Running, Unknown} {
			if err := countLive(tx, s); err != nil {
				note(err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		_, err1 := j.Body(id)
		_, err2 := j.Result(id)
		for _, err := range []error{err1, err2} {
			if err != nil && !errors.Is(err, ErrNotFound) {
				bad = append(bad, err)
			}
		}
	}
	return errors.Join(bad...)
}

// checkBucket checks the seals and the order of a bucket, and that each key is found
// from the root.
func checkBucket(tx *bolt.Tx, name []byte, note func(error)) {
	b := tx.Bucket(name)
	var last []byte
	b.ForEach(func(k, v []byte) error {
		if _, err := unseal(name, k, v); err != nil {
			note(&DamageError{Path: tx.DB().Path(), ID: messageOf(name, k), What: fmt.Sprintf("%s %q: %v", name, k, err)})
		}
		if last != nil && string(k) <= string(last) || string(b.Get(k)) != string(v) {
			note(disorder(tx.DB().Path(), name, k))
		}
		last = k
		return nil
	})
}

func messageOf(bucket, k []byte) string {
	switch string(bucket) {
	case "messages", "bodies", "results":
		return string(k)
	}
	return ""
}

// checkMessages checks the indexes and the number of messages, and returns
// their ids.
func checkMessages(tx *bolt.Tx, note func(error)) (ids []string) {
	tx.Bucket(bucketMessages).ForEach(func(k, v []byte) error {
		ids = append(ids, string(k))
		b, err := unseal(bucketMessages, k, v)
		if err != nil {
			return nil // noted
		}
		m, err := decodeMessage(tx, string(k), b)
		if err == nil && m.State.indexed() {
			id, bad := get(tx, bucketLive, liveKey(m.State, m.Seq))
			if bad != nil || string(id) != m.ID {
				err = damaged(tx, m.ID, fmt.Errorf("it is not in the index of %s messages", m.State))
			}
		}
		if err != nil {
			note(err)
		}
		return nil
	})
	c, err := getCounts(tx)
	if err == nil && c.Messages != int64(len(ids)) {
		err = &DamageError{Path: tx.DB().Path(), What: fmt.Sprintf("it has %d messages instead of %d", len(ids), c.Messages)}
	}
	if err != nil {
		note(err)
	}
	checkKeys(tx, note)
	return ids
}

// checkKeys checks that each key names a message.
func checkKeys(tx *bolt.Tx, note func(error)) {
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
	err = j.view(func(tx *bolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	})
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("copy journal %s to %s: %w", j.path, filepath.Base(path), err)
	}
	return nil
}
