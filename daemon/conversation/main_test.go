package conversation

import (
	"log/slog"
	"path/filepath"
	"testing"

	"iris/daemon/journal"
	"iris/daemon/store"
)

// opened returns a Store with a new journal, and the path of that.
func opened(t *testing.T, o store.Options) (s *store.Store, path string) {
	t.Helper()
	s, path = store.New(o), filepath.Join(t.TempDir(), "journal")
	s.Log = slog.New(slog.DiscardHandler)
	var err error
	if s.Journal, err = journal.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, path
}
