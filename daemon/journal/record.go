package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
)

// The buckets of version 4. Every value but the version is sealed.
var (
	bucketMeta     = []byte("meta")     // version, counts, PruneTimes, Gates
	bucketSessions = []byte("sessions") // key -> Session
	bucketMessages = []byte("messages") // message id -> head, Message
	bucketBodies   = []byte("bodies")   // message id -> body
	bucketResults  = []byte("results")  // message id -> Result
	bucketStates   = []byte("states")   // state, message id -> sequence number; of messages that are not done
	bucketKeys     = []byte("keys")     // idempotency key -> keyRecord
	bucketSums     = []byte("sums")     // level, time, team, session -> tally
	// also those of lateBuckets, once they are needed

	buckets = [][]byte{bucketMeta, bucketSessions, bucketMessages, bucketBodies, bucketResults, bucketStates, bucketKeys, bucketSums}

	// lateBuckets are missing until something is put into them.
	lateBuckets = [][]byte{bucketOwn, bucketAgents, bucketSpent}

	keyVersion = []byte("version")
	keyCounts  = []byte("counts")
	keyPrune   = []byte("prune") // PruneTimes, once recorded
	keyGates   = []byte("gates") // list of Gate, once recorded
	keyUsed    = []byte("used")  // list of Used, once recorded
)

var (
	errSum     = errors.New("its checksum does not match")
	errMissing = errors.New("its record is missing")
)

// castagnoli returns the table of the checksum, which the first call makes: as a
// variable, every command of iris would make it at its start.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// sum covers bucket and key too, so that a value under a wrong key is noticed.
func sum(bucket, key, payload []byte) uint32 {
	c := crc32.Update(0, castagnoli(), bucket)
	c = crc32.Update(c, castagnoli(), key)
	return crc32.Update(c, castagnoli(), payload)
}

// put seals a value and stores it.
func put(tx *txn, bucket, key, payload []byte) error {
	v := make([]byte, 4, 4+len(payload))
	binary.BigEndian.PutUint32(v, sum(bucket, key, payload))
	b := tx.Bucket(bucket)
	switch string(bucket) {
	case "messages", "bodies", "results":
		b.FillPercent = 0.9 // ids only grow
	}
	if err := b.Put(key, append(v, payload...)); err != nil {
		return halfway{fmt.Errorf("%s %q: %w", bucket, key, err)}
	}
	tx.changed.add(bucket, key)
	return nil
}

func del(tx *txn, bucket, key []byte) error {
	if err := tx.Bucket(bucket).Delete(key); err != nil {
		return halfway{fmt.Errorf("%s %q: %w", bucket, key, err)}
	}
	tx.changed.add(bucket, key)
	return nil
}

// get returns a value stored by put, valid during the transaction; nil if there is
// none.
func get(tx *txn, bucket, key []byte) ([]byte, error) {
	v := tx.Bucket(bucket).Get(key)
	if v == nil {
		return nil, nil
	}
	return unseal(bucket, key, v)
}

func unseal(bucket, key, v []byte) ([]byte, error) {
	if len(v) < 4 || binary.BigEndian.Uint32(v) != sum(bucket, key, v[4:]) {
		return nil, errSum
	}
	return v[4:], nil
}

// putJSON and getJSON are put and get of a value as JSON.
func putJSON(tx *txn, bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return halfway{err}
	}
	return put(tx, bucket, key, b)
}

func getJSON(tx *txn, bucket, key []byte, v any) (bool, error) {
	b, err := get(tx, bucket, key)
	if b == nil || err != nil {
		return false, err
	}
	return true, json.Unmarshal(b, v)
}

// head holds the fields that lists filter by; it stands before the other fields of a
// message.
type head struct {
	state         byte
	accepted, end int64  // Unix nanoseconds; end is 0 before the end
	team, session []byte // alias the record
	rest          []byte // also; fields, or of a record from before version 4 the whole Message as JSON
}

func encodeMessage(m *Message) ([]byte, error) {
	b := []byte{m.State.code()}
	b = binary.BigEndian.AppendUint64(b, uint64(m.Accepted().UnixNano()))
	var end int64
	if t := m.Ended(); !t.IsZero() {
		end = t.UnixNano()
	}
	b = binary.BigEndian.AppendUint64(b, uint64(end))
	for _, s := range []string{m.Team, m.Session} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	f, err := encodeFields(m)
	return append(b, f...), err
}

