package journal

import (
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Process is what a later daemon needs to know of an agent process.
type Process struct {
	ID        string    `json:"id"`
	Team      string    `json:"team"`
	Session   string    `json:"session,omitempty"`
	SessionID string    `json:"session_id"` // the conversation
	PID       int       `json:"pid"`
	Start     uint64    `json:"start"` // kernel start time
	Boot      string    `json:"boot"`
	Spool     string    `json:"spool"`
	Taken     int64     `json:"taken"` // offset up to which its output is on record here
	Since     time.Time `json:"since"`
}

// SetProcess records a process, or replaces its record.
func (j *Journal) SetProcess(p Process) error {
	err := j.update(func(tx *bolt.Tx) error { return putJSON(tx, bucketProcesses, []byte(p.ID), p) })
	if err != nil {
		return fmt.Errorf("record process %q: %w", p.ID, err)
	}
	return nil
}

// DeleteProcess forgets a process that is gone and whose messages have ended.
func (j *Journal) DeleteProcess(id string) error {
	err := j.update(func(tx *bolt.Tx) error { return del(tx, bucketProcesses, []byte(id)) })
	if err != nil {
		return fmt.Errorf("forget process %q: %w", id, err)
	}
	return nil
}

// Processes calls f for each process on record, in the order of ids.
func (j *Journal) Processes(f func(p Process) error) error {
	return each(j, bucketProcesses, func(_ string, p Process) error { return f(p) })
}

// taken notes in the record of a process, if it has one, how far its output is
// on record.
func taken(tx *bolt.Tx, process string, offset int64) error {
	if process == "" {
		return nil
	}
	var p Process
	ok, err := getJSON(tx, bucketProcesses, []byte(process), &p)
	if !ok || err != nil || p.Taken >= offset {
		return err
	}
	p.Taken = offset
	return putJSON(tx, bucketProcesses, []byte(process), p)
}

// each calls f for every value of a small bucket, after the transaction, so
// that f may call the journal.
func each[T any](j *Journal, bucket []byte, f func(key string, v T) error) error {
	var keys []string
	var vals []T
	err := j.view(func(tx *bolt.Tx) error {
		return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
			b, err := unseal(bucket, k, v)
			var x T
			if err == nil {
				err = json.Unmarshal(b, &x)
			}
			if err != nil {
				return &DamageError{Path: j.path, What: fmt.Sprintf("%s %q: %v", bucket, k, err)}
			}
			keys, vals = append(keys, string(k)), append(vals, x)
			return nil
		})
	})
	if err != nil {
		return err
	}
	for i, k := range keys {
		if err := f(k, vals[i]); err != nil {
			return err
		}
	}
	return nil
}
