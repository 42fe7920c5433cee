package daemon

import (
	"context"
	"fmt"

	"iris/config"
	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// adoptCall answers session.adopt: a session that was begun without iris becomes the
// conversation of a team.
func (d *Daemon) adoptCall(ctx context.Context, c *ipc.Call) (any, error) {
	var p ipc.Adopt
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	k, err := d.key(p.Team, p.Session)
	if err == nil {
		err = conversation.CheckLasting(k)
	}
	if err != nil {
		return nil, err
	}
	t, err := d.team(k.Team)
	if err != nil {
		return nil, fault.Team(err)
	}
	if err := d.mayAdopt(k, t, p.SessionID); err != nil {
		return nil, err
	}
	env, err := d.agents.Env.Build(ctx, t, d.opts.Paths.Socket)
	if err != nil {
		return nil, fault.New(ipc.CodeCannotRun, "environment", err)
	}
	if err := adoptable(k, env.Assignments(), p.SessionID); err != nil {
		return nil, err
	}
	if err := d.stopIdle(k); err != nil {
		return nil, err
	}
	if err := d.conversations.Adopt(k, p.SessionID, t.Dir); err != nil {
		return nil, err
	}
	s, _, err := d.conversations.Get(k)
	return ipc.Adopted{Conversation: wireConversation(k, s), From: claude.WorkedIn(env.Assignments(), p.SessionID)}, err
}

// mayAdopt returns an error if a team cannot have a session, whatever the session is.
func (d *Daemon) mayAdopt(k pool.Key, t *config.Team, session string) error {
	if !claude.ValidSessionID(session) {
		e := fault.New(ipc.CodeUsage, "bad-session-id", fmt.Errorf("%q is no session id of Claude Code, which is a UUID", ipc.Clip(session, 64)))
		e.Data.Hint = "/status in Claude Code shows that of a session"
		return e
	}
	if t.Agent != "claude" {
		return fault.New(ipc.CodeUsage, "no-claude", fmt.Errorf("team %s has the agent %q, which takes no session of Claude Code", k, t.Agent))
	}
	return d.conversations.List(func(o pool.Key, s journal.Session) error {
		switch {
		case o == k && s.Used && s.ID != session:
			e := fault.New(ipc.CodeUsage, "conversation-exists", fmt.Errorf("team %s has a conversation already", k))
			e.Data.Hint = fmt.Sprintf("%q forgets it; %q gives the session a name of its own", fault.Command("session reset", k), "iris adopt "+k.Team+"@NAME "+session)
			return e
		case o != k && s.ID == session:
			return fault.New(ipc.CodeUsage, "conversation-exists", fmt.Errorf("session %s is the conversation of team %s already", session, o))
		}
		return nil
	})
}

// adoptable returns an error if a session is not there, or if somebody has it open.
func adoptable(k pool.Key, env []string, session string) error {
	config := claude.ConfigDir(env)
	path, err := claude.Transcript(env, session)
	switch {
	case err != nil:
		return fault.New(ipc.CodeFailed, "failed", err)
	case path == "":
		e := fault.New(ipc.CodeNotFound, "no-such-session", fmt.Errorf("no session %s of Claude Code in %s", session, config))
		e.Data.Hint = "/status in Claude Code shows that of a session; CLAUDE_CONFIG_DIR must be the same for the team"
		return e
	}
	if pid := claude.OpenBy(config, session, 0); pid != 0 {
		return fault.Of(k, "", &claude.OpenError{SessionID: session, PID: pid})
	}
	return nil
}
