package conversation

import (
	"fmt"
	"strings"

	"iris/pool"
)

// A Notice is a text that the next answer of a conversation carries.
type Notice struct {
	Key  pool.Key
	Text string
}

// TakeNotice returns the notice of a conversation and forgets it; empty for none.
func (r *Registry) TakeNotice(k pool.Key) string {
	text, _ := r.notices.LoadAndDelete(k)
	s, _ := text.(string)
	return s
}

// PutNotice adds a notice to the next answer of a conversation.
func (r *Registry) PutNotice(k pool.Key, text string) { r.notices.Store(k, text) }

// Notices lists the notices that wait for an answer.
func (r *Registry) Notices() (all []Notice) {
	r.notices.Range(func(k, text any) bool {
		all = append(all, Notice{k.(pool.Key), text.(string)})
		return true
	})
	return all
}

// NoteLostWork adds a notice that background work has ended with the agent. A notice
// that already waits is kept instead.
func (r *Registry) NoteLostWork(k pool.Key, work []string) {
	r.store.Log.Info("background work ended with its agent", "team", k.Team, "session", k.Session, "tasks", len(work))
	if !IsFresh(k) {
		r.notices.LoadOrStore(k, fmt.Sprintf("team %s: background work has ended with the agent that ran it: %s", k, strings.Join(work, "; ")))
	}
}
