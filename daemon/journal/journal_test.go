package journal

import (
	bolt "go.etcd.io/bbolt"

	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func mustOpen(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestSessionsSurviveReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := mustOpen(t, path)
	if _, ok, err := j.Session("api"); ok || err != nil {
		t.Fatalf("empty journal: got ok %v, err %v", ok, err)
	}
	want := Session{ID: "5b0c", Dir: "/srv/api", Created: time.Unix(1, 0).UTC()}
	if err := j.SetSession("api", want); err != nil {
		t.Fatal(err)
	}
	if err := j.SetSession("api@review", Session{ID: "77aa"}); err != nil {
		t.Fatal(err)
	}
	j.Close()

	j = mustOpen(t, path)
	got, ok, err := j.Session("api")
	if err != nil || !ok || got != want {
		t.Fatalf("got %+v %v %v, want %+v", got, ok, err, want)
	}
	var keys []string
	err = j.Sessions(func(key string, s Session) error { keys = append(keys, key+"="+s.ID); return nil })
	if err != nil || strings.Join(keys, " ") != "api=5b0c api@review=77aa" {
		t.Fatalf("got %v, %v", keys, err)
	}
}

// What is learned about a conversation is kept as long as the key still has that conversation.
func TestSessionOfAnotherConversationIsLeftAlone(t *testing.T) {
	j, _ := tempJournal(t)
	rewound := Session{ID: "s1", Rewound: "u"}
	if err := j.SetSession("k", rewound); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(key, id string) error{
		j.EndRewind, func(key, id string) error { return j.UseSession(key, id, true, "opus") },
	} {
		if err := errors.Join(f("k", "s0"), f("none", "s1")); err != nil {
			t.Error(err)
		}
	}
	if s, _, err := j.Session("k"); err != nil || s != rewound {
		t.Errorf("got %+v, %v, want %+v", s, err, rewound)
	}
	for i, step := range []struct {
		model string
		want  Session
	}{
		{"opus", Session{ID: "s1", Rewound: "u", Used: true, Model: "opus"}},
		{"", Session{ID: "s1", Rewound: "u", Used: true, Model: "opus"}},
		{"haiku", Session{ID: "s1", Rewound: "u", Used: true, Model: "haiku"}},
	} {
		if err := j.UseSession("k", "s1", true, step.model); err != nil {
			t.Error(err)
		}
		if s, _, err := j.Session("k"); err != nil || s != step.want {
			t.Errorf("step %d: got %+v, %v, want %+v", i, s, err, step.want)
		}
	}
	if err := j.EndRewind("k", "s1"); err != nil {
		t.Error(err)
	}
	if s, _, err := j.Session("k"); err != nil || s.Rewound != "" || s.Model != "haiku" {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, ok, err := j.Session("none"); ok || err != nil {
		t.Errorf("a session came to be: %v", err)
	}
}

// TestDamagedSessionHidesNoOther: the agents of all the others are looked for.
func TestDamagedSessionHidesNoOther(t *testing.T) {
	j, _ := tempJournal(t)
	for _, key := range []string{"a", "b", "c"} {
		if err := j.SetSession(key, Session{ID: key}); err != nil {
			t.Fatal(err)
		}
	}
	err := j.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketSessions).Put([]byte("b"), []byte("xxxx{}")) })
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	err = j.Sessions(func(key string, _ Session) error { keys = append(keys, key); return nil })
	if _, ok := errors.AsType[*DamageError](err); !ok || strings.Join(keys, " ") != "a c" {
		t.Fatalf("got %v, %v", keys, err)
	}
}

// mustSession writes something, so that a new journal has its name.
func mustSession(t *testing.T, j *Journal) {
	t.Helper()
	if err := j.SetSession("api", Session{ID: "5b0c"}); err != nil {
		t.Fatal(err)
	}
}

