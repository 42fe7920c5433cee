package conversation

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"iris/daemon/journal"
	"iris/pool"
)

// missingFor is how long the directory of a conversation must be missing before the
// conversation is forgotten: it may be on a disk that is only sometimes there.
const missingFor = 7 * 24 * time.Hour

// Prune forgets conversations of directories that belong to no team and are no longer
// there: nobody could send to them. It looks for a directory once in the time keep, and
// while it is missing at each call. An error may follow others.
func (r *Registry) Prune(now time.Time, keep time.Duration) error {
	var errs []error
	err := r.List(func(k pool.Key, s journal.Session) error {
		seen := s.Seen
		if seen.IsZero() {
			seen = s.Created
		}
		if filepath.IsAbs(k.Team) && now.Sub(seen) > keep {
			errs = append(errs, r.look(k, s.ID, now))
		}
		return nil
	})
	return errors.Join(append(errs, err)...)
}

// Adapters is the directory in the state directory where adapters record, in a file for
// each, which conversation of their program is which of iris.
const Adapters = "adapters"

// PruneAdapters removes the records of adapters about conversations that are forgotten.
func (r *Registry) PruneAdapters(state string) error {
	dir := filepath.Join(state, Adapters)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	known := map[string]bool{}
	err = errors.Join(err, r.List(func(_ pool.Key, s journal.Session) error {
		known[s.ID+".json"] = true
		return nil
	}))
	if err != nil { // then not all are known
		return err
	}
	var errs []error
	for _, f := range files { // read first: what came later is of a conversation in the list
		if !known[f.Name()] {
			errs = append(errs, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return errors.Join(errs...)
}

// look looks for the directory of a conversation, and records whether it is there.
func (r *Registry) look(k pool.Key, id string, now time.Time) error {
	_, err := os.Stat(k.Team)
	there := err == nil
	if !there && !errors.Is(err, fs.ErrNotExist) {
		return nil // nobody can tell
	}
	gone := false
	err = r.store.ReviseSession(Name(k), func(s *journal.Session) bool {
		switch {
		case s.ID != id: // another conversation by now
		case there:
			s.Seen, s.Missing = now, time.Time{}
		case s.Missing.IsZero() || s.Missing.After(now):
			s.Missing = now
		default:
			gone = now.Sub(s.Missing) >= missingFor
		}
		return !gone
	})
	if gone && err == nil {
		r.store.Log.Info("conversation forgotten, its directory is gone", "team", k.Team, "session", k.Session)
	}
	return err
}
