package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"iris/pool/turn"
)

func spents(t testing.TB, j *Journal, since time.Time) (got []string) {
	t.Helper()
	for s, err := range j.Spent(since) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %v %d", s.Team, s.Cost, s.From.Sub(at(0).Truncate(Slot))/Slot))
	}
	return got
}

// costs runs a message of a team that ends at a time.
func costs(t testing.TB, j *Journal, id, team string, when time.Time, e End) {
	t.Helper()
	if _, err := j.Accept(New{ID: id, Team: team, Body: []byte("x"), At: at(0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Dispatch(id, Attempt{Process: "p", At: at(0)}); err != nil {
		t.Fatal(err)
	}
	e.At = when
	if _, err := j.End(id, e); err != nil {
		t.Fatal(err)
	}
}

func paid(usd float64) *Result {
	return &Result{Result: turn.Result{Outcome: turn.Success, CostUSD: usd}}
}

// What turns cost counts for the time at which they ended, once for each attempt, and stays
// when the messages are removed.
func TestSpentIsByTheEndAndStays(t *testing.T) {
	j, path := tempJournal(t)
	if got := spents(t, j, time.Time{}); got != nil {
		t.Errorf("of nothing: %v", got)
	}
	later := at(0).Add(2 * Slot)
	costs(t, j, "m1", "api", at(0), End{State: Done, Result: paid(0.5)})
	costs(t, j, "m2", "api", later, End{State: Done, Result: paid(0.25)})
	costs(t, j, "m3", "web", later, End{State: Unknown, Retry: true, Result: paid(1)})
	costs(t, j, "m4", "free", later, End{State: Done, Result: paid(0)})
	if _, err := j.Dispatch("m3", Attempt{Process: "p", At: later}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.End("m3", End{State: Done, Result: paid(2), At: later}); err != nil {
		t.Fatal(err)
	}
	if err := j.RecordOwn(Own{At: later, Team: "api", Process: "p", CostUSD: 0.125}); err != nil {
		t.Fatal(err)
	}
	want := []string{"api $0.50 0", "api $0.38 2", "web $3.00 2"}
	if got := spents(t, j, at(0)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := spents(t, j, later); !slices.Equal(got, want[1:]) {
		t.Errorf("since then: got %v, want %v", got, want[1:])
	}
	if p, err := j.Prune(context.Background(), later.Add(time.Hour), at(0)); err != nil || p.Messages != 4 || p.Spent != 0 {
		t.Fatalf("pruned %+v, %v", p, err)
	}
	j.Close()
	j = mustOpen(t, path)
	if got := spents(t, j, at(0)); !slices.Equal(got, want) {
		t.Errorf("after the prune: got %v, want %v", got, want)
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
	costs(t, j, "m5", "api", later.Add(spentKept), End{State: Done, Result: paid(1)})
	if p, err := j.Prune(context.Background(), at(0), at(0)); err != nil || p.Spent != 1 {
		t.Errorf("pruned %+v, %v", p, err)
	}
	if got := spents(t, j, time.Time{}); len(got) != 3 {
		t.Errorf("after a month: %v", got)
	}
}

// A journal from before has the costs of its sums.
func TestSpentOfAnOlderJournal(t *testing.T) {
	j, path := tempJournal(t)
	costs(t, j, "m1", "api", at(0), End{State: Done, Result: paid(0.5)})
	if err := j.RecordOwn(Own{At: at(0), Team: "api", Process: "p", CostUSD: 0.125}); err != nil {
		t.Fatal(err)
	}
	for _, first := range []func(){
		func() { spents(t, j, time.Time{}) },
		func() { costs(t, j, "m2", "web", at(0), End{State: Done, Result: paid(2)}) },
	} {
		j.Close()
		alter(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketSpent) })
		j = mustOpen(t, path)
		first()
		if got := spents(t, j, time.Time{}); len(got) == 0 || got[0] != "api $0.62 0" {
			t.Errorf("got %v", got)
		}
	}
	if got := spents(t, j, time.Time{}); len(got) != 2 || got[1] != "web $2.00 0" {
		t.Errorf("got %v", got)
	}
}

// A damaged record is named, and hides no other.
func TestDamagedSpentIsNamed(t *testing.T) {
	j, path := tempJournal(t)
	costs(t, j, "m1", "api", at(0), End{State: Done, Result: paid(0.5)})
	costs(t, j, "m2", "web", at(0), End{State: Done, Result: paid(2)})
	j.Close()
	alter(t, path, func(tx *bolt.Tx) error {
		return tx.Bucket(bucketSpent).Put(spentKey(at(0), "api"), []byte("xxxxx"))
	})
	j = mustOpen(t, path)
	costs(t, j, "m3", "api", at(0), End{State: Done, Result: paid(1)})
	var bad, good int
	for s, err := range j.Spent(time.Time{}) {
		var damage *DamageError
		switch {
		case errors.As(err, &damage):
			bad++
		case err == nil && s.Team == "web":
			good++
		}
	}
	if bad != 1 || good != 1 {
		t.Errorf("%d damaged, %d good", bad, good)
	}
}

// alter changes the file of a closed journal.
func alter(t testing.TB, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db := must1(bolt.Open(path, 0o600, nil))(t)
	if err := errors.Join(db.Update(change), db.Close()); err != nil {
		t.Fatal(err)
	}
}
