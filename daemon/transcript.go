package daemon

import (
	"context"

	"iris/daemon/conversation"
	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// locateCall answers session.locate: the transcript of a message, or of a conversation if
// the id is empty.
func (d *Daemon) locateCall(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.MessageRef
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if p.ID != "" {
		return d.messageTranscript(p.ID)
	}
	k, err := d.key(p.Team, p.Session)
	if err != nil {
		return nil, err
	}
	id, err := d.sessionID(k)
	if err != nil {
		return nil, err
	}
	return d.placed(k, ipc.Transcript{SessionID: id})
}

// messageTranscript finds the transcript of a message. The conversation may have moved on to
// another since.
func (d *Daemon) messageTranscript(id string) (any, error) {
	m, err := d.store.Message(id)
	if err != nil {
		return nil, d.store.LookupError(id, err)
	}
	r, err := d.store.Result(id)
	if err != nil {
		return nil, d.store.LookupError(id, err)
	}
	k := conversation.Of(&m)
	t := ipc.Transcript{State: string(m.State), Since: ipc.Moment(m.Last().At), Until: ipc.Moment(m.Ended())}
	if r != nil {
		t.SessionID = r.SessionID
	}
	if t.SessionID == "" && m.State == journal.Running {
		t.SessionID = d.sessionOf(m.Last().Process)
	}
	if t.SessionID == "" {
		if t.SessionID, err = d.sessionID(k); err != nil {
			return nil, err
		}
	}
	return d.placed(k, t)
}

// placed adds the team, the session and the path of the file.
func (d *Daemon) placed(k pool.Key, t ipc.Transcript) (any, error) {
	t.Team, t.Session = k.Team, k.Session
	team, err := d.team(k.Team)
	if err != nil {
		return nil, fault.Team(err)
	}
	t.Agent = team.Agent
	if t.Agent != "claude" || t.SessionID == "" {
		return t, nil
	}
	env, err := d.agents.Env.Known(team, d.opts.Paths.Socket)
	if err != nil {
		return nil, fault.New(ipc.CodeCannotRun, "environment", err)
	}
	t.Path, _ = claude.Transcript(env.Assignments(), t.SessionID)
	return t, nil
}

// sessionID returns the recorded session id of a conversation; empty for none.
func (d *Daemon) sessionID(k pool.Key) (string, error) {
	s, _, err := d.conversations.Get(k)
	if err != nil {
		return "", fault.New(ipc.CodeFailed, "journal", d.store.Heed(err))
	}
	return s.ID, nil
}

// sessionOf returns the current session id of a live agent; empty if it is gone.
func (d *Daemon) sessionOf(process string) string {
	for _, p := range d.agents.Live() {
		if p.ID == process {
			return p.Agent.Session()
		}
	}
	return ""
}
