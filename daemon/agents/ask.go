package agents

import (
	"context"
	"time"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool/claude"
)

// askWithin bounds the time for the answers of all live agents.
const askWithin = 2 * time.Second

// ExamineCall answers team.examine.
func (s *Supervisor) ExamineCall(ctx context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	found := examineTeams(ctx, s.o.Config(), s.Env, s.o.Paths, s.Reaper)
	s.askAgents(ctx, found.Teams)
	return found, nil
}

// askAgents adds the unreachable MCP servers of each team, which only a live agent knows.
func (s *Supervisor) askAgents(ctx context.Context, teams []ipc.TeamCheck) {
	live := map[string]*claude.Process{}
	for _, p := range s.Live() {
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
			s.o.Log.Debug("agent does not name its MCP servers", "team", t.Team, "err", err)
		}
	}
}

// ShowEnv answers config.env: the environment of a team's agents. Secrets are masked, unless
// a person asks for them.
func (s *Supervisor) ShowEnv(ctx context.Context, c *ipc.Call) (any, error) {
	var t ipc.EnvQuery
	if err := c.Bind(&t); err != nil {
		return nil, err
	}
	if t.Reveal {
		if err := s.CheckCaller(c, "reveal secrets"); err != nil {
			return nil, err
		}
	}
	k, err := s.key(t.Team, "")
	if err != nil {
		return nil, err
	}
	team, err := s.team(k.Team)
	if err != nil {
		return nil, fault.Team(err)
	}
	env, err := s.Env.Build(ctx, team, s.o.Paths.Socket)
	if err != nil {
		return nil, fault.New(ipc.CodeCannotRun, "environment", err)
	}
	if !t.Reveal {
		env.mask(team)
	}
	return ipc.Env{Team: team.Name, Vars: env.Vars}, nil
}
