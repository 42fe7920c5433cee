package journal

import bolt "go.etcd.io/bbolt"

// A txn is a transaction. Its values change by put and del alone.
type txn struct {
	*bolt.Tx
	changed keySet // of what put and del change, for Compact; nil while it does not run
}

// wrapped makes a function of a txn one of a transaction of bbolt.
func wrapped(f func(*txn) error) func(*bolt.Tx) error {
	return func(tx *bolt.Tx) error { return f(&txn{Tx: tx}) }
}

// A keySet is a set of keys, each of a bucket.
type keySet map[bucketKey]struct{}

type bucketKey struct{ bucket, key string }

// add adds a key to a set that may be nil.
func (s keySet) add(bucket, key []byte) {
	if s != nil {
		s[bucketKey{string(bucket), string(key)}] = struct{}{}
	}
}
