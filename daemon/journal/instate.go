package journal

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// Queued yields the queued messages in order of acceptance; Running the running ones,
// each with its attempts; Unresolved the unknown ones. A *DamageError of one message
// does not end the sequence. A *DamageError without an id comes at the end: there are
// fewer messages than there should be.
func (j *Journal) Queued() iter.Seq2[Message, error]     { return j.inState(Queued) }
func (j *Journal) Running() iter.Seq2[Message, error]    { return j.inState(Running) }
func (j *Journal) Unresolved() iter.Seq2[Message, error] { return j.inState(Unknown) }

func (j *Journal) inState(s State) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		all, damage := j.indexed(s)
		for len(all) > 0 {
			n := min(len(all), chunk)
			found, err := j.readIndexed(s, all[:n])
			all = all[n:]
			for i := range found {
				if !yield(found[i].get(j.path)) {
					return
				}
			}
			if err != nil {
				yield(Message{}, err)
				return
			}
		}
		if damage != nil {
			yield(Message{}, damage)
		}
	}
}

// place is an entry of the index. Its error says that the entry is damaged.
type place struct {
	seq uint64
	id  string
	err error
}

// indexed returns the index of a state in order of acceptance, damaged entries first. It
// reads only the index, in one transaction with its count.
func (j *Journal) indexed(s State) (all []place, err error) {
	err = j.view(func(tx *txn) error {
		all = nil
		prefix := stateKey(s, "")
		c := tx.Bucket(bucketStates).Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			p := place{id: string(k[1:])}
			if n := len(all); n > 0 && p.id <= all[n-1].id {
				return disorder(j.path, bucketStates, k)
			}
			if b, err := unseal(bucketStates, k, v); len(b) != 8 {
				p.err = fmt.Errorf("index of %s messages: %w", s, cmp.Or(err, errCoding))
			} else {
				p.seq = binary.BigEndian.Uint64(b)
			}
			all = append(all, p)
		}
		return checkCount(tx, s, int64(len(all)))
	})
	slices.SortFunc(all, func(a, b place) int { return cmp.Compare(a.seq, b.seq) })
	return all, err
}

// readIndexed reads messages that the index of a state has, or had: those that are not in
// the state any more are left out.
func (j *Journal) readIndexed(s State, places []place) (found []hit, err error) {
	err = j.viewMany(func(tx *txn) error {
		found = nil
		for _, p := range places {
			if p.err == nil && tx.Bucket(bucketStates).Get(stateKey(s, p.id)) == nil {
				continue
			}
			h := hit{id: p.id, err: p.err}
			if h.err == nil {
				h.m, h.err = inIndex(tx, s, p.id)
			}
			found = append(found, h)
		}
		return nil
	})
	return found, err
}

// inIndex reads a message that the index of a state has.
func inIndex(tx *txn, s State, id string) (*Message, error) {
	h, err := openHead([]byte(id), tx.Bucket(bucketMessages).Get([]byte(id)))
	if err == nil && stateOf(h.state) != s {
		err = fmt.Errorf("it is indexed as %s and is not", s)
	}
	if err != nil {
		return nil, err
	}
	return h.message(id, false)
}

// checkCount compares the length of the index of a state with the counts.
func checkCount(tx *txn, s State, n int64) error {
	c, err := getCounts(tx)
	if err == nil && n != *c.of(s) {
		err = &DamageError{Path: tx.DB().Path(), What: fmt.Sprintf("%d of %d %s messages are in the index", n, *c.of(s), s)}
	}
	return err
}
