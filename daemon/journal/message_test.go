package journal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"iris/pool/turn"
)

func TestAMessageLivesThroughItsStatesAndReopens(t *testing.T) {
	j, path := tempJournal(t)
	mustAccept(t, j, message(1))
	must1(j.Dispatch(messageID(1), attempt(1)))(t)
	must1(j.End(messageID(1), done("the answer")))(t)
	j.Close()

	j = mustOpen(t, path)
	m := must1(j.Message(messageID(1)))(t)
	last := m.Last()
	last.At = last.At.UTC()
	if m.State != Done || m.Seq != 1 || m.Outcome != "success" || m.CostUSD != 0.25 || last != attempt(1) || !m.Ended().Equal(at(9)) {
		t.Fatalf("got %+v", m)
	}
	var states []State
	for _, c := range m.History {
		states = append(states, c.State)
	}
	if !slices.Equal(states, []State{Queued, Running, Done}) {
		t.Fatalf("history: got %v", states)
	}
	if b := must1(j.Body(m.ID))(t); string(b) != "body 1" {
		t.Fatalf("body: got %q", b)
	}
	if r := must1(j.Result(m.ID))(t); r.Text != "the answer" {
		t.Fatalf("result: got %+v", r)
	}
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
}

func TestChangesThatThereAreNot(t *testing.T) {
	ways := map[State]func(*Journal, string) error{
		Running:   func(j *Journal, id string) error { _, err := j.Dispatch(id, attempt(1)); return err },
		Queued:    func(j *Journal, id string) error { _, err := j.Requeue(id, "test", at(1)); return err },
		Done:      func(j *Journal, id string) error { _, err := j.End(id, done("x")); return err },
		Failed:    func(j *Journal, id string) error { _, err := j.End(id, End{State: Failed, At: at(1)}); return err },
		Cancelled: func(j *Journal, id string) error { _, err := j.End(id, End{State: Cancelled, At: at(1)}); return err },
		Expired:   func(j *Journal, id string) error { _, err := j.End(id, End{State: Expired, At: at(1)}); return err },
		Unknown:   func(j *Journal, id string) error { _, err := j.End(id, End{State: Unknown, At: at(1)}); return err },
	}
	allowed := map[State][]State{
		Queued:  {Running, Failed, Cancelled, Expired},
		Running: {Queued, Done, Failed, Cancelled, Unknown},
	}
	n := 0
	j, _ := tempJournal(t)
	for _, from := range states {
		for to, change := range ways {
			if from == to && from.Ended() {
				continue // the same end again is no change
			}
			n++
			mustReach(t, j, n, from)
			err := change(j, messageID(n))
			_, refused := errors.AsType[*StateError](err)
			if want := !slices.Contains(allowed[from], to); want != refused || (err != nil) != want {
				t.Errorf("%s -> %s: got %v", from, to, err)
			}
			now := must1(j.Message(messageID(n)))(t)
			if want := map[bool]State{true: from, false: to}[refused]; now.State != want {
				t.Errorf("%s -> %s: is %s", from, to, now.State)
			}
		}
	}
	if err := j.Check(); err != nil {
		t.Fatal(err)
	}
}

// mustReach brings message n into a state.
func mustReach(t *testing.T, j *Journal, n int, s State) {
	t.Helper()
	mustAccept(t, j, message(n))
	if s == Running || s == Done || s == Unknown {
		must1(j.Dispatch(messageID(n), attempt(n)))(t)
	}
	if s.Ended() {
		must1(j.End(messageID(n), End{State: s, At: at(n)}))(t)
	}
}

