package journal

import "time"

// Gate records that an account is limited: none of its messages begins before Until.
type Gate struct {
	Account string    `json:"account"`
	Until   time.Time `json:"until"`
	Why     string    `json:"why,omitempty"`
	Tries   int       `json:"tries,omitempty"` // limits in a row without a known reset
	Teams   []string  `json:"teams,omitempty"` // the known teams of the account
}

// Gates returns what SetGates has recorded.
func (j *Journal) Gates() (gates []Gate, err error) {
	err = j.view(func(tx *txn) error {
		gates = nil
		_, err := getJSON(tx, bucketMeta, keyGates, &gates)
		return err
	})
	return gates, err
}

// SetGates records the accounts that are limited, in place of those before.
func (j *Journal) SetGates(gates []Gate) error {
	return j.update(func(tx *txn) error { return putJSON(tx, bucketMeta, keyGates, gates) })
}

// Used records how much of a limit an account has used.
type Used struct {
	Account     string    `json:"account"`
	Limit       string    `json:"limit"`
	Utilization float64   `json:"utilization"` // from 0 to 1
	Resets      time.Time `json:"resets,omitzero"`
}

// Used returns what SetUsed has recorded.
func (j *Journal) Used() (used []Used, err error) {
	err = j.view(func(tx *txn) error {
		used = nil
		_, err := getJSON(tx, bucketMeta, keyUsed, &used)
		return err
	})
	return used, err
}

// SetUsed records how much the accounts have used, in place of what was before.
func (j *Journal) SetUsed(used []Used) error {
	return j.update(func(tx *txn) error { return putJSON(tx, bucketMeta, keyUsed, used) })
}
