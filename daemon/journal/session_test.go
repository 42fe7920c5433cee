package journal

import (
	"testing"

	bolt "go.etcd.io/bbolt"
)

// lastCommit is the number of the transaction that was written last.
func lastCommit(t *testing.T, j *Journal) (n int) {
	t.Helper()
	if err := j.db.View(func(tx *bolt.Tx) error { n = tx.ID(); return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// A turn that says nothing new of its conversation costs no write.
func TestUseOfASessionWritesOnlyChanges(t *testing.T) {
	j, _ := tempJournal(t)
	if err := j.SetSession("k", Session{ID: "s1"}); err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		key, id string
		asked   bool
		model   string
		writes  bool
	}{
		{"k", "s1", false, "", false},
		{"k", "s1", true, "", true},
		{"k", "s1", true, "", false},
		{"k", "s1", true, "opus", true},
		{"k", "s1", true, "opus", false},
		{"k", "s1", false, "opus", false},
		{"k", "s2", true, "haiku", false},
		{"other", "s1", true, "haiku", false},
	} {
		before := lastCommit(t, j)
		if err := j.UseSession(c.key, c.id, c.asked, c.model); err != nil {
			t.Fatal(err)
		}
		if wrote := lastCommit(t, j) != before; wrote != c.writes {
			t.Errorf("step %d: written: %v", i, wrote)
		}
	}
	if s, _, err := j.Session("k"); err != nil || s != (Session{ID: "s1", Used: true, Model: "opus"}) {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestSessionIsRevisedOrForgotten(t *testing.T) {
	j, _ := tempJournal(t)
	revise := func(key string, keep bool) (asked int) {
		t.Helper()
		err := j.ReviseSession(key, func(s *Session) bool { asked++; s.Model = "opus"; return keep })
		if err != nil {
			t.Fatal(err)
		}
		return asked
	}
	if n := revise("k", true); n != 0 {
		t.Errorf("asked %d times without a conversation", n)
	}
	if _, ok, err := j.Session("k"); ok || err != nil {
		t.Errorf("a session came to be: %v", err)
	}
	if err := j.SetSession("k", Session{ID: "s1"}); err != nil {
		t.Fatal(err)
	}
	revise("k", true)
	if s, ok, err := j.Session("k"); !ok || err != nil || s != (Session{ID: "s1", Model: "opus"}) {
		t.Errorf("got %+v, %v", s, err)
	}
	revise("k", false)
	if _, ok, err := j.Session("k"); ok || err != nil {
		t.Errorf("it is still there: %v", err)
	}
	j.Close()
	if err := j.ReviseSession("k", func(*Session) bool { return true }); err == nil {
		t.Error("revised in a closed journal")
	}
}
