package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// group commits several changes in one transaction, whatever the timing.
func group(j *Journal, runs ...func(*txn) error) []error {
	var cs []*change
	for _, run := range runs {
		cs = append(cs, &change{run: run, done: make(chan struct{})})
	}
	j.mu.Lock()
	j.waiting = append(j.waiting, cs...)
	j.wake <- struct{}{}
	j.mu.Unlock()
	var errs []error
	for _, c := range cs {
		<-c.done
		errs = append(errs, c.err)
	}
	return errs
}

func TestOneBadChangeDoesNotSpreadInItsGroup(t *testing.T) {
	j, path := tempJournal(t)
	refusal := errors.New("refused")
	session := func(k string) func(*txn) error {
		return func(tx *txn) error { return putJSON(tx, bucketSessions, []byte(k), Session{ID: k}) }
	}
	errs := group(j,
		session("a"),
		func(*txn) error { return refusal },
		func(tx *txn) error {
			if err := session("half")(tx); err != nil {
				return err
			}
			return put(tx, bucketSessions, nil, nil) // bbolt refuses an empty key
		},
		session("b"),
	)
	if errs[0] != nil || errs[1] != refusal || errs[2] == nil || errs[3] != nil {
		t.Fatalf("got %v", errs)
	}
	j.Close()
	j = mustOpen(t, path)
	for k, want := range map[string]bool{"a": true, "b": true, "half": false} {
		if _, ok, err := j.Session(k); ok != want || err != nil {
			t.Errorf("session %s: got %v, %v", k, ok, err)
		}
	}
}

func TestConcurrentChangesShareCommits(t *testing.T) {
	j, path := tempJournal(t)
	var wg sync.WaitGroup
	const callers, each = 32, 20
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				n := c*each + i
				if _, err := j.AcceptAndDispatch(message(n), attempt(n)); err != nil {
					t.Error(err)
				}
				// Of two ends at once exactly one wins.
				var two sync.WaitGroup
				var errs [2]error
				two.Go(func() { _, errs[0] = j.End(messageID(n), done("x")) })
				two.Go(func() { _, errs[1] = j.End(messageID(n), End{State: Cancelled, At: at(1)}) })
				two.Wait()
				if (errs[0] == nil) == (errs[1] == nil) {
					t.Errorf("message %d: got %v", n, errs)
				}
			}
		})
	}
	wg.Go(func() {
		for range 50 {
			for _, err := range j.List(Filter{Limit: 100}) {
				if err != nil {
					t.Error(err)
				}
			}
		}
	})
	wg.Wait()
	j.Close()
	j = mustOpen(t, path)
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
	if s := must1(j.Size())(t); s.Messages != callers*each || s.Running != 0 {
		t.Fatalf("got %+v", s)
	}
}

// Of more changes than one transaction takes none is forgotten.
func TestAllThatWaitIsTakenInTurn(t *testing.T) {
	j := &Journal{}
	var want []*change
	for range 2*maxGroup + 1 {
		want = append(want, new(change))
	}
	j.waiting = slices.Clone(want)
	var got []*change
	for group := j.take(); len(group) > 0; group = j.take() {
		if len(group) > maxGroup {
			t.Errorf("%d changes in one transaction", len(group))
		}
		got = append(got, group...)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d of %d changes", len(got), len(want))
	}
}

func TestCloseCommitsWhatWasHandedOver(t *testing.T) {
	j, path := tempJournal(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	acked := map[string]bool{}
	for c := range 8 {
		wg.Go(func() {
			for i := range 100 {
				a, err := j.Accept(message(c*100 + i))
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				acked[a.ID] = true
				mu.Unlock()
			}
		})
	}
	mustAccept(t, j, message(5000))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if _, err := j.Message(messageID(5000)); !errors.Is(err, ErrClosed) {
		t.Fatalf("got %v, want %v", err, ErrClosed)
	}
	j = mustOpen(t, path)
	for id := range acked {
		must1(j.Message(id))(t)
	}
	if s := must1(j.Size())(t); int(s.Messages) != len(acked)+1 {
		t.Fatalf("%d acknowledged, %d on record", len(acked), s.Messages)
	}
}

func TestAJournalThatIsTakenAwayIsNoticed(t *testing.T) {
	for _, how := range []string{"removed", "replaced"} {
		j, path := tempJournal(t)
		mustAccept(t, j, message(1))
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if how == "replaced" {
			mustSession(t, mustOpen(t, path))
		}
		_, err := j.Accept(message(2))
		if s, ok := errors.AsType[*StoppedError](err); !ok || s.Full {
			t.Errorf("%s: got %v", how, err)
		}
		if _, err := j.Accept(message(3)); err == nil {
			t.Errorf("%s: accepted after it", how)
		}
	}
}

func TestASnapshotIsAJournal(t *testing.T) {
	j, _ := tempJournal(t)
	for i := range 50 {
		mustAccept(t, j, message(i))
	}
	to := filepath.Join(t.TempDir(), "copy")
	if err := j.Snapshot(to); err != nil {
		t.Fatal(err)
	}
	mustAccept(t, j, message(50))
	c := mustOpen(t, to)
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if got := ids(t, c.Queued()); len(got) != 50 {
		t.Fatalf("got %d, want 50", len(got))
	}
	if err := j.Snapshot(to); !errors.Is(err, os.ErrExist) {
		t.Fatal(fmt.Sprint("over an existing file: ", err))
	}
}

func TestAChangeThatWaitsAtCloseIsCommitted(t *testing.T) {
	j, path := tempJournal(t)
	begun, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		var once sync.Once
		j.update(func(*txn) error {
			once.Do(func() { close(begun) })
			<-release
			return errors.New("refused")
		})
	})
	<-begun // the committer is busy
	c := &change{run: func(tx *txn) error { return putJSON(tx, bucketSessions, []byte("late"), Session{}) }, done: make(chan struct{})}
	j.mu.Lock()
	j.waiting = append(j.waiting, c)
	j.wake <- struct{}{}
	j.mu.Unlock()
	wg.Go(func() { j.Close() })
	for closed := false; !closed; {
		j.mu.Lock()
		closed = j.closed
		j.mu.Unlock()
	}
	close(release)
	wg.Wait()
	if <-c.done; c.err != nil {
		t.Fatal(c.err)
	}
	if _, ok, err := mustOpen(t, path).Session("late"); !ok || err != nil {
		t.Fatalf("acknowledged and lost: %v", err)
	}
}
