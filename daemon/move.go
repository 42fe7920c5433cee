package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"iris/config"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
)

// moveCall gives the conversations of one team to another: a directory has become a team, or a
// team gets another name. The client changes the configuration.
func (d *Daemon) moveCall(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Move
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if err := config.CheckName("team", p.To); err != nil {
		return nil, fault.New(ipc.CodeUsage, "bad-name", err)
	}
	list := ipc.ConversationList{Conversations: []ipc.Conversation{}}
	moved, err := d.conversationsOf(p.From)
	if err != nil {
		return nil, err
	}
	for k := range moved { // messages that come meanwhile wait, and then begin new conversations
		d.pool.Hold(k, "its team to be renamed")
		defer d.delivery.Unhold(k)
	}
	if err := d.move(&p, moved); err != nil {
		return nil, err
	}
	for k, s := range moved {
		list.Conversations = append(list.Conversations, wireConversation(pool.Key{Team: p.To, Session: k.Session}, s))
	}
	slices.SortFunc(list.Conversations, func(a, b ipc.Conversation) int { return cmp.Compare(a.Session, b.Session) })
	return list, nil
}

// move moves conversations that are held, after it has stopped their idle agents.
func (d *Daemon) move(p *ipc.Move, moved map[pool.Key]journal.Session) error {
	for k := range moved {
		if err := d.attach.Check(k); err != nil {
			return err
		}
		_, there, err := d.conversations.Get(pool.Key{Team: p.To, Session: k.Session})
		if err != nil || there {
			return cmp.Or(err, taken(p, k))
		}
	}
	if err := d.delivery.Unfinished(p.From); err != nil {
		return err
	}
	of := func(k pool.Key) bool { return k.Team == p.From }
	if !p.Check {
		d.pool.Evict(of, "evicted")
	}
	for _, a := range d.pool.Snapshot().Processes {
		goes := p.Check && (a.State == pool.Idle || a.State == pool.Stopping)
		if of(a.Key) && !goes { // it starts, works by itself, or is an orphan
			e := fault.New(ipc.CodeFull, "busy", fmt.Errorf("team %s: its agent is at work", a.Key))
			e.Data.Hint = fmt.Sprintf("try again when it is idle, or end it: %q", fault.Command("kill", a.Key))
			return e
		}
	}
	if p.Check {
		return nil
	}
	err := d.conversations.Move(p.From, p.To)
	if errors.Is(err, journal.ErrSession) {
		return taken(p, pool.Key{Team: p.To})
	}
	return err
}

// taken says that the new name has a conversation already.
func taken(p *ipc.Move, k pool.Key) error {
	to := pool.Key{Team: p.To, Session: k.Session}
	e := fault.New(ipc.CodeUsage, "conversation-exists", fmt.Errorf("team %s has a conversation already, which that of %s would replace", to, p.From))
	e.Data.Hint = fmt.Sprintf("%q forgets it", fault.Command("session reset", to))
	return e
}

// conversationsOf returns the conversations on record of a team.
func (d *Daemon) conversationsOf(team string) (map[pool.Key]journal.Session, error) {
	all := map[pool.Key]journal.Session{}
	err := d.conversations.List(func(k pool.Key, s journal.Session) error {
		if k.Team == team {
			all[k] = s
		}
		return nil
	})
	return all, err
}

// retireUnnamed lets the agents go whose team is gone from the configuration, or has another
// name in it: the directory of a conversation has become a team. No message reaches them.
func (d *Daemon) retireUnnamed(cfg *config.Config) {
	gone := map[pool.Key]bool{}
	for _, a := range d.pool.Snapshot().Processes {
		if t, err := cfg.Lookup(a.Key.Team); err != nil || t.Name != a.Key.Team {
			gone[a.Key] = true
		}
	}
	if len(gone) > 0 {
		d.life.wg.Go(func() { d.pool.Evict(func(k pool.Key) bool { return gone[k] }, "evicted") })
	}
}
