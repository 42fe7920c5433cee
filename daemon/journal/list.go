package journal

import (
	"bytes"
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
	err := j.view(func(tx *txn) (err error) {
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
	err = j.view(func(tx *txn) error {
		k, _ := tx.Bucket(bucketMessages).Cursor().Last()
		id = string(k)
		return nil
	})
	return id, err
}

// Beginning returns the ids of the newest messages whose ids begin with prefix, newest
// first, at most most of them.
func (j *Journal) Beginning(prefix string, most int) (ids []string, err error) {
	err = j.view(func(tx *txn) error {
		ids = nil
		c := tx.Bucket(bucketMessages).Cursor()
		k, _ := c.Seek(append([]byte(prefix), 0xff)) // no id has such a byte
		if k == nil {
			k, _ = c.Last()
		} else {
			k, _ = c.Prev()
		}
		for ; len(ids) < most && bytes.HasPrefix(k, []byte(prefix)); k, _ = c.Prev() {
			ids = append(ids, string(k))
		}
		return nil
	})
	return ids, err
}

// List yields the messages that a filter chooses, newest first, without their inline
// contents. A damaged record is yielded as its *DamageError, whatever the filter, and does
// not end the list; any other error does. No lock is held while the caller handles a
// message.
func (j *Journal) List(f Filter) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		left := f.Limit
		for at, more := f.Before, true; more; {
			var found []hit
			var err error
			if found, at, more, err = j.scan(f, at); err != nil {
				yield(Message{}, err)
				return
			}
			for i := range found {
				if !yield(found[i].get(j.path)) {
					return
				}
				if left--; left == 0 {
					return
				}
			}
		}
	}
}

// hit is a record that was found.
type hit struct {
	id  string
	m   *Message
	err error // why it cannot be read
}

func (h *hit) get(path string) (Message, error) {
	if h.err != nil {
		return Message{ID: h.id}, &DamageError{Path: path, ID: h.id, What: h.err.Error()}
	}
	return *h.m, nil
}

// scan reads the next chunk of records before the id at, or from the newest if at is
// empty, and returns the id to continue from.
func (j *Journal) scan(f Filter, at string) (found []hit, next string, more bool, err error) {
	most := chunk
	if f.Limit > 0 {
		most = min(most, f.Limit)
	}
	view := j.view
	if most > chunk/4 {
		view = j.viewMany
	}
	err = view(func(tx *txn) error {
		found, next, more = nil, at, false
		w := f.walk(tx, at)
		for n := 0; w.id != nil && string(w.id) > f.After; w.prev() {
			if n == chunk || len(found) == most {
				more = true
				break
			}
			n++
			if next != "" && string(w.id) >= next {
				return disorder(j.path, bucketMessages, w.id)
			}
			next = string(w.id)
			if h, ok := f.match(w.id, w.record()); ok {
				found = append(found, h)
			}
		}
		return nil
	})
	return found, next, more, err
}

// A backward goes through the ids of messages from the highest to the lowest: of all
// messages, or by the index of those in some states.
type backward struct {
	tx    *txn
	id    []byte // nil at the end
	value []byte // of all messages: the record
	index []*indexed
	all   *bolt.Cursor
}

// indexed is the place in the index of the messages in one state.
type indexed struct {
	*bolt.Cursor
	code byte
	id   []byte
}

// walk begins before the id at, or at the end if at is empty. It uses the index if that
// has all the states of the filter.
func (f *Filter) walk(tx *txn, at string) *backward {
	w := &backward{tx: tx}
	if len(f.States) == 0 || slices.Contains(f.States, Done) {
		w.all = tx.Bucket(bucketMessages).Cursor()
		w.id, w.value = before(w.all, []byte(at), at == "")
		return w
	}
	for _, s := range f.States {
		i := &indexed{Cursor: tx.Bucket(bucketStates).Cursor(), code: s.code()}
		end := stateKey(s, at)
		if at == "" {
			end[0]++
		}
		k, _ := before(i.Cursor, end, false)
		i.set(k)
		w.index = append(w.index, i)
	}
	w.highest()
	return w
}

// before moves a cursor to the last key before end, or to the last of all.
func before(c *bolt.Cursor, end []byte, all bool) (k, v []byte) {
	if all {
		return c.Last()
	}
	if k, v = c.Seek(end); k == nil {
		k, v = c.Last()
	}
	for k != nil && string(k) >= string(end) {
		k, v = c.Prev()
	}
	return k, v
}

// set takes a key of the index, which may be of another state.
func (i *indexed) set(k []byte) {
	if i.id = nil; len(k) > 0 && k[0] == i.code {
		i.id = k[1:]
	}
}

func (w *backward) highest() {
	w.id = nil
	for _, i := range w.index {
		if string(i.id) > string(w.id) {
			w.id = i.id
		}
	}
}

func (w *backward) prev() {
	if w.all != nil {
		w.id, w.value = w.all.Prev()
		return
	}
	for _, i := range w.index {
		if i.id != nil && string(i.id) == string(w.id) {
			k, _ := i.Prev()
			i.set(k)
		}
	}
	w.highest()
}

// record is the record of the message; nil if it is missing.
func (w *backward) record() []byte {
	if w.all != nil {
		return w.value
	}
	return w.tx.Bucket(bucketMessages).Get(w.id)
}

// disorder is the damage of keys that are not sorted: a loop over them might never
// end.
func disorder(path string, bucket, k []byte) error {
	return &DamageError{Path: path, What: fmt.Sprintf("%s: %q is out of order", bucket, k)}
}

// match reads a record, unless the filter leaves it out.
func (f *Filter) match(id, record []byte) (hit, bool) {
	h, err := openHead(id, record)
	if err != nil {
		return hit{id: string(id), err: err}, true
	}
	switch {
	case f.Team != "" && string(h.team) != f.Team,
		f.Session != nil && string(h.session) != *f.Session,
		len(f.States) > 0 && !slices.Contains(f.States, stateOf(h.state)),
		!f.Since.IsZero() && h.accepted < f.Since.UnixNano():
		return hit{}, false
	}
	m, err := h.message(string(id), false)
	return hit{string(id), m, err}, true
}

// openHead reads the head of a record, which may be missing.
func openHead(id, record []byte) (head, error) {
	if record == nil {
		return head{}, errMissing
	}
	b, err := unseal(bucketMessages, id, record)
	if err != nil {
		return head{}, err
	}
	return decodeHead(b)
}
