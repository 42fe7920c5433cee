// Package journal is iris' durable record, one bbolt file in the state
// directory: which conversation each team@session has. It survives every
// daemon. It owns no goroutines; one Journal is open at a time (bbolt locks
// the file) and its methods may be called from any goroutine.
package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// version is the layout's. A journal with a higher one was written by a newer
// iris and is refused.
const version = 1

var (
	bucketMeta     = []byte("meta")
	bucketSessions = []byte("sessions")
	keyVersion     = []byte("version")
)

// Session is the conversation that a key has.
type Session struct {
	ID      string    `json:"id"`  // the agent's own id of it, a UUID
	Dir     string    `json:"dir"` // the directory that it was begun in
	Created time.Time `json:"created"`
}

// Journal is an open record. Close it.
type Journal struct {
	db *bolt.DB
}

// Open opens the record at path, or makes it with mode 0600. The error names
// the file and what is wrong with it: held by another process, written by a
// newer version, damaged.
func Open(path string) (*Journal, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 2 * time.Second})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("journal %s is held by another process", path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("journal %s cannot be read: %w", path, err)
	}
	j := &Journal{db: db}
	if err := j.prepare(); err != nil {
		db.Close()
		return nil, fmt.Errorf("journal %s: %w", path, err)
	}
	return j, nil
}

// prepare checks the version, and writes the buckets of a new journal.
func (j *Journal) prepare() error {
	var have uint64
	err := j.db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(bucketMeta); b != nil {
			have = decodeVersion(b.Get(keyVersion))
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch {
	case have == version:
		return nil
	case have > version:
		return fmt.Errorf("version %d was written by a newer iris (this one knows %d)", have, version)
	}
	return j.db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists(bucketSessions); err != nil {
			return err
		}
		meta, err := tx.CreateBucketIfNotExists(bucketMeta)
		if err != nil {
			return err
		}
		return meta.Put(keyVersion, binary.BigEndian.AppendUint64(nil, version))
	})
}

func decodeVersion(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

// Close closes the file. The Journal is of no use afterwards.
func (j *Journal) Close() error { return j.db.Close() }

// Session returns the conversation of a key; false when it has none yet.
func (j *Journal) Session(key string) (Session, bool, error) {
	var s Session
	var ok bool
	err := j.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(bucketSessions).Get([]byte(key))
		if v == nil {
			return nil
		}
		ok = true
		return json.Unmarshal(v, &s)
	})
	if err != nil {
		return Session{}, false, fmt.Errorf("session of %q: %w", key, err)
	}
	return s, ok, nil
}

// SetSession records the conversation of a key. It is on disk when SetSession
// returns.
func (j *Journal) SetSession(key string, s Session) error {
	v, err := json.Marshal(s)
	if err != nil {
		return err
	}
	err = j.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSessions).Put([]byte(key), v)
	})
	if err != nil {
		return fmt.Errorf("record the session of %q: %w", key, err)
	}
	return nil
}

// Sessions calls f for each key and its conversation, in the order of keys.
func (j *Journal) Sessions(f func(key string, s Session) error) error {
	return j.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSessions).ForEach(func(k, v []byte) error {
			var s Session
			if err := json.Unmarshal(v, &s); err != nil {
				return fmt.Errorf("session of %q: %w", k, err)
			}
			return f(string(k), s)
		})
	})
}

// DeleteSession forgets the conversation of a key; one that it has not is no
// error.
func (j *Journal) DeleteSession(key string) error {
	err := j.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSessions).Delete([]byte(key))
	})
	if err != nil {
		return fmt.Errorf("forget the session of %q: %w", key, err)
	}
	return nil
}