func decodeHead(b []byte) (head, error) {
	if len(b) < 17 {
		return head{}, errCoding
	}
	h := head{
		state:    b[0],
		accepted: int64(binary.BigEndian.Uint64(b[1:])),
		end:      int64(binary.BigEndian.Uint64(b[9:])),
		rest:     b[17:],
	}
	for _, s := range []*[]byte{&h.team, &h.session} {
		n, w := binary.Uvarint(h.rest)
		if w <= 0 || uint64(len(h.rest)-w) < n {
			return head{}, errCoding
		}
		*s, h.rest = h.rest[w:w+int(n)], h.rest[w+int(n):]
	}
	return h, nil
}

// getMessage returns a message, or ErrNotFound.
func getMessage(tx *txn, id string) (*Message, error) {
	b, err := get(tx, bucketMessages, []byte(id))
	if err == nil && b == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, damaged(tx, id, err)
	}
	m, err := decodeMessage(id, b)
	if err != nil {
		return nil, damaged(tx, id, err)
	}
	return m, nil
}

func decodeMessage(id string, b []byte) (*Message, error) {
	h, err := decodeHead(b)
	if err != nil {
		return nil, err
	}
	return h.message(id, true)
}

// message returns the message of a record; without its inline contents unless wanted.
func (h *head) message(id string, inline bool) (*Message, error) {
	m := new(Message)
	var err error
	if len(h.rest) > 0 && h.rest[0] == '{' { // no field has this number
		err = json.Unmarshal(h.rest, m)
	} else {
		m.ID, m.State, m.Team, m.Session = id, stateOf(h.state), string(h.team), string(h.session)
		err = m.readFields(h.rest, inline)
	}
	if err == nil && len(m.History) == 0 {
		err = errMissing
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// putMessage stores a message that was in state was; empty for a new one. It updates
// the index and the counts.
func putMessage(tx *txn, m *Message, was State, c *counts) error {
	b, err := encodeMessage(m)
	if err != nil {
		return halfway{err}
	}
	if err := put(tx, bucketMessages, []byte(m.ID), b); err != nil {
		return err
	}
	if was == m.State {
		return nil
	}
	if was == "" {
		c.Messages++
	}
	c.add(was, -1)
	c.add(m.State, 1)
	if was.indexed() {
		if err := del(tx, bucketStates, stateKey(was, m.ID)); err != nil {
			return err
		}
	}
	if m.State.indexed() {
		return putState(tx, m.State, m.ID, m.Seq)
	}
	return nil
}

func putState(tx *txn, s State, id string, seq uint64) error {
	return put(tx, bucketStates, stateKey(s, id), binary.BigEndian.AppendUint64(nil, seq))
}

// eachMessage calls f with every message, or with the error why it cannot be read.
func eachMessage(tx *txn, f func(id string, m *Message, err error) error) error {
	return tx.Bucket(bucketMessages).ForEach(func(k, v []byte) error {
		h, err := openHead(k, v)
		var m *Message
		if err == nil {
			m, err = h.message(string(k), true)
		}
		return f(string(k), m, err)
	})
}

func stateKey(s State, id string) []byte { return append([]byte{s.code()}, id...) }

// counts is a record that every change updates.
type counts struct {
	Seq      uint64 `json:"seq"` // of the last message accepted
	Messages int64  `json:"messages"`
	Files    int64  `json:"files"` // bytes of the side files

	// Of messages that are not done, by state.
	Queued    int64 `json:"queued"`
	Running   int64 `json:"running"`
	Unknown   int64 `json:"unknown"`
	Failed    int64 `json:"failed"`
	Cancelled int64 `json:"cancelled"`
	Expired   int64 `json:"expired"`
}

// of is the count of a state that is indexed; nil for any other.
func (c *counts) of(s State) *int64 {
	switch s {
	case Queued:
		return &c.Queued
	case Running:
		return &c.Running
	case Unknown:
		return &c.Unknown
	case Failed:
		return &c.Failed
	case Cancelled:
		return &c.Cancelled
	case Expired:
		return &c.Expired
	}
	return nil
}

// add adds n to the count of a state, if it has one.
func (c *counts) add(s State, n int64) {
	if of := c.of(s); of != nil {
		*of += n
	}
}

func getCounts(tx *txn) (*counts, error) {
	c := new(counts)
	ok, err := getJSON(tx, bucketMeta, keyCounts, c)
	if err == nil && !ok {
		err = errMissing
	}
	if err != nil {
		return nil, &DamageError{Path: tx.DB().Path(), What: "counts: " + err.Error()}
	}
	return c, nil
}

func (c *counts) put(tx *txn) error { return putJSON(tx, bucketMeta, keyCounts, c) }

func damaged(tx *txn, id string, err error) error {
	return &DamageError{Path: tx.DB().Path(), ID: id, What: err.Error()}
}
