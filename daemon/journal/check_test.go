package journal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
)

// Damage that no checksum shows: each value is right, and they do not fit together.
func TestCheckFindsWhatDoesNotFitTogether(t *testing.T) {
	for want, change := range map[string]func(*txn) error{
		"2 of 1 queued messages": func(tx *txn) error { // an agent would get the message twice
			return putState(tx, Queued, messageID(7), 7)
		},
		"not in the index of queued messages": func(tx *txn) error {
			return putState(tx, Queued, messageID(1), 2)
		},
		"1 messages instead of 3": func(tx *txn) error {
			c, err := getCounts(tx)
			if err != nil {
				return err
			}
			c.Messages = 3
			return c.put(tx)
		},
		"1 of its sums": func(tx *txn) error {
			return addTo(tx, daily.key(at(1), "api", ""), messageID(1), amounts{messages: 1})
		},
		"2 of its sums": func(tx *txn) error { // of a day and of a quarter of an hour
			if _, err := tx.CreateBucket(bucketOwn); err != nil {
				return err
			}
			return putJSON(tx, bucketOwn, ownKey(at(1)), own(1, "api", ""))
		},
		`key "k"`: func(tx *txn) error { return putJSON(tx, bucketKeys, []byte("k"), keyRecord{ID: messageID(2)}) },
	} {
		j, _ := tempJournal(t)
		mustAccept(t, j, message(1))
		if err := j.Check(); err != nil {
			t.Fatal(err)
		}
		if err := j.update(change); err != nil {
			t.Fatal(err)
		}
		if err := j.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
	}
}

// What changes or goes while Check reads is no damage.
func TestCheckRunsBesideChanges(t *testing.T) {
	j, _ := tempJournal(t)
	changesBeside(t, j, func(context.Context) error { return j.Check() })
	if err := j.Check(); err != nil { // there are keys of pruned messages
		t.Error(err)
	}
	if bad := j.checkContents([]string{"gone"}); bad != nil {
		t.Errorf("of a message that was pruned meanwhile: %v", bad)
	}
}

// disordered makes a journal in which two neighbours of a bucket, whose values have the same
// length, are swapped, or the first stands there twice.
func disordered(t *testing.T, bucket []byte, keys [2]string, twice bool) *Journal {
	t.Helper()
	j, path := tempJournal(t)
	for n := range 2 {
		mustAccept(t, j, message(n+1))
		if err := j.SetSession(string("ab"[n]), Session{ID: "s"}); err != nil {
			t.Fatal(err)
		}
	}
	var pairs [2][]byte
	err := j.view(func(tx *txn) error {
		for i, k := range keys {
			pairs[i] = append([]byte(k), tx.Bucket(bucket).Get([]byte(k))...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	right, wrong := slices.Concat(pairs[0], pairs[1]), slices.Concat(pairs[1], pairs[0])
	if twice {
		wrong = slices.Concat(pairs[0], pairs[0])
	}
	overwrite(t, path, right, wrong) // they are neighbours
	return mustOpen(t, path)
}

// Each value is right, and a search or a loop over them would go wrong.
func TestDisorderIsNoticed(t *testing.T) {
	for _, twice := range []bool{false, true} {
		j := disordered(t, bucketSessions, [2]string{"a", "b"}, twice)
		wantDisorder(t, "sessions", j.Check())
		j = disordered(t, bucketMessages, [2]string{messageID(1), messageID(2)}, twice)
		wantDisorder(t, "messages", j.Check())
		_, err := j.Prune(t.Context(), at(9), at(9))
		wantDisorder(t, "pruned", err)
		var last error
		for _, err := range j.List(Filter{}) {
			last = err
		}
		wantDisorder(t, "listed", last)
		j = disordered(t, bucketStates, [2]string{string(stateKey(Queued, messageID(1))), string(stateKey(Queued, messageID(2)))}, twice)
		last = nil
		for _, err := range j.Queued() {
			last = err
		}
		wantDisorder(t, "queued", last)
	}
}

func wantDisorder(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "is out of order") {
		t.Errorf("%s: got %v", what, err)
	}
}

// Who takes up the messages of an earlier daemon is told of each that is not found.
func TestIndexWithoutItsMessagesIsNoticed(t *testing.T) {
	for want, change := range map[string]func(*txn) error{
		"0 of 1 queued messages": func(tx *txn) error { return del(tx, bucketStates, stateKey(Queued, messageID(1))) },
		"indexed as queued and is not": func(tx *txn) error {
			m, err := getMessage(tx, messageID(1))
			if err != nil {
				return err
			}
			m.State = Running
			b, err := encodeMessage(m)
			return errors.Join(err, put(tx, bucketMessages, []byte(m.ID), b))
		},
		"its record is missing": func(tx *txn) error { return del(tx, bucketMessages, []byte(messageID(1))) },
	} {
		j, _ := tempJournal(t)
		mustAccept(t, j, message(1))
		if err := j.update(change); err != nil {
			t.Fatal(err)
		}
		var got []string
		for m, err := range j.Queued() {
			if err == nil {
				t.Errorf("%s: got %+v", want, m)
			} else {
				got = append(got, err.Error())
			}
		}
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%s: got %q", want, got)
		}
	}
}

func TestStatesAreKnown(t *testing.T) {
	for _, s := range states {
		if !s.Known() {
			t.Errorf("%s is not", s)
		}
	}
	for _, s := range []State{"", "over"} {
		if s.Known() {
			t.Errorf("%q is", s)
		}
	}
}
