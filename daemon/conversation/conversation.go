package conversation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"iris/config"
	"iris/daemon/journal"
	"iris/daemon/store"
	"iris/pool"
	"iris/pool/claude"
	"iris/pool/turn"
)

// FreshPrefix begins the session names of messages that run in a conversation of
// their own. A name given by a user cannot begin with it.
const FreshPrefix = "~"

// A Registry keeps the conversations. Any goroutine may call its methods.
type Registry struct {
	store *store.Store

	mu       sync.Mutex // protects the fields below; held for a moment
	memories map[pool.Key]*memory
}

// New returns the Registry of the conversations in a journal.
func New(s *store.Store) *Registry {
	return &Registry{store: s, memories: map[pool.Key]*memory{}}
}

// Get returns the record of a conversation; false if there is none.
func (r *Registry) Get(k pool.Key) (journal.Session, bool, error) { return r.store.Session(Name(k)) }

// List calls f for each conversation on record until f fails.
func (r *Registry) List(f func(pool.Key, journal.Session) error) error {
	return r.store.Sessions(func(recorded string, s journal.Session) error { return f(key(recorded), s) })
}

// Reset forgets a conversation, so that its next message begins a new one.
func (r *Registry) Reset(k pool.Key) error {
	r.mu.Lock()
	m := r.memoryLocked(k)
	m.refusal, m.unkept = "", unkept{}
	r.mu.Unlock()
	return r.store.Heed(r.store.DeleteSession(Name(k)))
}

// Move gives all conversations of one team to another one: all of them, or with an
// error none. The error is journal.ErrSession if the other team has a conversation of
// the same session. No agent of either may live.
func (r *Registry) Move(from, to string) error {
	if err := r.store.Heed(r.store.MoveSessions(Name(pool.Key{Team: from}), Name(pool.Key{Team: to}))); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, m := range maps.Clone(r.memories) {
		if k.Team == from {
			delete(r.memories, k)
			other := r.memoryLocked(pool.Key{Team: to, Session: k.Session})
			m.notice = joined(other.notice, m.notice)
			*other = *m
		}
	}
	return nil
}

// Rewind makes the next agent of a conversation continue after an earlier answer,
// which at names in its transcript.
func (r *Registry) Rewind(k pool.Key, s journal.Session, at string) error {
	s.Rewound = at
	r.mu.Lock()
	r.memoryLocked(k).refusal = ""
	r.mu.Unlock()
	return r.store.Heed(r.store.SetSession(Name(k), s))
}

// Find returns the conversation that an agent for k starts with: the recorded one,
// with the answer that it was rewound to, or a new one, which is recorded before its
// agent exists. A *claude.ResumeError says that the recorded conversation is not
// where it should be.
func (r *Registry) Find(k pool.Key, t *config.Team, env []string, fresh bool) (id, rewound string, err error) {
	if fresh {
		return claude.NewSessionID(), "", nil
	}
	s, ok, err := r.store.Session(Name(k))
	switch {
	case err != nil:
		return "", "", err
	case !ok:
		id, err = r.begin(k, t, journal.Session{})
		return id, "", err
	case t.Agent == "claude" && s.Used:
		path, err := claude.Transcript(env, s.ID)
		if err == nil && path == "" {
			err = &claude.ResumeError{SessionID: s.ID, Why: "its transcript is gone", Missing: true}
		}
		return s.ID, s.Rewound, err
	}
	return s.ID, s.Rewound, nil
}

// Elsewhere adds to the error of a lost conversation that its team has moved, or that
// the link which is the team's directory has. Some versions of Claude Code do not find
// a conversation of another directory.
func (r *Registry) Elsewhere(k pool.Key, t *config.Team, env []string, lost *claude.ResumeError) {
	s, _, err := r.store.Session(Name(k))
	if err != nil || s.ID != lost.SessionID {
		return
	}
	if s.Dir != t.Dir {
		lost.Why = fmt.Sprintf("it was in %s, the team is in %s now: %s", s.Dir, t.Dir, lost.Why)
		return
	}
	was := claude.WorkedIn(env, s.ID)
	if now, err := filepath.EvalSymlinks(t.Dir); err == nil && was != "" && was != now {
		lost.Why = fmt.Sprintf("it was in %s, and %s leads to %s now: %s", was, t.Dir, now, lost.Why)
	}
}

// MoveTo records that a conversation continues in another directory.
func (r *Registry) MoveTo(k pool.Key, dir string) {
	if IsFresh(k) {
		return
	}
	s, ok, err := r.store.Session(Name(k))
	if err == nil && ok && s.Dir != dir {
		s.Dir = dir
		err = r.store.SetSession(Name(k), s)
	}
	if err != nil {
		r.store.Log.Warn("directory of conversation not recorded", "team", k.Team, "session", k.Session, "err", err)
	}
}

