package conversation

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/pool"
)

// The conversations of a directory that is gone are forgotten, but not those of one that is
// away for some days, of a team, or of a directory that nobody can see.
func TestConversationsOfDirectoriesThatAreGoneAreForgotten(t *testing.T) {
	s, _ := opened(t, store.Options{})
	var log bytes.Buffer
	s.Log = slog.New(slog.NewTextHandler(&log, nil))
	r := New(s)
	const day = 24 * time.Hour
	begun, keep := time.Now().Round(0), 35*day
	at := func(n int) time.Time { return begun.Add(time.Duration(n) * day) }
	root := t.TempDir()
	gone, away, here, file := filepath.Join(root, "gone"), filepath.Join(root, "away"), filepath.Join(root, "here"), filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(here, 0o700); err != nil {
		t.Fatal(err)
	}
	keys := []pool.Key{{Team: gone}, {Team: gone, Session: "s"}, {Team: away}, {Team: here}, {Team: "api"}, {Team: file + "/below"}}
	for _, k := range keys {
		if err := s.SetSession(Name(k), journal.Session{ID: k.String(), Dir: k.Team, Created: begun}); err != nil {
			t.Fatal(err)
		}
	}
	left := func() (all []pool.Key) {
		t.Helper()
		if err := r.List(func(k pool.Key, _ journal.Session) error { all = append(all, k); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	prune := func(days ...int) {
		t.Helper()
		for _, n := range days {
			if err := r.Prune(at(n), keep); err != nil {
				t.Fatal(err)
			}
		}
	}
	prune(1, 34, 36, 37, 42) // missing since day 36
	if n := len(left()); n != len(keys) {
		t.Errorf("%d are left, want all", n)
	}
	if err := os.Mkdir(away, 0o700); err != nil {
		t.Fatal(err)
	}
	prune(43)
	os.Remove(away)
	prune(44, 60, 77)
	if all := left(); len(all) != 4 || slices.ContainsFunc(all, func(k pool.Key) bool { return k.Team == gone }) {
		t.Errorf("left: %v", all)
	}
	prune(79, 86)
	if all := left(); len(all) != 3 || slices.ContainsFunc(all, func(k pool.Key) bool { return k.Team == away }) {
		t.Errorf("at last: %v", all)
	}
	if n := strings.Count(log.String(), "conversation forgotten"); n != len(keys)-len(left()) || strings.Count(log.String(), "\n") != n {
		t.Errorf("logged %s", &log)
	}
}

func TestRecordsOfAdaptersGoWithTheirConversations(t *testing.T) {
	s, _ := opened(t, store.Options{})
	r, state := New(s), t.TempDir()
	if err := r.PruneAdapters(state); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(state, Adapters)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.json", "b.json", ".new-1"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetSession(Name(pool.Key{Team: "api"}), journal.Session{ID: "b"}); err != nil {
		t.Fatal(err)
	}
	err := r.PruneAdapters(state)
	if left, _ := os.ReadDir(dir); err != nil || len(left) != 1 || left[0].Name() != "b.json" {
		t.Errorf("got %v, %v", left, err)
	}
}
