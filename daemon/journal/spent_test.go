package journal

import (
	"fmt"
	"testing"
)

// spentOf is what each team has spent, by slot, in words.
func spentOf(t testing.TB, j *Journal) (words string) {
	t.Helper()
	for s, err := range j.Spent(at(0)) {
		if err != nil {
			t.Fatal(err)
		}
		words += fmt.Sprintf("%s %s %v\n", s.From.UTC().Format("2 15:04"), s.Team, s.Cost.USD())
	}
	return words
}

// What the turns cost counts once, from the first one on, by the time of their end.
func TestSpentCountsEachTurnOnce(t *testing.T) {
	const quarter = 15 * 60
	message := func(n int, team string) func(*Journal) {
		return func(j *Journal) { ended(t, j, n, func(m *New) { m.Team = team }) }
	}
	turn := func(n int, team string) func(*Journal) {
		return func(j *Journal) {
			if err := j.RecordOwn(own(n, team, "")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		do   []func(*Journal)
		want string
	}{
		"nothing":   {nil, ""},
		"a message": {[]func(*Journal){message(1, "api")}, "1 12:00 api 0.25\n"},
		"own":       {[]func(*Journal){turn(1, "api"), turn(1, "api")}, "1 12:00 api 0.5\n"},
		"all": {
			[]func(*Journal){message(1, "api"), turn(2, "api"), message(3, "web"), message(4, "api"), turn(quarter, "api")},
			"1 12:00 api 1\n1 12:00 web 0.25\n1 12:15 api 0.5\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			j, path := tempJournal(t)
			for _, do := range c.do {
				do(j)
			}
			for range 2 {
				if got := spentOf(t, j); got != c.want {
					t.Errorf("got\n%swant\n%s", got, c.want)
				}
				j.Close()
				j = mustOpen(t, path)
			}
		})
	}
}

// A journal of an earlier iris has sums only: they are taken over, when they are wanted or
// before the next turn counts.
func TestSpentBeginsWithTheSums(t *testing.T) {
	for name, next := range map[string]func(*Journal){
		"read":      func(*Journal) {},
		"a message": func(j *Journal) { ended(t, j, 3, nil) },
		"own":       func(j *Journal) { _ = j.RecordOwn(own(4, "api", "")) },
	} {
		t.Run(name, func(t *testing.T) {
			j, _ := tempJournal(t)
			ended(t, j, 1, nil)
			ended(t, j, 2, nil)
			if err := j.update(func(tx *txn) error { return tx.DeleteBucket(bucketSpent) }); err != nil {
				t.Fatal(err)
			}
			next(j)
			want := map[string]string{"read": "0.5", "a message": "0.75", "own": "1"}[name]
			if got := spentOf(t, j); got != "1 12:00 api "+want+"\n" {
				t.Errorf("got %q, want %s", got, want)
			}
		})
	}
}