func TestOneOfTwoNewJournalsGetsTheName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	a, b := mustOpen(t, path), mustOpen(t, path)
	errs := []error{a.SetSession("api", Session{ID: "a"}), b.SetSession("api", Session{ID: "b"})}
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("got %v and %v, want one of them to be refused", errs[0], errs[1])
	}
	for i, j := range []*Journal{a, b} {
		if s, ok, err := j.Session("api"); errs[i] == nil && (err != nil || !ok || s.ID != string("ab"[i])) {
			t.Errorf("the one that has the name: got %+v, %v, %v", s, ok, err)
		}
		j.Close()
	}
	left, _ := filepath.Glob(path + "*")
	if len(left) != 1 {
		t.Errorf("left: %q", left)
	}
}

// A new journal is complete before bbolt opens it: bbolt would sync each of its parts, and a
// process that only opens the journal does not wait for the disk.
func TestNewJournalIsCompleteBeforeItIsOpened(t *testing.T) {
	j := &Journal{path: filepath.Join(t.TempDir(), "journal")}
	if err := j.create(); err != nil {
		t.Fatal(err)
	}
	db := must1(bolt.Open(j.unnamed, 0, &bolt.Options{ReadOnly: true}))(t)
	defer db.Close()
	err := db.View(wrapped(func(tx *txn) error {
		if have, err := readVersion(tx); have != version || err != nil {
			t.Errorf("version %d, %v", have, err)
		}
		return j.complete(tx)
	}))
	if err != nil {
		t.Error(err)
	}
}

// Where no system call gives a new file its name unless that is taken, two of them do.
func TestRelinkTakesNoNameAway(t *testing.T) {
	dir := t.TempDir()
	a, b, name := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, "name")
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, []byte(path), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := relink(a, name); err != nil {
		t.Fatal(err)
	}
	if err := relink(b, name); !errors.Is(err, os.ErrExist) {
		t.Errorf("got %v", err)
	}
	if got := filesIn(t, dir); !slices.Equal(got, []string{"b", "name"}) {
		t.Errorf("left: %q", got)
	}
	if got := must1(os.ReadFile(name))(t); string(got) != a {
		t.Errorf("it is %s now", got)
	}
}

func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	mustSession(t, mustOpen(t, path))
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("got %v, %v, want mode 0600", fi.Mode(), err)
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := mustOpen(t, path)
	mustSession(t, j)
	err := j.db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketMeta).Put(keyVersion, binary.BigEndian.AppendUint64(nil, version+1))
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "newer iris") {
		t.Fatalf("got %v, want a refusal that names the newer version", err)
	}
}

func TestHeldAndDamagedAreNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	mustSession(t, mustOpen(t, path))
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "held by another process") {
		t.Fatalf("second open: got %v", err)
	}
	bad := filepath.Join(t.TempDir(), "journal.db")
	if err := os.WriteFile(bad, []byte(strings.Repeat("not a journal ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(bad); err == nil || !strings.Contains(err.Error(), bad) {
		t.Fatalf("damaged: got %v, want the file's name", err)
	}
}

func TestSessionsMoveTogetherOrNotAtAll(t *testing.T) {
	j, _ := tempJournal(t)
	set := func(key string) {
		t.Helper()
		if err := j.SetSession(key, Session{ID: key}); err != nil {
			t.Fatal(err)
		}
	}
	list := func() (all []string) {
		t.Helper()
		err := j.Sessions(func(key string, s Session) error { all = append(all, key+"="+s.ID); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, key := range []string{"a/", "a/x", "a/y", "ab/", "b/y"} {
		set(key)
	}
	before := list()
	if err := j.MoveSessions("a/", "b/"); !errors.Is(err, ErrSession) {
		t.Errorf("got %v", err)
	}
	if got := list(); !slices.Equal(got, before) {
		t.Errorf("changed: %q", got)
	}
	err := j.update(func(tx *txn) error { // beside other changes of a transaction
		if err := moveSessions(tx, []byte("a/"), []byte("b/")); !errors.Is(err, ErrSession) {
			t.Errorf("got %v", err)
		}
		return nil
	})
	if got := list(); err != nil || !slices.Equal(got, before) {
		t.Errorf("changed: %q, %v", got, err)
	}
	if err := j.MoveSessions("a/", "c/"); err != nil {
		t.Fatal(err)
	}
	if got, want := list(), []string{"ab/=ab/", "b/y=b/y", "c/=a/", "c/x=a/x", "c/y=a/y"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
