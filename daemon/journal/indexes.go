package journal

import (
	"encoding/binary"
)

// bucketLive was the index of the versions 2 and 3: state, sequence number -> message id.
var bucketLive = []byte("live")

// addIndexes makes the index of states and the sums of a journal of version 2 or 3. Damaged
// records stay as they are; an index then has fewer messages than are counted.
func addIndexes(tx *txn) error {
	if err := moveLive(tx); err != nil {
		return err
	}
	c, err := getCounts(tx)
	if err != nil {
		return err
	}
	sums := tallies{}
	err = eachMessage(tx, func(_ string, m *Message, err error) error {
		if err == nil {
			sums.addMessage(m)
		}
		if err != nil || m.State != Failed && m.State != Cancelled && m.State != Expired {
			return nil
		}
		c.add(m.State, 1)
		return putState(tx, m.State, m.ID, m.Seq)
	})
	if err != nil {
		return err
	}
	sums.addOwns(tx)
	for k, t := range sums {
		if err := put(tx, bucketSums, []byte(k), t.fields()); err != nil {
			return err
		}
	}
	return c.put(tx)
}

// moveLive makes entries of the index of states from those of bucketLive.
func moveLive(tx *txn) error {
	err := tx.Bucket(bucketLive).ForEach(func(k, v []byte) error {
		id, err := unseal(bucketLive, k, v)
		if err != nil || len(k) != 9 {
			return nil
		}
		return putState(tx, stateOf(k[0]), string(id), binary.BigEndian.Uint64(k[1:]))
	})
	if err != nil {
		return err
	}
	return tx.DeleteBucket(bucketLive)
}
