package journal

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// The buckets of version 3. Every value but the version is sealed.
var (
	bucketMeta     = []byte("meta")     // version, counts, PruneTimes
	bucketSessions = []byte("sessions") // key -> Session
	bucketMessages = []byte("messages") // message id -> head, Message
	bucketBodies   = []byte("bodies")   // message id -> body
	bucketResults  = []byte("results")  // message id -> Result
	bucketLive     = []byte("live")     // state, sequence number -> message id
	bucketKeys     = []byte("keys")     // idempotency key -> keyRecord
	// also bucketOwn, once it is needed

	buckets = [][]byte{bucketMeta, bucketSessions, bucketMessages, bucketBodies, bucketResults, bucketLive, bucketKeys}

	keyVersion = []byte("version")
	keyCounts  = []byte("counts")
	keyPrune   = []byte("prune") // PruneTimes, once recorded
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
func put(tx *bolt.Tx, bucket, key, payload []byte) error {
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
	return nil
}

func del(tx *bolt.Tx, bucket, key []byte) error {
	if err := tx.Bucket(bucket).Delete(key); err != nil {
		return halfway{fmt.Errorf("%s %q: %w", bucket, key, err)}
	}
	return nil
}

// get returns a value stored by put, valid during the transaction; nil if there is
// none.
func get(tx *bolt.Tx, bucket, key []byte) ([]byte, error) {
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
func putJSON(tx *bolt.Tx, bucket, key []byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return halfway{err}
	}
	return put(tx, bucket, key, b)
}

func getJSON(tx *bolt.Tx, bucket, key []byte, v any) (bool, error) {
	b, err := get(tx, bucket, key)
	if b == nil || err != nil {
		return false, err
	}
	return true, json.Unmarshal(b, v)
}

// head holds the fields that lists filter by; it stands before the JSON of a message.
type head struct {
	state         byte
	accepted, end int64  // Unix nanoseconds; end is 0 before the end
	team, session []byte // alias the record
	json          []byte
}

func encodeMessage(m *Message) ([]byte, error) {
	b := []byte{stateCodes[m.State]}
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
	j, err := json.Marshal(m)
	return append(b, j...), err
}

func decodeHead(b []byte) (head, error) {
	if len(b) < 17 {
		return head{}, errSum
	}
	h := head{
		state:    b[0],
		accepted: int64(binary.BigEndian.Uint64(b[1:])),
		end:      int64(binary.BigEndian.Uint64(b[9:])),
		json:     b[17:],
	}
	for _, s := range []*[]byte{&h.team, &h.session} {
		n, w := binary.Uvarint(h.json)
		if w <= 0 || uint64(len(h.json)-w) < n {
			return head{}, errSum
		}
		*s, h.json = h.json[w:w+int(n)], h.json[w+int(n):]
	}
	return h, nil
}

// getMessage returns a message, or ErrNotFound.
func getMessage(tx *bolt.Tx, id string) (*Message, error) {
	b, err := get(tx, bucketMessages, []byte(id))
	if err == nil && b == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, damaged(tx, id, err)
	}
	return decodeMessage(tx, id, b)
}

func decodeMessage(tx *bolt.Tx, id string, b []byte) (*Message, error) {
	h, err := decodeHead(b)
	if err != nil {
		return nil, damaged(tx, id, err)
	}
	m := new(Message)
	if err := json.Unmarshal(h.json, m); err != nil {
		return nil, damaged(tx, id, err)
	}
	if len(m.History) == 0 {
		return nil, damaged(tx, id, errMissing)
	}
	return m, nil
}

// putMessage stores a message that was in state was; empty for a new one. It updates
// the index and the counts.
func putMessage(tx *bolt.Tx, m *Message, was State, c *counts) error {
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
	c.of(was, -1)
	c.of(m.State, 1)
	if was.indexed() {
		if err := del(tx, bucketLive, liveKey(was, m.Seq)); err != nil {
			return err
		}
	}
	if m.State.indexed() {
		return put(tx, bucketLive, liveKey(m.State, m.Seq), []byte(m.ID))
	}
	return nil
}

func liveKey(s State, seq uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{stateCodes[s]}, seq)
}

// counts is a record that every change updates.
type counts struct {
	Seq      uint64 `json:"seq"` // of the last message accepted
	Messages int64  `json:"messages"`
	Queued   int64  `json:"queued"`
	Running  int64  `json:"running"`
	Unknown  int64  `json:"unknown"`
	Files    int64  `json:"files"` // bytes of the side files
}

func (c *counts) of(s State, n int64) {
	switch s {
	case Queued:
		c.Queued += n
	case Running:
		c.Running += n
	case Unknown:
		c.Unknown += n
	}
}

func getCounts(tx *bolt.Tx) (*counts, error) {
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

func (c *counts) put(tx *bolt.Tx) error { return putJSON(tx, bucketMeta, keyCounts, c) }

func damaged(tx *bolt.Tx, id string, err error) error {
	return &DamageError{Path: tx.DB().Path(), ID: id, What: err.Error()}
}
