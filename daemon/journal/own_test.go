package journal

import (
	"context"
	"errors"
	"slices"
	"testing"

	"iris/pool/turn"
)

func owns(t testing.TB, j *Journal, f Filter) (got []string) {
	t.Helper()
	for o, err := range j.Owns(f) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Origin)
	}
	return got
}

func own(n int, team, session string) Own {
	return Own{
		At: at(n), Team: team, Process: "p", Session: session, Origin: string(rune('a' + n)),
		CostUSD: 0.5, Usage: turn.Usage{Input: int64(n), Output: 1}, Model: "m",
	}
}

func TestOwnTurnsAreKept(t *testing.T) {
	j, path := tempJournal(t)
	if got := owns(t, j, Filter{}); got != nil {
		t.Errorf("got %v", got)
	}
	for n, of := range [][2]string{{"api", ""}, {"api", "s"}, {"web", ""}, {"api", ""}} {
		if err := j.RecordOwn(own(n, of[0], of[1])); err != nil {
			t.Fatal(err)
		}
	}
	again := own(3, "api", "")
	for _, again.Process = range []string{"p", "q"} { // the same once more, and another at the same moment
		if err := j.RecordOwn(again); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	j = mustOpen(t, path)
	plain := ""
	for what, c := range map[string]struct {
		f    Filter
		want []string
	}{
		"all":     {Filter{}, []string{"a", "b", "c", "d", "d"}},
		"team":    {Filter{Team: "api"}, []string{"a", "b", "d", "d"}},
		"session": {Filter{Team: "api", Session: &plain}, []string{"a", "d", "d"}},
		"since":   {Filter{Since: at(2)}, []string{"c", "d", "d"}},
	} {
		if got := owns(t, j, c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", what, got, c.want)
		}
	}
	for o, err := range j.Owns(Filter{Team: "web"}) {
		if want := own(2, "web", ""); err != nil || !o.At.Equal(want.At) || o.CostUSD != 0.5 || o.Usage != want.Usage || o.Model != "m" {
			t.Errorf("got %+v, %v", o, err)
		}
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
	if p, err := j.Prune(context.Background(), at(2), at(2)); err != nil || p.Owns != 2 {
		t.Errorf("pruned %+v, %v", p, err)
	}
	if got := owns(t, j, Filter{}); !slices.Equal(got, []string{"c", "d", "d"}) {
		t.Errorf("left: %v", got)
	}
}

// More than one transaction reads or removes.
func TestManyOwnTurns(t *testing.T) {
	j, _ := tempJournal(t)
	err := j.update(func(tx *txn) error {
		_, err := tx.CreateBucketIfNotExists(bucketOwn)
		for n := 0; n < chunk+10 && err == nil; n++ {
			err = putJSON(tx, bucketOwn, append(ownKey(at(n)), 'p'), own(0, "api", ""))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(owns(t, j, Filter{})); n != chunk+10 {
		t.Errorf("%d are read", n)
	}
	if p, err := j.Prune(context.Background(), at(chunk), at(0)); err != nil || p.Owns != chunk {
		t.Errorf("pruned %+v, %v", p, err)
	}
	if n := len(owns(t, j, Filter{})); n != 10 {
		t.Errorf("%d are left", n)
	}
}

// A journal without own turns and ends of agents is as it was before there could be any.
func TestJournalHasNoBucketThatItDoesNotNeed(t *testing.T) {
	j, _ := tempJournal(t)
	mustAccept(t, j, message(1))
	if p, err := j.Prune(context.Background(), at(5), at(5)); err != nil || p.Owns != 0 || p.Agents != 0 {
		t.Errorf("pruned %+v, %v", p, err)
	}
	err := j.view(func(tx *txn) error {
		for _, name := range [][]byte{bucketOwn, bucketAgents} {
			if tx.Bucket(name) != nil {
				t.Errorf("there is one of %s", name)
			}
		}
		return j.complete(tx)
	})
	if err != nil {
		t.Error(err)
	}
}

func TestDamagedOwnTurnIsNamed(t *testing.T) {
	j, path := tempJournal(t)
	for n := range 3 {
		if err := j.RecordOwn(own(n, "api", "")); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	overwrite(t, path, []byte(`"origin":"b"`), []byte(`"origin":"x"`))
	j = mustOpen(t, path)
	var damage *DamageError
	var got []string
	for o, err := range j.Owns(Filter{Team: "api"}) {
		if !errors.As(err, &damage) {
			got = append(got, o.Origin)
		}
	}
	if damage == nil || !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("got %v, damage: %v", got, damage)
	}
	if err := j.Check(); err == nil {
		t.Error("Check finds nothing")
	}
}
