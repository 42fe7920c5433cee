package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"iris/config"
	"iris/ipc"
)

const (
	defaultLimit = 20
	maxLimit     = 200
	maxScan      = 1000 // messages that are looked at for those of one team
	wakeWithin   = 2 * time.Minute
)

type listInput struct {
	Team  string `json:"team,omitempty" jsonschema:"only messages to this team"`
	State string `json:"state,omitempty" jsonschema:"only those in this state: queued, running, done, failed, cancelled, expired or unknown"`
	Limit int    `json:"limit,omitempty" jsonschema:"at most so many, by default 20"`
}

type listed struct {
	ID       string    `json:"id"`
	To       string    `json:"to"`
	From     string    `json:"from,omitempty" jsonschema:"the agent that has sent it; empty for a person"`
	State    string    `json:"state"`
	Accepted time.Time `json:"accepted"`
	Error    string    `json:"error,omitempty"`
	CostUSD  float64   `json:"cost_usd,omitempty"`
}

type list struct {
	Messages []listed `json:"messages"`
	More     bool     `json:"more,omitempty" jsonschema:"there are older ones"`
}

func (s *server) listMessages(ctx context.Context, _ *mcp.CallToolRequest, in listInput) (list, error) {
	out := list{Messages: []listed{}}
	if in.Limit < 0 || in.Limit > maxLimit {
		return out, fmt.Errorf("limit is %d: it must be 1 to %d", in.Limit, maxLimit)
	}
	if in.Limit == 0 {
		in.Limit = defaultLimit
	}
	me, err := s.client.verbs().Caller(ctx)
	if err != nil {
		return out, err
	}
	q := ipc.MessageQuery{Team: in.Team, Limit: maxScan}
	if in.State != "" {
		q.States = []string{in.State}
	}
	page, err := s.client.verbs().Messages(ctx, q)
	if err != nil {
		return out, err
	}
	out.More = page.More
	for _, m := range page.Messages {
		from, _, _ := strings.Cut(m.From, "@")
		switch {
		case me.Team != "" && m.Team != me.Team && from != me.Team:
		case len(out.Messages) == in.Limit:
			out.More = true
			return out, nil
		default:
			out.Messages = append(out.Messages, listed{m.ID, ipc.Name(m.Team, m.Session), m.From, m.State, m.Accepted, m.Error, m.CostUSD})
		}
	}
	return out, nil
}

type idInput struct {
	ID string `json:"id"`
}

func (s *server) cancelMessage(ctx context.Context, _ *mcp.CallToolRequest, in idInput) (message, error) {
	v := s.client.verbs()
	m, err := v.Show(ctx, ipc.MessageRef{ID: in.ID})
	if err != nil {
		return message{}, err
	}
	me, err := v.Caller(ctx)
	if err != nil {
		return message{}, err
	}
	if me.Agent != "" && m.From != ipc.Name(me.Team, me.Session) {
		return message{}, fmt.Errorf("you have not sent the message %s. list_messages lists yours: those from %s", m.ID, ipc.Name(me.Team, me.Session))
	}
	st, err := v.Cancel(ctx, m.ID)
	return message{ID: st.ID, State: st.State}, err
}

type teamInfo struct {
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Dir         string        `json:"dir"`
	Sessions    []sessionInfo `json:"sessions,omitempty" jsonschema:"those that have an agent now"`
}

type sessionInfo struct {
	Session string `json:"session,omitempty" jsonschema:"empty for the team's own"`
	State   string `json:"state" jsonschema:"of its agent: starting, idle, busy or stopping"`
	Queue   int    `json:"queue,omitempty" jsonschema:"messages that wait"`
}

type teams struct {
	You   string     `json:"you,omitempty" jsonschema:"your own team and session"`
	Teams []teamInfo `json:"teams"`
}

func (s *server) listTeams(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (teams, error) {
	out := teams{Teams: []teamInfo{}}
	me, cfg, err := s.caller(ctx)
	if err != nil {
		return out, err
	}
	out.You = ipc.Name(me.Team, me.Session)
	live, err := s.client.verbs().Processes(ctx, ipc.ProcessQuery{})
	if err != nil {
		return out, err
	}
	for _, n := range cfg.TeamNames() {
		if !cfg.MayWrite(me.Team, n) {
			continue
		}
		t := teamInfo{Name: n, Description: cfg.Teams[n].Description, Dir: cfg.Teams[n].Dir}
		for _, p := range live.Processes {
			if p.Team == n {
				t.Sessions = append(t.Sessions, sessionInfo{p.Session, p.State, p.Queue})
			}
		}
		out.Teams = append(out.Teams, t)
	}
	return out, nil
}

// caller returns whom the daemon takes this server for, and the configuration.
func (s *server) caller(ctx context.Context) (ipc.Caller, *config.Config, error) {
	me, err := s.client.verbs().Caller(ctx)
	if err != nil {
		return me, nil, err
	}
	cfg, err := config.Load(s.client.paths)
	return me, cfg, err
}

type teamInput struct {
	Team    string `json:"team" jsonschema:"a team, or TEAM@SESSION"`
	Session string `json:"session,omitempty" jsonschema:"another session than the team's own"`
}

type agentState struct {
	Team  string `json:"team"`
	State string `json:"state"`
}

// agent returns the agent that a tool is about, if the caller may write to its team.
func (s *server) agent(ctx context.Context, in teamInput) (t ipc.Target, err error) {
	if t.Team, t.Session, err = target(in.Team, in.Session); err != nil {
		return t, err
	}
	me, cfg, err := s.caller(ctx)
	if err != nil {
		return t, err
	}
	if _, err := cfg.Lookup(t.Team); err != nil {
		return t, fmt.Errorf("%w. list_teams lists the teams", err)
	}
	if !cfg.MayWrite(me.Team, t.Team) {
		return t, fmt.Errorf("you may not write to team %s. list_teams lists the teams that you may write to", t.Team)
	}
	return t, nil
}

func (s *server) wakeTeam(ctx context.Context, _ *mcp.CallToolRequest, in teamInput) (agentState, error) {
	t, err := s.agent(ctx, in)
	if err != nil {
		return agentState{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, wakeWithin)
	defer cancel()
	var p ipc.Process
	err = s.client.follow(ctx, func(c *ipc.Client) (err error) {
		p, err = c.Wake(ctx, t)
		return err
	})
	if errors.Is(err, context.DeadlineExceeded) {
		return agentState{}, fmt.Errorf("no agent of team %s was ready within %v: no slot may be free. A message to it waits for one", ipc.Name(t.Team, t.Session), wakeWithin)
	}
	return agentState{ipc.Name(p.Team, p.Session), p.State}, err
}

func (s *server) evictTeam(ctx context.Context, _ *mcp.CallToolRequest, in teamInput) (agentState, error) {
	t, err := s.agent(ctx, in)
	if err != nil {
		return agentState{}, err
	}
	done, err := s.client.verbs().Evict(ctx, t)
	state := "stopped"
	if len(done.Later) > 0 {
		state = "stops after its turn"
	}
	return agentState{ipc.Name(t.Team, t.Session), state}, err
}

func (s *server) resetSession(ctx context.Context, _ *mcp.CallToolRequest, in teamInput) (agentState, error) {
	t, err := s.agent(ctx, in)
	if err != nil {
		return agentState{}, err
	}
	_, err = s.client.verbs().Reset(ctx, t)
	return agentState{ipc.Name(t.Team, t.Session), "reset"}, err
}
