package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// backlog returns a journal of which most is free: n messages of that size came and were
// pruned, and the last one is kept.
func backlog(t testing.TB, n, size int) (*Journal, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j := must1(Open(path))(t)
	t.Cleanup(func() { j.Close() })
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := g; i < n; i += 64 {
				m := message(i)
				m.Body = []byte(strings.Repeat("x", size))
				_, err := j.Accept(m)
				if err == nil {
					_, err = j.End(m.ID, End{State: Cancelled, At: at(1)})
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	mustAccept(t, j, message(n))
	if p, err := j.Prune(context.Background(), at(2), at(2)); err != nil || p.Messages != n {
		t.Fatalf("pruned %+v, %v", p, err)
	}
	return j, path
}

func fileSize(t testing.TB, path string) int64 {
	t.Helper()
	return must1(os.Stat(path))(t).Size()
}

func TestCompactGivesThePagesOfABacklogBack(t *testing.T) {
	j, path := backlog(t, 400, inFile)
	before := fileSize(t, path)
	freed, err := j.Compact(t.Context())
	after := fileSize(t, path)
	if err != nil || freed != before-after || after > before/4 {
		t.Fatalf("%d bytes before, %d after, %d freed, %v", before, after, freed, err)
	}
	if b, err := j.Body(messageID(400)); err != nil || string(b) != "body 400" {
		t.Errorf("the message that was kept: %q, %v", b, err)
	}
	mustAccept(t, j, message(401))
	if freed, err := j.Compact(t.Context()); freed != 0 || err != nil {
		t.Errorf("again: %d freed, %v", freed, err)
	}
	j.Close()
	if err := holds(path, nil); err != nil {
		t.Error(err)
	}
}

// A journal that is copied again and again while messages come, end and go has in the
// end what another one has that had the same messages and was never copied.
func TestCompactLosesNoChangeMadeBesideIt(t *testing.T) {
	j, path := tempJournal(t)
	n, copies := changesBeside(t, j, func(ctx context.Context) error {
		if _, err := j.compact(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	plain, _ := tempJournal(t)
	for i := range n {
		changes(t, plain, i)
	}
	if got, want := everything(t, j), everything(t, plain); !slices.Equal(got, want) {
		t.Errorf("after %d copies %d values differ from the %d of one that was never copied", copies, len(got), len(want))
	}
	j.Close()
	if err := holds(path, nil); err != nil {
		t.Error(err)
	}
}

// changesBeside makes changes while f runs again and again, until that has ended some times.
// It returns how many changes, and how many ends.
func changesBeside(t *testing.T, j *Journal, f func(context.Context) error) (n, ends int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var ended atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			if err := f(ctx); err != nil {
				t.Error(err)
				return
			}
			ended.Add(1)
		}
	})
	end := sync.OnceFunc(func() { stop(); wg.Wait() })
	defer end()
	for ; n < 150 || ended.Load() < 3 && !t.Failed(); n++ {
		changes(t, j, n)
	}
	end()
	return n, int(ended.Load())
}

// changes makes each kind of change once.
func changes(t *testing.T, j *Journal, i int) {
	t.Helper()
	n := message(i)
	n.Options.Key = n.ID
	mustAccept(t, j, n)
	must1(j.Dispatch(n.ID, attempt(i)))(t)
	must1(j.End(n.ID, done(strings.Repeat("r", i*10))))(t)
	for _, err := range []error{
		j.SetSession(n.ID, Session{ID: "s", Dir: "/d", Created: at(i)}),
		j.RecordOwn(Own{At: at(i), Team: "api", Process: "p"}),
		j.RecordAgentEnds(agentEnd(i, "api", "")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if i%20 == 19 {
		must1(j.Prune(context.Background(), at(10), at(i-10)))(t)
		if err := j.DeleteSession(messageID(i - 5)); err != nil {
			t.Fatal(err)
		}
	}
}

// everything is every value of a journal, with its bucket and key.
func everything(t *testing.T, j *Journal) (all []string) {
	t.Helper()
	for _, name := range slices.Concat(buckets, lateBuckets) {
		for at, more := []byte(nil), true; more; {
			var group []pair
			var err error
			if group, more, err = j.pairs(name, at); err != nil {
				t.Fatal(err)
			}
			for _, p := range group {
				all = append(all, string(name)+" "+string(p.key)+" "+string(p.value))
				at = p.key
			}
		}
	}
	return all
}

func TestCompactThatIsStoppedLeavesNothing(t *testing.T) {
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := j.compact(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left := must1(filepath.Glob(path + "?*"))(t); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if j.changed.Load() != nil {
		t.Error("changes are still noted")
	}
	mustAccept(t, j, message(2))
}

// What a crash leaves of a copy is removed at a later start.
func TestOpenRemovesTheRestOfACopy(t *testing.T) {
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	j.Close()
	old, other := path+".new.ABCDEFGH", path+".new.notes.txt"
	for _, name := range []string{old, other} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(name, past, past); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, path).Close()
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("the copy: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("another file: %v", err)
	}
}

func TestCompactRefusesADamagedJournal(t *testing.T) {
	j, _ := backlog(t, 400, inFile)
	err := j.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMessages).Put([]byte(messageID(400)), []byte("damaged"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Compact(t.Context()); err == nil || !strings.Contains(err.Error(), messageID(400)) {
		t.Errorf("got %v", err)
	}
}

// A journal of which little is free is not copied.
func TestCompactLeavesAFullJournalAlone(t *testing.T) {
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	before := must1(os.Stat(path))(t)
	if freed, err := j.Compact(t.Context()); freed != 0 || err != nil {
		t.Errorf("%d freed, %v", freed, err)
	}
	if after := must1(os.Stat(path))(t); !os.SameFile(before, after) {
		t.Error("it was copied")
	}
}

func TestWhenACopyIsWorthIt(t *testing.T) {
	const mb = 1 << 20
	for _, c := range []struct {
		free, used int64
		want       bool
	}{
		{15 * mb, mb, false}, {16 * mb, 16 * mb, true}, {16 * mb, 17 * mb, false}, {63 * mb, 900 * mb, false}, {64 * mb, 900 * mb, true},
	} {
		if got := worthCopy(c.free, c.used); got != c.want {
			t.Errorf("%d MB free, %d MB used: got %v", c.free/mb, c.used/mb, got)
		}
	}
	if err := roomForCopy(74*mb, 10*mb); err != nil {
		t.Error(err)
	}
	if err := roomForCopy(74*mb-1, 10*mb); err == nil || err.Error() != "its disk has 73 MB free, and a copy needs 74 MB" {
		t.Errorf("got %v", err)
	}
}

// More than one transaction reads a bucket: of many values, and of large ones.
func TestCopyOfManyGroupsHasEverything(t *testing.T) {
	j, path := tempJournal(t)
	err := j.update(func(tx *txn) error {
		for n := range chunk + 10 {
			if err := putJSON(tx, bucketSessions, []byte(messageID(n)), Session{ID: "s"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		m := message(n)
		m.Body = make([]byte, inFile)
		mustAccept(t, j, m)
	}
	group, more, err := j.pairs(bucketBodies, nil)
	if n := len(group); err != nil || !more || n*inFile > copyGroup+2*inFile {
		t.Errorf("the first group has %d bodies, more %v, %v", n, more, err)
	}
	before := everything(t, j)
	if _, err := j.compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := everything(t, j); !slices.Equal(got, before) {
		t.Errorf("the copy has %d values, want %d", len(got), len(before))
	}
	j.Close()
	if err := holds(path, nil); err != nil {
		t.Error(err)
	}
}