// What the attempts cost adds up, and is kept when the message is resolved.
func TestAnotherAttempt(t *testing.T) {
	j, path := tempJournal(t)
	n := message(1)
	n.Options.Deadline = at(5)
	mustAccept(t, j, n)
	must1(j.Dispatch(n.ID, attempt(2)))(t)
	long := &Result{Result: turn.Result{Outcome: "unknown", Text: strings.Repeat("l", inFile), CostUSD: 1, Usage: turn.Usage{Output: 10}}}
	m := must1(j.End(n.ID, End{State: Unknown, Result: long, At: at(9), Retry: true}))(t)
	if m.State != Queued || !m.Retried() || !m.Ended().IsZero() || m.History[3].By != "on_unknown" {
		t.Fatalf("got %+v", m)
	}
	must1(j.Dispatch(n.ID, attempt(10)))(t)
	must1(j.End(n.ID, End{State: Unknown, Result: long, At: at(11)}))(t)
	m = must1(j.Reattempt(n.ID, Change{At: at(12), By: "retry"}))(t)
	if r := must1(j.Result(n.ID))(t); r != nil || m.Outcome != "" || m.CostUSD != 2 {
		t.Fatalf("got %+v, result %+v", m, r)
	}
	if files := must1(os.ReadDir(filepath.Join(filepath.Dir(path), "bodies")))(t); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
	must1(j.Dispatch(n.ID, attempt(13)))(t)
	m = must1(j.End(n.ID, done("third")))(t)
	if len(m.Attempts) != 3 || m.CostUSD != 2.25 || m.Usage.Output != 20 || !m.Ended().Equal(at(9)) {
		t.Errorf("got %+v", m)
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
}

func TestOnlySomebodyResolvesAnUnknown(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Unknown)
	if got := ids(t, j.Unresolved()); len(got) != 1 {
		t.Fatalf("unresolved: got %v", got)
	}
	if _, err := j.Resolve(messageID(1), done("x")); err == nil {
		t.Fatal("resolved by nobody")
	}
	e := done("found")
	e.By, e.Note = "spool", "result found"
	m := must1(j.Resolve(messageID(1), e))(t)
	last := m.History[len(m.History)-1]
	if m.State != Done || last.By != "spool" || last.Note != "result found" || !last.At.Equal(at(9)) {
		t.Fatalf("got %+v", m)
	}
	e.State = Failed
	if _, err := j.Resolve(messageID(1), e); err == nil {
		t.Fatal("resolved twice")
	}
	if got := ids(t, j.Unresolved()); len(got) != 0 {
		t.Fatalf("unresolved: got %v", got)
	}
}

func TestTheSameEndAgainIsNoError(t *testing.T) {
	j, _ := tempJournal(t)
	mustReach(t, j, 1, Running)
	big := strings.Repeat("x", inFile)
	first := must1(j.End(messageID(1), done(big)))(t)
	again := must1(j.End(messageID(1), done(big)))(t)
	if len(again.History) != len(first.History) || again.Result.Sum != first.Result.Sum {
		t.Fatalf("got %+v, want %+v", again, first)
	}
	if _, err := j.End(messageID(1), done("other")); err == nil {
		t.Fatal("another result took the place of the first")
	}
	if files := must1(os.ReadDir(j.dir))(t); len(files) != 1 {
		t.Fatalf("got %v, want one file", files)
	}
}

