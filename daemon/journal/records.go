package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
)

// A finding is a record of a list, or why it cannot be read.
type finding[T any] struct {
	record T
	err    error
}

// inChunks yields what from finds. from reads a chunk from the key at on, and returns the
// key to continue from; nil at the end. Its error ends the list. No lock is held while the
// caller handles a record.
func inChunks[T any](at []byte, from func(at []byte) ([]finding[T], []byte, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at, more := at, true; more; more = at != nil {
			found, next, err := from(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, r := range found {
				if !yield(r.record, r.err) {
					return
				}
			}
			at = next
		}
	}
}

// readChunk reads a chunk of a bucket from the key at on, of the keys with a prefix, and
// returns the key to continue from; nil at the end. The list has what read returns, unless
// that says that the record is not wanted.
func readChunk[T any](j *Journal, bucket, prefix, at []byte, read func(k, v []byte) (f finding[T], wanted bool)) (found []finding[T], next []byte, err error) {
	err = j.view(func(tx *txn) error {
		found, next = nil, nil
		b := tx.Bucket(bucket)
		if b == nil { // of lateBuckets
			return nil
		}
		c, n := b.Cursor(), 0
		for k, v := c.Seek(at); k != nil && bytes.HasPrefix(k, prefix); k, v = c.Next() {
			if n++; n > chunk {
				next = append([]byte(nil), k...)
				return nil
			}
			if f, wanted := read(k, v); wanted {
				found = append(found, f)
			}
		}
		return nil
	})
	return found, next, err
}

// openJSON reads a sealed value as JSON.
func openJSON(bucket, k, v []byte, to any) error {
	b, err := unseal(bucket, k, v)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	return err
}

// damagedRecord names a record by its bucket and key.
func damagedRecord(path string, bucket, k []byte, err error) error {
	return &DamageError{Path: path, What: fmt.Sprintf("%s %q: %v", bucket, k, err)}
}

// removeEach removes records in one transaction, and returns how many.
func (j *Journal) removeEach(keys [][]byte, remove func(tx *txn, k []byte) error) (int, error) {
	if len(keys) == 0 {
		return 0, nil
	}
	err := j.update(func(tx *txn) error {
		for _, k := range keys {
			if err := remove(tx, k); err != nil {
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
