package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"
)

// chunk is how many records one read transaction reads: a writer that must remap the
// file waits no longer than that.
const chunk = 2000

// Filter chooses messages. A zero field does not filter.
type Filter struct {
	Team    string
	Session *string // empty for the team's own session
	States  []State
	After   string    // newer than the message with this id
	Before  string    // older than that; the last id of a page leads to the next page
	Since   time.Time // accepted at this time or later
	Limit   int
}

// Message returns the record of one message, or ErrNotFound.
func (j *Journal) Message(id string) (Message, error) {
	var m *Message
	err := j.view(func(tx *bolt.Tx) (err error) {
		m, err = getMessage(tx, id)
		return err
	})
	if err != nil {
		return Message{}, err
	}
	return *m, nil
}

// Body returns the body of a message, checked against its record.
func (j *Journal) Body(id string) ([]byte, error) {
	b, _, err := j.load(id, bucketBodies, func(m *Message) Content { return m.Body })
	return b, err
}

// Result returns how a message ended; nil if it has no result.
func (j *Journal) Result(id string) (*Result, error) {
	b, c, err := j.load(id, bucketResults, func(m *Message) Content { return m.Result })
	if err != nil || c.Sum == "" {
		return nil, err
	}
	r, err := decodeResult(b)
	if err != nil {
		return nil, &DamageError{Path: j.where(c), ID: id, What: err.Error()}
	}
	return r, nil
}

// LastID is the highest id of a message; empty if there is none.
func (j *Journal) LastID() (id string, err error) {
	err = j.view(func(tx *bolt.Tx) error {
		k, _ := tx.Bucket(bucketMessages).Cursor().Last()
		id = string(k)
		return nil
	})
	return id, err
}

// List yields the messages that a filter chooses, newest first. A damaged record is
// yielded as its *DamageError, whatever the filter, and does not end the list; any
// other error does. No lock is held while the caller handles a message.
func (j *Journal) List(f Filter) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		codes := make([]byte, 0, len(f.States))
		for _, s := range f.States {
			codes = append(codes, stateCodes[s])
		}
		left := f.Limit
		for at, more := f.Before, true; more; {
			var found []hit
			var err error
			if found, at, more, err = j.scan(f, codes, at); err != nil {
				yield(Message{}, err)
				return
			}
			for _, h := range found {
				if !yield(h.message(j.path)) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

// hit is a record found by a scan; json is a copy.
type hit struct {
	id   string
	head head // of a scan only; also a copy
	json []byte
	err  error
}

func (h *hit) message(path string) (Message, error) {
	var m Message
	if h.err == nil {
		h.err = json.Unmarshal(h.json, &m)
	}
	if h.err == nil && len(m.History) == 0 {
		h.err = errMissing
	}
	if h.err != nil {
		return Message{ID: h.id}, &DamageError{Path: path, ID: h.id, What: h.err.Error()}
	}
	return m, nil
}

// scan reads the next chunk of records before the id at, or from the newest if at is
// empty, and returns the id to continue from.
func (j *Journal) scan(f Filter, codes []byte, at string) (found []hit, next string, more bool, err error) {
	most := chunk
	if f.Limit > 0 {
		most = min(most, f.Limit)
	}
	err = j.view(func(tx *bolt.Tx) error {
		found, next, more = nil, at, false
		c := tx.Bucket(bucketMessages).Cursor()
		k, v := c.Last()
		if at != "" {
			if k, v = c.Seek([]byte(at)); k == nil {
				k, v = c.Last()
			}
			for k != nil && string(k) >= at {
				k, v = c.Prev()
			}
		}
		for n := 0; k != nil && string(k) > f.After; k, v = c.Prev() {
			if n == chunk || len(found) == most {
				more = true
				break
			}
			n++
			if next != "" && string(k) >= next {
				return disorder(j.path, bucketMessages, k)
			}
			next = string(k)
			if h, ok := f.match(k, v, codes); ok {
				found = append(found, h)
			}
		}
		return nil
	})
	return found, next, more, err
}

// disorder is the damage of keys that are not sorted: a loop over them might never
// end.
func disorder(path string, bucket, k []byte) error {
	return &DamageError{Path: path, What: fmt.Sprintf("%s: %q is out of order", bucket, k)}
}

func (f *Filter) match(k, v, codes []byte) (hit, bool) {
	b, err := unseal(bucketMessages, k, v)
	if err != nil {
		return hit{id: string(k), err: err}, true
	}
	h, err := decodeHead(b)
	switch {
	case err != nil:
		return hit{id: string(k), err: err}, true
	case f.Team != "" && string(h.team) != f.Team,
		f.Session != nil && string(h.session) != *f.Session,
		len(codes) > 0 && bytes.IndexByte(codes, h.state) < 0,
		!f.Since.IsZero() && h.accepted < f.Since.UnixNano():
		return hit{}, false
	}
	h, err = decodeHead(slices.Clone(b))
	return hit{id: string(k), head: h, json: h.json, err: err}, true
}

// Queued yields the queued messages in order of acceptance; Running the running ones,
// each with its attempts; Unresolved the unknown ones. A *DamageError of one message
// does not end the sequence. A *DamageError without an id comes at the end: there are
// fewer messages than there should be.
func (j *Journal) Queued() iter.Seq2[Message, error]     { return j.live(Queued) }
func (j *Journal) Running() iter.Seq2[Message, error]    { return j.live(Running) }
func (j *Journal) Unresolved() iter.Seq2[Message, error] { return j.live(Unknown) }

func (j *Journal) live(s State) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		var seq uint64
		for {
			found, last, err := j.liveChunk(s, seq)
			for _, h := range found {
				if !yield(h.message(j.path)) {
					return
				}
			}
			if err != nil {
				yield(Message{}, err)
				return
			}
			if len(found) == 0 {
				return
			}
			seq = last
		}
	}
}