func TestKeysAcceptOnce(t *testing.T) {
	j, path := tempJournal(t)
	n := message(1)
	n.Options.Key = "nightly"
	var wg sync.WaitGroup
	got := make([]Accepted, 100)
	for i := range got {
		wg.Go(func() {
			n := n
			n.ID = messageID(1 + i)
			var err error
			if got[i], err = j.Accept(n); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := 0
	for _, a := range got {
		if a.ID != got[0].ID || a.State != Queued {
			t.Fatalf("got %s %s, want %s", a.ID, a.State, got[0].ID)
		}
		if !a.Existing {
			fresh++
		}
	}
	if s := must1(j.Size())(t); fresh != 1 || s.Messages != 1 {
		t.Fatalf("%d were new, %d are on record", fresh, s.Messages)
	}
	j.Close()
	j = mustOpen(t, path)
	for _, change := range []func(*New){
		func(n *New) { n.Body = []byte("other") },
		func(n *New) { n.Team = "web" },
		func(n *New) { n.Session = "s" },
	} {
		other := n
		other.ID = messageID(200)
		change(&other)
		if _, err := j.Accept(other); !errors.Is(err, ErrConflict) {
			t.Fatalf("got %v, want a conflict", err)
		}
	}
	d := must1(j.AcceptAndDispatch(n, attempt(1)))(t)
	if !d.Existing || d.State != Queued {
		t.Fatalf("an existing message was dispatched: %+v", d)
	}
}

func TestAFreshMessageWithAKeyIsTheSameInEverySession(t *testing.T) {
	j, _ := tempJournal(t)
	for i := range 2 {
		n := New{ID: messageID(i), Team: "api", Session: "~" + messageID(i), Body: []byte("b"), At: at(i), Options: Options{Fresh: true, Key: "k"}}
		if a := mustAccept(t, j, n); a.Existing != (i == 1) {
			t.Fatalf("round %d: got %+v", i, a)
		}
	}
}

func TestADeadlineIsKeptAtDispatch(t *testing.T) {
	j, _ := tempJournal(t)
	n := message(1)
	n.Options.Deadline = at(5)
	mustAccept(t, j, n)
	m, err := j.Dispatch(n.ID, attempt(6))
	if !errors.Is(err, ErrExpired) || m.State != Expired || len(m.Attempts) != 0 {
		t.Fatalf("got %v, %+v", err, m)
	}
	if got := must1(j.Message(n.ID))(t); got.State != Expired {
		t.Fatalf("on record: %s", got.State)
	}
	n.ID = messageID(2)
	if a, err := j.AcceptAndDispatch(n, attempt(6)); !errors.Is(err, ErrExpired) || a.State != Expired {
		t.Fatalf("at once: got %v, %+v", err, a)
	}
	n.ID = messageID(3)
	if a := must1(j.AcceptAndDispatch(n, attempt(5)))(t); a.State != Running {
		t.Fatalf("in time: got %+v", a)
	}
}

func TestARequeuedMessageKeepsItsPlace(t *testing.T) {
	j, path := tempJournal(t)
	for i := range 3 {
		n := message(9 - i) // ids run backwards, as after a clock step
		mustAccept(t, j, n)
	}
	must1(j.Dispatch(messageID(9), attempt(1)))(t)
	must1(j.Requeue(messageID(9), "its process never said running", at(2)))(t)
	j.Close()
	j = mustOpen(t, path)
	want := []string{messageID(9), messageID(8), messageID(7)}
	if got := ids(t, j.Queued()); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if m := must1(j.Dispatch(messageID(9), attempt(3)))(t); len(m.Attempts) != 2 {
		t.Fatalf("attempts: got %+v", m.Attempts)
	}
}

// Content is kept in one of three places by its size; at each limit it comes back as it was.
func TestContentOfEverySizeComesBack(t *testing.T) {
	j, path := tempJournal(t)
	sizes := []int{0, 1, inRecord - 1, inRecord, inRecord + 1, inFile - 1, inFile, inFile + 1}
	body := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, sizes[i]) }
	for i := range sizes {
		n := message(i)
		n.Body = body(i)
		mustAccept(t, j, n)
	}
	j.Close()
	j = mustOpen(t, path)
	for i, size := range sizes {
		if b := must1(j.Body(messageID(i)))(t); !bytes.Equal(b, body(i)) {
			t.Errorf("%d bytes came back as %d", size, len(b))
		}
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
}

// foreign are names of files that are not the journal's.
var foreign = []string{"README", "notes of a person", "notes.txt", "m.body", "m.body.txt.AAAAAAAA", "m.text.AAAAAAAA"}

func TestLargeContentIsInFilesOfItsOwn(t *testing.T) {
	j, path := tempJournal(t)
	n := message(1)
	n.Body = bytes.Repeat([]byte("b"), inFile+1)
	m := must1(j.AcceptAndDispatch(n, attempt(1)))(t)
	must1(j.End(n.ID, done(strings.Repeat("r", inFile))))(t)
	info := must1(os.Stat(filepath.Join(filepath.Dir(path), "bodies", m.Body.File)))(t)
	dir := must1(os.Stat(filepath.Join(filepath.Dir(path), "bodies")))(t)
	if info.Mode().Perm() != 0o600 || dir.Mode().Perm() != 0o700 {
		t.Fatalf("modes: got %v in %v", info.Mode(), dir.Mode())
	}
	orphan := filepath.Join(j.dir, messageID(2)+".body.AAAAAAAA")
	later := filepath.Join(j.dir, messageID(1)+".result.AAAAAAAA")
	left := []string{orphan, later}
	for _, name := range foreign {
		left = append(left, filepath.Join(j.dir, name))
	}
	for _, p := range left {
		if err := os.WriteFile(p, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	j = mustOpen(t, path)
	if b := must1(j.Body(n.ID))(t); !bytes.Equal(b, n.Body) {
		t.Fatal("body differs")
	}
	if r := must1(j.Result(n.ID))(t); len(r.Text) != inFile {
		t.Fatal("result differs")
	}
	r := must1(j.Message(n.ID))(t).Result.File
	if got, want := filesIn(t, j.dir), slices.Sorted(slices.Values(append([]string{m.Body.File, r}, foreign...))); !slices.Equal(got, want) {
		t.Fatalf("got %q, want body, result and the person's files %q", got, want)
	}
	if s := must1(j.Size())(t); s.Bodies < 2*inFile {
		t.Fatalf("size: got %+v", s)
	}
	other := n
	other.Team = "web"
	if _, err := j.Accept(other); !errors.Is(err, ErrExists) {
		t.Fatalf("got %v, want %v", err, ErrExists)
	}
	if left := filesIn(t, j.dir); len(left) != 2+len(foreign) {
		t.Fatalf("a refused message left its file: %q", left)
	}
}

func TestBadMessagesAreRefused(t *testing.T) {
	j, _ := tempJournal(t)
	for _, n := range []New{
		{ID: "", Team: "api"},
		{ID: "../../x", Team: "api"},
		{ID: "a.b", Team: "api"},
		{ID: strings.Repeat("a", 65), Team: "api"},
		{ID: "a"},
		{ID: "a", Team: "api", Options: Options{Key: strings.Repeat("k", 1025)}},
	} {
		if _, err := j.Accept(n); err == nil {
			t.Errorf("accepted %+v", n)
		}
	}
	for _, c := range "/:@[`{" { // beside the letters and digits
		if _, err := j.Accept(New{ID: string(c), Team: "api"}); err == nil {
			t.Errorf("accepted %q", c)
		}
	}
	mustAccept(t, j, New{ID: strings.Repeat("a", 64), Team: "api", Options: Options{Key: strings.Repeat("k", 1024)}})
	mustAccept(t, j, New{ID: "-_09AZaz", Team: "api"})
	if _, err := j.Message("nosuch"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := j.Dispatch("nosuch", attempt(1)); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

// A sender that hangs up until the last moment leaves no message.
func TestMessageOfASenderThatIsGoneIsNotRecorded(t *testing.T) {
	j, _ := tempJournal(t)
	n := message(1)
	n.Body = make([]byte, 100_000) // a file beside the journal
	n.Gone = func() bool { return true }
	for _, accept := range []func() (Accepted, error){
		func() (Accepted, error) { return j.Accept(n) },
		func() (Accepted, error) { return j.AcceptAndDispatch(n, Attempt{Process: "p", At: at(1)}) },
	} {
		if _, err := accept(); !errors.Is(err, ErrGone) {
			t.Errorf("got %v", err)
		}
	}
	if s := must1(j.Size())(t); s.Messages != 0 || s.Bodies != 0 {
		t.Errorf("left: %+v", s)
	}
	if err := j.Check(); err != nil {
		t.Error(err)
	}
	n.Gone = func() bool { return false }
	must1(j.Accept(n))(t)
	n.Gone = func() bool { return true }
	if got := must1(j.Accept(n))(t); !got.Existing {
		t.Error("not found again")
	}
}
