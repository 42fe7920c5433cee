package daemon

import (
	"context"
	"fmt"
	"strings"

	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// sessions lists the conversations on record.
func (d *Daemon) sessions(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	list := ipc.ConversationList{Conversations: []ipc.Conversation{}}
	err := d.journal.Sessions(func(key string, s journal.Session) error {
		list.Conversations = append(list.Conversations, conversation(recorded(key), s))
		return nil
	})
	return list, err
}

func conversation(k pool.Key, s journal.Session) ipc.Conversation {
	return ipc.Conversation{Team: k.Team, Session: k.Session, SessionID: s.ID, Dir: s.Dir, Created: s.Created}
}

// reset forgets a conversation, so that the next message begins a new one. Its
// agent leaves first; a busy one is in the way.
func (d *Daemon) reset(_ context.Context, c *ipc.Call) (any, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return nil, err
	}
	k, err := d.key(t.Team, t.Session)
	if err != nil {
		return nil, err
	}
	_, busy := d.pool.Evict(func(o pool.Key) bool { return o == k })
	if len(busy) > 0 {
		return nil, coded(ipc.CodeFull, "busy", fmt.Errorf("team %s: its agent is in the middle of a turn", k))
	}
	s, ok, err := d.journal.Session(record(k))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, coded(ipc.CodeNotFound, "no-conversation", fmt.Errorf("team %s has no conversation", k))
	}
	return conversation(k, s), d.journal.DeleteSession(record(k))
}

// used notes that a conversation has had an answer, and of which model unless
// the message had asked for one. From then on there is a transcript, and one
// that is missing is a loss. An answer of another conversation is that of an agent
// which has moved on (/clear) when nobody could note it: no daemon was there, or the
// journal had no room.
func (d *Daemon) used(k pool.Key, id, model string) {
	if isFresh(k) {
		return
	}
	if s, ok, err := d.journal.Session(record(k)); err == nil && ok && s.ID != id && claude.ValidSessionID(id) {
		d.setSession(k, s.Dir, id)
	}
	if err := d.journal.UseSession(record(k), id, model); err != nil {
		d.log.Error("conversation not recorded", "team", k.Team, "session", k.Session, "err", d.journalError(err))
	}
}

// lostWork has the next answer of a conversation say that something in the
// background has ended with the agent. A notice that waits already comes first.
func (d *Daemon) lostWork(k pool.Key, work []string) {
	d.log.Info("background work ended with its agent", "team", k.Team, "session", k.Session, "tasks", len(work))
	if !isFresh(k) {
		d.notices.LoadOrStore(k, fmt.Sprintf("team %s: background work has ended with the agent that ran it: %s", k, strings.Join(work, "; ")))
	}
}
