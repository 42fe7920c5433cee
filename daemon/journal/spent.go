package journal

import (
	"encoding/binary"
	"iter"
	"time"

	"iris/pool/turn"
)

// Spent is what the turns of a team that ended in a Slot cost. In contrast to a Sum it stays
// when its messages are pruned.
type Spent struct {
	From time.Time // beginning of the slot
	Team string
	Cost turn.Cost
}

// bucketSpent holds costs by slot and team. The first turn that costs something creates it,
// with the costs that the sums have of earlier turns.
var bucketSpent = []byte("spent")

// spentKept is how long a Spent is kept: longer than any month.
const spentKept = 40 * 24 * time.Hour

// spentKey is the key of a team at a time, or the lowest one of that time.
func spentKey(at time.Time, team string) []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(at.Truncate(Slot).Unix())), team...)
}

// spend adds what a team has spent at a time. Call it before the sums include that. A damaged
// record is left as it is: who reads it is told.
func spend(tx *txn, at time.Time, team string, cost turn.Cost) error {
	if cost == 0 {
		return nil
	}
	if err := makeSpent(tx); err != nil {
		return err
	}
	k := spentKey(at, team)
	b, err := get(tx, bucketSpent, k)
	if err != nil {
		return nil
	}
	old, err := readSpent(b)
	if err != nil {
		return nil
	}
	return putSpent(tx, k, old+cost)
}

// makeSpent makes the bucket from the sums, if it is missing.
func makeSpent(tx *txn) error {
	if tx.Bucket(bucketSpent) != nil {
		return nil
	}
	if _, err := tx.CreateBucketIfNotExists(bucketSpent); err != nil {
		return halfway{err}
	}
	c := tx.Bucket(bucketSums).Cursor()
	for k, v := c.Seek([]byte{quarterly.code}); k != nil && k[0] == quarterly.code; k, v = c.Next() {
		t, err := readTally(k, v)
		if err != nil || t.cost+t.ownCost == 0 {
			continue
		}
		if err := putSpent(tx, spentKey(t.from, t.team), turn.Cost(t.cost+t.ownCost)); err != nil {
			return err
		}
	}
	return nil
}

func putSpent(tx *txn, k []byte, cost turn.Cost) error {
	var f fields
	f.number(1, int64(cost))
	return put(tx, bucketSpent, k, f)
}

func readSpent(b []byte) (cost turn.Cost, err error) {
	r := read(b)
	for r.next() {
		if r.field == 1 {
			cost = turn.Cost(r.n)
		}
	}
	return cost, r.err
}

// Spent yields what was spent since a time, oldest first. A *DamageError names a damaged
// record and does not end the list. No lock is held while the caller handles one.
func (j *Journal) Spent(since time.Time) iter.Seq2[Spent, error] {
	return func(yield func(Spent, error) bool) {
		if err := j.ensureSpent(); err != nil {
			yield(Spent{}, err)
			return
		}
		at := []byte{}
		if since.Unix() > 0 {
			at = spentKey(since, "")
		}
		inChunks(at, j.spentFrom)(yield)
	}
}

// ensureSpent makes the bucket if it is missing and the sums know of costs.
func (j *Journal) ensureSpent() error {
	missing := false
	err := j.view(func(tx *txn) error {
		missing = tx.Bucket(bucketSpent) == nil
		k, _ := tx.Bucket(bucketSums).Cursor().First()
		missing = missing && k != nil
		return nil
	})
	if err != nil || !missing {
		return err
	}
	return j.update(makeSpent)
}

// spentFrom reads a chunk of records.
func (j *Journal) spentFrom(at []byte) ([]finding[Spent], []byte, error) {
	return readChunk(j, bucketSpent, nil, at, func(k, v []byte) (finding[Spent], bool) { return openSpent(j.path, k, v), true })
}

func openSpent(path string, k, v []byte) finding[Spent] {
	b, err := unseal(bucketSpent, k, v)
	var cost turn.Cost
	if err == nil {
		cost, err = readSpent(b)
	}
	if err == nil && len(k) < 8 {
		err = errCoding
	}
	if err != nil {
		return finding[Spent]{err: damagedRecord(path, bucketSpent, k, err)}
	}
	from := time.Unix(int64(binary.BigEndian.Uint64(k)), 0)
	return finding[Spent]{record: Spent{From: from, Team: string(k[8:]), Cost: cost}}
}

// oldSpent returns some of the records that are spentKept older than the last one.
func (j *Journal) oldSpent(at []byte) (keys [][]byte, last []byte, more bool, err error) {
	var end string
	err = j.view(func(tx *txn) error {
		if b := tx.Bucket(bucketSpent); b != nil {
			if k, _ := b.Cursor().Last(); len(k) >= 8 {
				newest := time.Unix(int64(binary.BigEndian.Uint64(k)), 0)
				end = string(spentKey(newest.Add(-spentKept), ""))
			}
		}
		return nil
	})
	if err != nil {
		return nil, nil, false, err
	}
	return j.walk(bucketSpent, at, func(k, _ []byte) bool { return string(k) < end })
}

func removeSpent(tx *txn, k []byte) error { return del(tx, bucketSpent, k) }
