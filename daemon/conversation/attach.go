package conversation

import (
	"cmp"
	"time"

	"iris/daemon/journal"
	"iris/pool"
	"iris/pool/claude"
)

// Attach records that a person has the conversation in a terminal.
func (r *Registry) Attach(k pool.Key, a *journal.Attachment) error {
	return r.store.Heed(r.store.ReviseSession(Name(k), func(s *journal.Session) bool {
		s.Attached = a
		return true
	}))
}

// Detach records that the terminal has ended. If the person has left it in another session
// than that of the conversation (/clear), the conversation goes on in that one; an empty one
// changes nothing. config is the directory of Claude Code.
func (r *Registry) Detach(k pool.Key, session, config string) error {
	r.mu.Lock()
	r.memoryLocked(k).refusal = ""
	r.mu.Unlock()
	old, _, err := r.store.Session(Name(k))
	if err != nil {
		return err
	}
	session = cmp.Or(session, old.ID)
	path, err := claude.Transcript([]string{"CLAUDE_CONFIG_DIR=" + config}, session)
	used := err == nil && claude.LastAnswer(path) != ""
	return r.store.Heed(r.store.ReviseSession(Name(k), func(s *journal.Session) bool {
		if s.Attached = nil; session != s.ID {
			s.ID, s.Created, s.Used = session, time.Now(), false
		}
		s.Used = s.Used || used
		return true
	}))
}

// Adopt makes a session that was begun without iris the conversation of k.
func (r *Registry) Adopt(k pool.Key, session, dir string) error {
	return r.store.Heed(r.store.SetSession(Name(k), journal.Session{ID: session, Dir: dir, Created: time.Now(), Used: true}))
}
