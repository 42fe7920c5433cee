package daemon

import (
	"context"
	"fmt"
	"slices"

	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude/transcript"
)

// sessions lists the conversations on record.
func (d *Daemon) sessions(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	list := ipc.ConversationList{Conversations: []ipc.Conversation{}}
	err := d.conversations.List(func(k pool.Key, s journal.Session) error {
		list.Conversations = append(list.Conversations, wireConversation(k, s))
		return nil
	})
	return list, err
}

func wireConversation(k pool.Key, s journal.Session) ipc.Conversation {
	c := ipc.Conversation{Team: k.Team, Session: k.Session, SessionID: s.ID, Dir: s.Dir, Created: s.Created}
	if s.Attached != nil {
		c.Attached = s.Attached.Client.PID
	}
	return c
}

// reset forgets a conversation, so that the next message begins a new one. It stops an idle
// agent first, and fails while the agent is busy.
func (d *Daemon) reset(_ context.Context, c *ipc.Call) (any, error) {
	var t ipc.Target
	if err := c.Bind(&t); err != nil {
		return nil, err
	}
	k, s, err := d.closeSession(t.Team, t.Session)
	if err != nil {
		return nil, err
	}
	return wireConversation(k, s), d.conversations.Reset(k)
}

// rewind takes back the last turns of a conversation: the next agent goes on before them. It
// stops an idle agent first, and fails while the agent is busy.
func (d *Daemon) rewind(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Rewind
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if p.Turns < 0 {
		return nil, ipc.Errorf(ipc.CodeUsage, "turns: %d is negative", p.Turns)
	}
	k, s, err := d.closeSession(p.Team, p.Session)
	if err != nil {
		return nil, err
	}
	t, err := d.team(k.Team)
	if err != nil {
		return nil, fault.Team(err)
	}
	to := transcript.Rewind{}
	path := d.agents.Transcript(t, s.ID)
	if err = transcript.ErrNoRewind; path != "" {
		to, err = transcript.FindRewind(path, s.Rewound, p.Turns)
	}
	if err != nil {
		e := fault.New(ipc.CodeFailed, "no-rewind", fmt.Errorf("team %s: its conversation cannot be rewound: %w", k, err))
		e.Data.Hint = fmt.Sprintf(`"%s" begins a new one`, fault.Command("session reset", k))
		return nil, e
	}
	return ipc.Rewound{Team: k.Team, Session: k.Session, SessionID: s.ID, Turns: to.Turns, Last: to.Last}, d.conversations.Rewind(k, s, to.At)
}

// closeSession stops the idle agent of a conversation, and returns the key and the record of
// the conversation. It fails while the agent is busy or starting.
func (d *Daemon) closeSession(team, session string) (k pool.Key, s journal.Session, err error) {
	if k, err = d.recordedKey(team, session); err != nil {
		return k, s, err
	}
	if err = d.stopIdle(k); err != nil {
		return k, s, err
	}
	s, ok, err := d.conversations.Get(k)
	if err == nil && !ok {
		err = fault.New(ipc.CodeNotFound, "no-conversation", fmt.Errorf("team %s has no conversation", k))
	}
	return k, s, err
}

// stopIdle stops the idle agent of a conversation. It fails while the agent is busy or
// starting, and while somebody has the conversation in a terminal.
func (d *Daemon) stopIdle(k pool.Key) error {
	if err := d.attach.Check(k); err != nil {
		return err
	}
	busy := fault.New(ipc.CodeFull, "busy", fmt.Errorf("team %s: its agent is in the middle of a turn", k))
	if p, ok := d.agentOf(k); ok && (p.State == pool.Busy || p.State == pool.Starting) {
		return busy // without evicting it
	}
	d.pool.Evict(func(o pool.Key) bool { return o == k }, "evicted")
	if _, ok := d.agentOf(k); ok { // its turn has just begun, or it is an orphan
		return busy
	}
	return nil
}

// recordedKey is key, but also knows a conversation whose team is gone from the configuration.
func (d *Daemon) recordedKey(team, session string) (pool.Key, error) {
	k, err := d.key(team, session)
	if gone := (pool.Key{Team: team, Session: session}); err != nil {
		if _, ok, _ := d.conversations.Get(gone); ok {
			return gone, nil
		}
	}
	return k, err
}

// agentOf returns the agent of a conversation.
func (d *Daemon) agentOf(k pool.Key) (agents.Info, bool) {
	all := d.pool.Snapshot().Processes
	i := slices.IndexFunc(all, func(p agents.Info) bool { return p.Key == k })
	if i < 0 {
		return agents.Info{}, false
	}
	return all[i], true
}
