package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"iris/pool/turn"
)

// ended ends a message of that number with tokens and a cost that tell it.
func ended(t testing.TB, j *Journal, n int, change func(*New)) {
	t.Helper()
	m := message(n)
	if change != nil {
		change(&m)
	}
	must1(j.AcceptAndDispatch(m, attempt(n)))(t)
	e := done("text")
	e.Result.Usage = turn.Usage{Input: int64(n), Output: 1, CacheRead: 2, CacheWrite: 3}
	must1(j.End(m.ID, e))(t)
}

// inWords are sums in words.
func inWords(t testing.TB, sums iter.Seq2[Sum, error]) string {
	t.Helper()
	var b strings.Builder
	for s, err := range sums {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %s@%s: %d, %v, %d in", s.From.UTC().Format("2 15:04"), s.Team, s.Session, s.Messages, s.CostUSD, s.Usage.Input)
		if s.Own.Turns > 0 {
			fmt.Fprintf(&b, "; own: %d, %v, %d in", s.Own.Turns, s.Own.CostUSD, s.Own.Usage.Input)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Each message counts once it has ended, for its conversation and the time of its
// acceptance; all messages in sessions of their own count together.
func TestSums(t *testing.T) {
	const day = 24 * 60 * 60
	j, path := tempJournal(t)
	ended(t, j, 1, nil)
	ended(t, j, 2, func(m *New) { m.Session = "s" })
	ended(t, j, 3, func(m *New) { m.Team = "web" })
	ended(t, j, 4, func(m *New) { m.Session, m.Options.Fresh = "~4", true })
	ended(t, j, 5, func(m *New) { m.Session, m.Options.Fresh = "~5", true })
	ended(t, j, 1000, nil)
	ended(t, j, day, nil)
	mustAccept(t, j, message(6))
	must1(j.AcceptAndDispatch(message(7), attempt(7)))(t)
	mustAccept(t, j, message(8))
	must1(j.End(messageID(8), End{State: Cancelled, At: at(9)}))(t)
	if err := j.RecordOwn(own(10, "api", "s")); err != nil {
		t.Fatal(err)
	}
	main, s, fresh := "", "s", "~"
	for range 2 {
		for what, c := range map[string]struct {
			sums iter.Seq2[Sum, error]
			want string
		}{
			"all": {j.Days(Filter{}), `1 00:00 api@: 3, 0.5, 1001 in
1 00:00 api@s: 1, 0.25, 2 in; own: 1, 0.5, 10 in
1 00:00 api@~: 2, 0.5, 9 in
1 00:00 web@: 1, 0.25, 3 in
2 00:00 api@: 1, 0.25, 86400 in
`},
			"a team":         {j.Days(Filter{Team: "web"}), "1 00:00 web@: 1, 0.25, 3 in\n"},
			"a session":      {j.Days(Filter{Team: "api", Session: &s}), "1 00:00 api@s: 1, 0.25, 2 in; own: 1, 0.5, 10 in\n"},
			"single":         {j.Days(Filter{Team: "api", Session: &fresh}), "1 00:00 api@~: 2, 0.5, 9 in\n"},
			"the main one":   {j.Days(Filter{Team: "api", Session: &main, Since: at(2)}), "1 00:00 api@: 2, 0.25, 1000 in\n2 00:00 api@: 1, 0.25, 86400 in\n"},
			"since a day":    {j.Days(Filter{Since: at(day / 2)}), "2 00:00 api@: 1, 0.25, 86400 in\n"},
			"since a second": {j.Days(Filter{Since: at(5)}), "1 00:00 api@: 2, 0.25, 1000 in\n1 00:00 api@s: 0, 0, 0 in; own: 1, 0.5, 10 in\n1 00:00 api@~: 1, 0.25, 5 in\n2 00:00 api@: 1, 0.25, 86400 in\n"},
			"slots": {j.Slots(Filter{}), `1 12:00 api@: 5, 1, 12 in; own: 1, 0.5, 10 in
1 12:00 web@: 1, 0.25, 3 in
1 12:15 api@: 1, 0.25, 1000 in
2 12:00 api@: 1, 0.25, 86400 in
`},
			"slots of a team":         {j.Slots(Filter{Team: "web"}), "1 12:00 web@: 1, 0.25, 3 in\n"},
			"slots of a session":      {j.Slots(Filter{Team: "api", Session: &s}), "1 12:00 api@: 1, 0.25, 2 in; own: 1, 0.5, 10 in\n"},
			"slots of the main one":   {j.Slots(Filter{Team: "api", Session: &main, Since: at(2)}), "1 12:00 api@: 1, 0, 0 in\n1 12:15 api@: 1, 0.25, 1000 in\n2 12:00 api@: 1, 0.25, 86400 in\n"},
			"slots since a slot":      {j.Slots(Filter{Since: at(900)}), "1 12:15 api@: 1, 0.25, 1000 in\n2 12:00 api@: 1, 0.25, 86400 in\n"},
			"slots since a second":    {j.Slots(Filter{Since: at(5)}), "1 12:00 api@: 2, 0.25, 5 in; own: 1, 0.5, 10 in\n1 12:15 api@: 1, 0.25, 1000 in\n2 12:00 api@: 1, 0.25, 86400 in\n"},
			"slots since a later one": {j.Slots(Filter{Since: at(500)}), "1 12:15 api@: 1, 0.25, 1000 in\n2 12:00 api@: 1, 0.25, 86400 in\n"},
		} {
			if got := inWords(t, c.sums); got != c.want {
				t.Errorf("%s: got\n%swant\n%s", what, got, c.want)
			}
		}
		if err := j.Check(); err != nil {
			t.Error(err)
		}
		j.Close()
		if j = mustOpen(t, path); t.Failed() {
			break
		}
	}
	j.Close()
}

// A sum loses what is pruned, sent again or resolved otherwise.
func TestSumsFollowTheMessages(t *testing.T) {
	j, _ := tempJournal(t)
	ended(t, j, 1, nil)
	mustReach(t, j, 2, Running)
	cut := &Result{Result: turn.Result{Outcome: turn.Unknown, CostUSD: 0.5, Usage: turn.Usage{Input: 7}}}
	must1(j.End(messageID(2), End{State: Unknown, Result: cut, At: at(3)}))(t)
	want := func(what, sums string) {
		t.Helper()
		if got := inWords(t, j.Slots(Filter{})); got != sums {
			t.Errorf("%s: got\n%swant\n%s", what, got, sums)
		}
		if err := j.Check(); err != nil {
			t.Error(err)
		}
	}
	want("unknown", "1 12:00 api@: 2, 0.75, 8 in\n")
	must1(j.Reattempt(messageID(2), Change{At: at(4), By: "a person"}))(t)
	want("queued again", "1 12:00 api@: 1, 0.25, 1 in\n")
	must1(j.End(messageID(2), End{State: Cancelled, At: at(5)}))(t)
	want("ended with what the first attempt cost", "1 12:00 api@: 2, 0.75, 8 in\n")
	if err := j.RecordOwn(own(10, "api", "")); err != nil {
		t.Fatal(err)
	}
	if err := j.RecordOwn(own(10, "api", "")); err != nil {
		t.Fatal(err)
	}
	want("an own turn, recorded twice", "1 12:00 api@: 2, 0.75, 8 in; own: 1, 0.5, 10 in\n")
	must1(j.Prune(context.Background(), at(6), at(0)))(t)
	want("one message is pruned", "1 12:00 api@: 1, 0.25, 1 in; own: 1, 0.5, 10 in\n")
	must1(j.Prune(context.Background(), at(100), at(0)))(t)
	want("all is pruned", "")
}

func TestSumIsOfAllAttempts(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	first := &Result{Result: turn.Result{Outcome: turn.Unknown, CostUSD: 0.5, Usage: turn.Usage{Input: 7}}}
	must1(j.End(messageID(1), End{State: Unknown, Result: first, At: at(2), Retry: true}))(t)
	must1(j.Dispatch(messageID(1), attempt(2)))(t)
	second := done("text")
	second.Result.Usage = turn.Usage{Input: 3}
	must1(j.End(messageID(1), second))(t)
	if got := inWords(t, j.Slots(Filter{})); got != "1 12:00 api@: 1, 0.75, 10 in\n" {
		t.Errorf("got %s", got)
	}
}

// A damaged sum is named, keeps no message from its end, and hides no other sum.
func TestDamagedSumIsNamed(t *testing.T) {
	j, path := tempJournal(t)
	ended(t, j, 1, nil)
	ended(t, j, 2, func(m *New) { m.Team = "web" })
	j.Close()
	b := must1(os.ReadFile(path))(t)
	k := daily.key(at(1), "api", "")
	i := bytes.LastIndex(b, k) + len(k)
	b[i] ^= 1 // of the checksum
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, path)
	defer j.Close()
	ended(t, j, 3, nil)
	for _, c := range []struct {
		since time.Time
		want  string
	}{
		{time.Time{}, "web: 1 "},
		{at(0), "api: 2 web: 1 "}, // a part of the day, whose messages are read
	} {
		got, damage := "", error(nil)
		for s, err := range j.Days(Filter{Since: c.since}) {
			if err != nil {
				damage = err
				continue
			}
			got += fmt.Sprintf("%s: %d ", s.Team, s.Messages)
		}
		if damage == nil || !strings.Contains(damage.Error(), "sums") || got != c.want {
			t.Errorf("since %v: got %q, %v, want %q", c.since, got, damage, c.want)
		}
	}
	if err := j.Check(); err == nil {
		t.Error("Check finds nothing")
	}
}

// A damaged message or own turn is named, and the others of its day are counted.
func TestDamageInAPartOfADayIsNamed(t *testing.T) {
	j, _ := tempJournal(t)
	for n := range 3 {
		ended(t, j, n, nil)
		if err := j.RecordOwn(own(n, "api", "")); err != nil {
			t.Fatal(err)
		}
	}
	err := j.db.Update(func(tx *bolt.Tx) error {
		k := append(ownKey(at(1)), 'p')
		return errors.Join(tx.Bucket(bucketMessages).Put([]byte(messageID(1)), []byte("damaged")), tx.Bucket(bucketOwn).Put(k, []byte("damaged")))
	})
	if err != nil {
		t.Fatal(err)
	}
	var sums []Sum
	damaged := 0
	for s, err := range j.Days(Filter{Since: at(0)}) {
		if _, ok := err.(*DamageError); ok {
			damaged++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, s)
	}
	if len(sums) != 1 || sums[0].Messages != 2 || sums[0].Own.Turns != 2 || damaged != 2 {
		t.Errorf("got %+v, %d damaged", sums, damaged)
	}
}

// The usage of all time reads the sums, and not all messages.
func TestSumsAreReadWithoutTheMessages(t *testing.T) {
	j, _ := tempJournal(t)
	ended(t, j, 1, nil)
	err := j.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMessages).Put([]byte(messageID(1)), []byte("damaged")) })
	if err != nil {
		t.Fatal(err)
	}
	main := ""
	for what, sums := range map[string]iter.Seq2[Sum, error]{
		"1 00:00 api@: 1, 0.25, 1 in\n": j.Days(Filter{Team: "api", Session: &main}),
		"1 12:00 api@: 1, 0.25, 1 in\n": j.Slots(Filter{}),
	} {
		if got := inWords(t, sums); got != what {
			t.Errorf("got %q, want %q", got, what)
		}
	}
}

// More than one transaction reads many sums.
func TestManySums(t *testing.T) {
	j, _ := tempJournal(t)
	err := j.update(func(tx *txn) (err error) {
		for n := 0; n < chunk+5 && err == nil; n++ {
			err = addTo(tx, daily.key(epoch.AddDate(0, 0, n), "api", ""), "", amounts{messages: int64(n + 1)})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s, err := range j.Days(Filter{}) {
		if n++; err != nil || s.Messages != int64(n) {
			t.Fatalf("sum %d: got %+v, %v", n, s, err)
		}
	}
	if n != chunk+5 {
		t.Errorf("%d sums", n)
	}
	if found, next, err := j.sumsFrom(new(Filter), daily, []byte{daily.code}); len(found) != chunk || next == nil || err != nil {
		t.Errorf("at a time: %d sums, then %q, %v", len(found), next, err)
	}
}
