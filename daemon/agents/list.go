package agents

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"iris/config"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// List answers process.list.
func (s *Supervisor) List(ctx context.Context, c *ipc.Call) (any, error) {
	var q ipc.ProcessQuery
	if err := c.Bind(&q); err != nil {
		return nil, err
	}
	st := s.Pool.Snapshot()
	list := ipc.ProcessList{Processes: s.Views(st.Processes), Total: len(st.Processes), Max: st.Max, Queued: st.Queued}
	if q.GoneSince.IsZero() {
		return list, nil
	}
	var err error
	list.Gone, list.Damaged, err = s.goneSince(ctx, q.GoneSince)
	return list, err
}

// Views returns the agents in the form that clients see.
func (s *Supervisor) Views(ps []Info) []ipc.Process {
	now := time.Now()
	list := make([]ipc.Process, 0, len(ps))
	for _, p := range ps {
		list = append(list, s.view(p, now))
	}
	return list
}

func (s *Supervisor) view(p Info, now time.Time) ipc.Process {
	v := ipc.Process{
		ID: p.ID, PID: p.PID, Team: p.Key.Team, Session: p.Key.Session,
		State: string(p.State), Message: p.Turn, Messages: p.Messages, Works: p.Works, Own: p.Own, Queue: p.Queue,
		Started: p.Started, LastUsed: ipc.Moment(p.LastUsed), TurnSince: ipc.Moment(p.TurnSince), Until: ipc.Moment(p.Until),
		Uptime: now.Sub(p.Started).Milliseconds(), Memory: p.Memory, Why: p.Why,
	}
	if !p.Until.IsZero() {
		left := max(0, p.Until.Sub(now).Milliseconds())
		v.Idle = &left
	}
	if p.Agent != nil {
		v.SessionID = p.Agent.Session()
	}
	if t, ok := s.o.Config().Teams[p.Key.Team]; ok {
		v.Dir = t.Dir
	} else {
		v.Dir = p.Key.Team // a team that is only a directory
	}
	s.annotate(&v, p)
	return v
}

// BrokenView returns a conversation whose agents do not start in the form that clients see.
func BrokenView(b pool.Broken) ipc.Broken {
	return ipc.Broken{
		Team: b.Key.Team, Session: b.Key.Session, Failures: b.Failures, Error: b.Err.Error(), Retry: b.Retry.Milliseconds(),
	}
}

// TurnWaits says what the turn of an agent waits for, in words; nil for nothing.
func (s *Supervisor) TurnWaits(process string) (on []string) {
	for _, a := range s.o.Approvals(process) {
		on = append(on, fmt.Sprintf("approval %s: %s", a.ID, a.Tool))
	}
	for _, p := range s.Live() {
		if p.ID != process {
			continue
		}
		if server := p.Agent.WaitsFor(); server != "" {
			on = append(on, server)
		}
	}
	return on
}

// annotate adds what the turn of an agent waits for, a settings file that does not
// parse, a permission mode other than the team's, and whether the agent runs without
// permission checks.
func (s *Supervisor) annotate(v *ipc.Process, p Info) {
	var why []string
	for _, a := range s.o.Approvals(p.ID) {
		v.Approvals = append(v.Approvals, a.ID)
		why = append(why, fmt.Sprintf("waits for approval %s: %s", a.ID, a.Tool))
	}
	if p.Works != "" {
		why = append(why, "works by itself: "+p.Works)
	}
	v.Bypass = TeamSettings(s.o.Config(), p.Key.Team).Bypass()
	if a := p.Agent; a != nil {
		if a.Mode() == claude.BypassMode {
			v.Bypass = cmp.Or(v.Bypass, "permission mode "+claude.BypassMode)
		}
		if v.Frozen = a.Frozen(); v.Frozen {
			why = append(why, "frozen")
		}
		if on := a.WaitsFor(); on != "" {
			why = append(why, "waits for "+on)
		}
		if err := a.Unparsed(); err != nil {
			why = append(why, err.Error())
		}
		if v.Mode = a.OddMode(); v.Mode != "" && v.Mode != claude.BypassMode {
			v.Bypass = ""
		}
	}
	if v.Why != "" {
		why = append(why, v.Why)
	}
	if v.Mode != "" {
		why = append(why, "permission mode "+v.Mode)
	}
	if v.Bypass != "" {
		why = append(why, "no permission checks")
	}
	v.Why = strings.Join(why, "; ")
}

// TeamSettings returns the settings of a team. A team that is not in the configuration, or
// is only a directory, has the settings of the top level.
func TeamSettings(cfg *config.Config, team string) *config.Team {
	if t, ok := cfg.Teams[team]; ok {
		return t
	}
	return &config.Team{Name: team, Agent: "claude", Settings: cfg.Settings}
}