// OrNew handles a conversation that cannot be resumed: it begins a new one and leaves
// a notice, or returns an error. If the model was never asked in that conversation,
// which is so after /clear, nothing is lost and there is nothing to say.
func (r *Registry) OrNew(ctx context.Context, o *claude.Options, k pool.Key, t *config.Team, err error) error {
	lost, ok := errors.AsType[*claude.ResumeError](err)
	old, empty := journal.Session{}, false
	if ok && lost.Missing {
		old, empty = r.unused(k)
	}
	if !ok || !empty && t.OnResumeFailure != "fresh" {
		return &pool.StartError{Team: k.Team, Permanent: ok, Err: err}
	}
	r.store.Log.Warn("a new conversation is begun", "team", k.Team, "session", k.Session, "err", err)
	if !empty {
		r.PutNotice(k, fmt.Sprintf("team %s: a new conversation was begun: %v", k, err))
	}
	err = r.store.PersistUntil(ctx, func() (err error) {
		o.RewindTo = ""
		if o.SessionID, err = r.begin(k, t, old); err == nil {
			o.Model, err = r.PinModel(k, false, o.Variant)
		}
		return err
	})
	if err != nil {
		return &pool.StartError{Team: k.Team, Err: err}
	}
	return nil
}

// unused returns the record of a conversation in which the model was never asked;
// false if it was, or if there is no record.
func (r *Registry) unused(k pool.Key) (journal.Session, bool) {
	s, ok, err := r.store.Session(Name(k))
	if err != nil || !ok || s.Used {
		return journal.Session{}, false
	}
	return s, true
}

// begin begins a conversation with the model of an old one.
func (r *Registry) begin(k pool.Key, t *config.Team, old journal.Session) (string, error) {
	s := journal.Session{ID: claude.NewSessionID(), Dir: t.Dir, Created: time.Now(), Model: old.Model, Lent: old.Lent}
	return s.ID, r.store.SetSession(Name(k), s)
}

// Name is the name of a conversation in the journal. Directories may contain an "@",
// so it is not the name that people see.
func Name(k pool.Key) string { return k.Team + "\x00" + k.Session }

// Of is the conversation of a recorded message.
func Of(m *journal.Message) pool.Key { return pool.Key{Team: m.Team, Session: m.Session} }

// key is the reverse of Name.
func key(recorded string) pool.Key {
	team, session, _ := strings.Cut(recorded, "\x00")
	return pool.Key{Team: team, Session: session}
}

// MoveOn follows an agent that changed to another conversation (/clear).
func (r *Registry) MoveOn(k pool.Key, dir, id string) {
	if IsFresh(k) {
		return
	}
	s, _, err := r.store.Session(Name(k)) // its model stays
	if err == nil {
		s.ID, s.Dir, s.Created, s.Used, s.Rewound = id, dir, time.Now(), false, ""
		err = r.store.SetSession(Name(k), s)
	}
	if err != nil {
		r.store.Log.Error("conversation not recorded", "team", k.Team, "session", k.Session, "err", err)
	}
}

// IsFresh reports whether a conversation has a single message.
func IsFresh(k pool.Key) bool { return len(k.Session) > 0 && k.Session[:1] == FreshPrefix }

// EndRewind records that the agent has had a turn after the place that a conversation
// was rewound to.
func (r *Registry) EndRewind(k pool.Key, id string) {
	if IsFresh(k) {
		return
	}
	if err := r.store.EndRewind(Name(k), id); err != nil {
		r.store.Log.Error("end of a rewind not recorded", "team", k.Team, "session", k.Session, "err", r.store.Heed(err))
	}
}

// Use records that a conversation has had an answer, and the model of it unless the
// message asked for one. Once the model was asked there is something to resume, and a
// missing transcript is a loss; a command such as /clear leaves nothing that would be
// missed. If the answer is of another conversation, the agent changed to it (/clear)
// and that could not be recorded: no daemon was there, or the journal had no room.
func (r *Registry) Use(k pool.Key, res *turn.Result, model string) {
	id := res.SessionID
	if IsFresh(k) {
		return
	}
	if s, ok, err := r.store.Session(Name(k)); err == nil && ok && s.ID != id && claude.ValidSessionID(id) {
		r.MoveOn(k, s.Dir, id)
	}
	if err := r.store.UseSession(Name(k), id, res.Turns > 0, model); err != nil {
		r.store.Log.Error("conversation not recorded", "team", k.Team, "session", k.Session, "err", r.store.Heed(err))
	}
}

// NoteRefusal compares the API's refusal of a message with that of the message before
// it in the same conversation.
func (r *Registry) NoteRefusal(k pool.Key, res *turn.Result) {
	if res == nil || IsFresh(k) {
		return
	}
	why := ""
	if res.Refused() {
		why = res.Err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.memoryLocked(k)
	if why != "" && why == m.refusal {
		res.Reason = turn.RefusedAgain
	}
	m.refusal = why
}
