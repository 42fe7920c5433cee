package daemon

import (
	"context"
	"time"

	"iris/config"
	"iris/daemon/agents"
	"iris/ipc"
	"iris/pool/claude"
)

// askWithin is how long the live agents may take to answer what is asked of them.
const askWithin = 2 * time.Second

// Examine looks at all teams as a daemon would that a command starts with these
// paths. It starts none, and asks the login shell.
func Examine(ctx context.Context, paths config.Paths) (ipc.Examination, error) {
	return agents.Examine(ctx, paths)
}

// examineCall answers team.examine.
func (d *Daemon) examineCall(ctx context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	found := agents.ExamineTeams(ctx, d.config.Load(), d.agents.env, d.opts.Paths, d.agents.reaper)
	d.askAgents(ctx, found.Teams)
	return found, nil
}

// askAgents adds what only a live agent knows: one of each team is asked.
func (d *Daemon) askAgents(ctx context.Context, teams []ipc.TeamCheck) {
	live := map[string]*claude.Process{}
	for _, p := range d.liveAgents() {
		live[p.Key.Team] = p.Agent
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	for i := range teams {
		t := &teams[i]
		a := live[t.Team]
		if a == nil || t.Agent != "claude" {
			continue
		}
		var err error
		if t.Servers, err = a.Unreachable(ctx); err != nil {
			d.log.Debug("agent does not name its MCP servers", "team", t.Team, "err", err)
		}
	}
}