// liveChunk returns the next messages in state s after a sequence number. When there
// are no more, it counts them all, in the same transaction.
func (j *Journal) liveChunk(s State, after uint64) (found []hit, last uint64, err error) {
	err = j.view(func(tx *bolt.Tx) error {
		found = nil
		prefix := liveKey(s, 0)[:1]
		c := tx.Bucket(bucketLive).Cursor()
		for k, v := c.Seek(liveKey(s, after+1)); bytes.HasPrefix(k, prefix) && len(found) < chunk; k, v = c.Next() {
			if len(k) != 9 {
				return &DamageError{Path: j.path, What: fmt.Sprintf("index of %s messages: bad key", s)}
			}
			seq := binary.BigEndian.Uint64(k[1:])
			if seq <= max(last, after) {
				return disorder(j.path, bucketLive, k)
			}
			last = seq
			found = append(found, liveHit(tx, s, k, v))
		}
		if len(found) > 0 {
			return nil
		}
		return countLive(tx, s)
	})
	return found, last, err
}

// liveHit reads the message of an index entry.
func liveHit(tx *bolt.Tx, s State, k, v []byte) hit {
	id, err := unseal(bucketLive, k, v)
	if err != nil {
		return hit{id: string(v[min(4, len(v)):]), err: fmt.Errorf("index of %s messages: %w", s, err)}
	}
	h := hit{id: string(id)}
	b, err := get(tx, bucketMessages, id)
	if err == nil && b == nil {
		err = errMissing
	}
	if err != nil {
		h.err = err
		return h
	}
	d, err := decodeHead(b)
	if err == nil && d.state != stateCodes[s] {
		err = fmt.Errorf("it is indexed as %s and is not", s)
	}
	h.json, h.err = slices.Clone(d.json), err
	return h
}

// countLive compares the index with the counts.
func countLive(tx *bolt.Tx, s State) error {
	c, err := getCounts(tx)
	if err != nil {
		return err
	}
	want := map[State]int64{Queued: c.Queued, Running: c.Running, Unknown: c.Unknown}[s]
	var n int64
	prefix := liveKey(s, 0)[:1]
	cur := tx.Bucket(bucketLive).Cursor()
	for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
		n++
	}
	if n != want {
		return &DamageError{Path: tx.DB().Path(), What: fmt.Sprintf("%d of %d %s messages are in the index", n, want, s)}
	}
	return nil
}
