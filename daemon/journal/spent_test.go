package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
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

func TestSpendingIsOfWhatHasEnded(t *testing.T) {
	j, _ := tempJournal(t)
	ended(t, j, 1, nil)
	ended(t, j, 2, func(m *New) { m.Session = "s" })
	ended(t, j, 3, func(m *New) { m.Team = "other" })
	mustAccept(t, j, message(4))
	must1(j.AcceptAndDispatch(message(5), attempt(5)))(t)
	mustAccept(t, j, message(6))
	must1(j.End(messageID(6), End{State: Cancelled, At: at(7)}))(t)
	inputs := func(f Filter) (got []int64) {
		for s, err := range j.Spending(f) {
			if err != nil {
				t.Fatal(err)
			}
			if s.Usage.Input > 0 && (s.CostUSD != 0.25 || !s.Accepted.Equal(at(int(s.Usage.Input)))) {
				t.Errorf("got %+v", s)
			}
			got = append(got, s.Usage.Input)
		}
		return got
	}
	own := ""
	for what, c := range map[string]struct {
		f    Filter
		want []int64
	}{
		"all":     {Filter{}, []int64{0, 3, 2, 1}},
		"team":    {Filter{Team: "api"}, []int64{0, 2, 1}},
		"session": {Filter{Team: "api", Session: &own}, []int64{0, 1}},
		"since":   {Filter{Since: at(3)}, []int64{0, 3}},
	} {
		if got := inputs(c.f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", what, got, c.want)
		}
	}
}

// A record of an iris that did not keep the tokens in it is completed from the
// result; a damaged one is named and does not end the list.
func TestSpendingOfOldAndDamagedRecords(t *testing.T) {
	j, path := tempJournal(t)
	for n := range 3 {
		ended(t, j, n+1, nil)
	}
	err := j.update(func(tx *bolt.Tx) error {
		m, err := getMessage(tx, messageID(1))
		if err != nil {
			return err
		}
		m.Usage = turn.Usage{}
		b, err := encodeMessage(m)
		if err != nil {
			return err
		}
		return put(tx, bucketMessages, []byte(m.ID), b)
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	b := must1(os.ReadFile(path))(t)
	broken := strings.ReplaceAll(string(b), `"id":"`+messageID(2), `"id":"`+messageID(9))
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	j = mustOpen(t, path)
	var got []int64
	var damage *DamageError
	for s, err := range j.Spending(Filter{}) {
		if errors.As(err, &damage) {
			continue
		}
		got = append(got, s.Usage.Input)
	}
	if !slices.Equal(got, []int64{3, 1}) || damage == nil || damage.ID != messageID(2) {
		t.Errorf("got %v, %v", got, damage)
	}
}

// BenchmarkSpending100000 sums up a full journal.
func BenchmarkSpending100000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "journal")
	j := must1(Open(path))(b)
	defer j.Close()
	body, text := make([]byte, 512), []byte(strings.Repeat("t", 400))
	for n := 0; n < many; n += 1000 {
		err := j.update(func(tx *bolt.Tx) error {
			for i := range 1000 {
				m := message(n + i)
				m.Body = body
				a, _, err := record(tx, &m, describe(body), nil)
				if err != nil {
					return err
				}
				c, err := getCounts(tx)
				if err != nil {
					return err
				}
				e := done(string(text))
				e.Result.Usage = turn.Usage{Input: 19072, Output: 400, CacheRead: 100_000, CacheWrite: 5_000}
				was := a.State
				a.Attempts = []Attempt{attempt(n + i)}
				a.step(Change{State: Running, At: at(1)})
				if err := a.finish(tx, e, describe(text), text, c); err != nil {
					return err
				}
				if err := putMessage(tx, &a, was, c); err != nil {
					return err
				}
				if err := c.put(tx); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		n := 0
		for s, err := range j.Spending(Filter{}) {
			if err != nil || s.Usage.Input == 0 {
				b.Fatal(s, err)
			}
			n++
		}
		if n != many {
			b.Fatal(n)
		}
		took = append(took, time.Since(start))
	}
	b.ReportMetric(p50(took).Seconds(), "p50-s")
}

// Also where the last attempt has no outcome: it never began.
func TestSpendingKnowsWhatAnEarlierAttemptCost(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	cut := &Result{Result: turn.Result{Outcome: turn.Unknown, CostUSD: 0.5, Usage: turn.Usage{Output: 7}}}
	must1(j.End(messageID(1), End{State: Unknown, Result: cut, At: at(2), Retry: true}))(t)
	must1(j.End(messageID(1), End{State: Cancelled, At: at(3)}))(t)
	for s, err := range j.Spending(Filter{}) {
		if err != nil || s.CostUSD != 0.5 || s.Usage.Output != 7 {
			t.Errorf("got %+v, %v", s, err)
		}
		return
	}
	t.Error("nothing is on record")
}
