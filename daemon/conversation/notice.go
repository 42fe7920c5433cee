package conversation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"iris/pool"
)

// memory is what a Registry knows of a conversation beyond its record.
type memory struct {
	notice  string // for its next answer
	refusal string // why the API refused its last message; empty if it did not
	unkept  unkept
}

// unkept is what was said last about a conversation that is not kept.
type unkept struct {
	text  string
	at    time.Time
	waits bool // for an answer that carries it
}

// unkeptEvery is the time after which a conversation that is not kept is noticed again.
const unkeptEvery = time.Hour

// memoryLocked returns the memory of a conversation. The caller must hold r.mu.
func (r *Registry) memoryLocked(k pool.Key) *memory {
	m := r.memories[k]
	if m == nil {
		m = &memory{}
		r.memories[k] = m
	}
	return m
}

// waiting is all that the next answer of the conversation is to say.
func (m *memory) waiting() string {
	if m.unkept.waits {
		return joined(m.notice, m.unkept.text)
	}
	return m.notice
}

func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), "; ")
}

// A Notice is a text that the next answer of a conversation carries.
type Notice struct {
	Key  pool.Key
	Text string
}

// TakeNotice returns the notice of a conversation and forgets it; empty for none.
func (r *Registry) TakeNotice(k pool.Key) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.memories[k]
	if m == nil {
		return ""
	}
	text := m.waiting()
	m.notice, m.unkept.waits = "", false
	return text
}

// PutNotice adds a notice to the next answer of a conversation.
func (r *Registry) PutNotice(k pool.Key, text string) {
	if text == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.memoryLocked(k)
	m.notice = joined(m.notice, text)
}

// Notices lists the notices that wait for an answer.
func (r *Registry) Notices() (all []Notice) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for k, m := range r.memories {
		if text := m.waiting(); text != "" {
			all = append(all, Notice{k, text})
		}
	}
	return all
}

// NoteLostWork adds a notice that background work has ended with the agent. A notice
// that already waits is kept instead.
func (r *Registry) NoteLostWork(k pool.Key, work []string) {
	r.store.Log.Info("background work ended with its agent", "team", k.Team, "session", k.Session, "tasks", len(work))
	if IsFresh(k) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.memoryLocked(k); m.notice == "" {
		m.notice = fmt.Sprintf("team %s: background work has ended with the agent that ran it: %s", k, strings.Join(work, "; "))
	}
}

// NoteUnkept adds a notice that an answer is not in the transcript of its
// conversation, unless the same was said within the last hour.
func (r *Registry) NoteUnkept(k pool.Key, text string) {
	now := unkept{fmt.Sprintf("team %s: %s", k, text), time.Now(), true}
	r.mu.Lock()
	m := r.memoryLocked(k)
	said := m.unkept.text == now.text && now.at.Sub(m.unkept.at) < unkeptEvery
	if !said {
		m.unkept = now
	}
	r.mu.Unlock()
	if !said {
		r.store.Log.Error("conversation not kept", "team", k.Team, "session", k.Session, "why", text)
	}
}
