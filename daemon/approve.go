package daemon

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"iris/config"
	"iris/daemon/approval"
	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

// openApprovals makes the registry of approvals, with what the program before this one
// knew.
func (d *Daemon) openApprovals() {
	o := approval.Options{
		Team: d.rules, Env: d.notifyEnv, Run: d.agents.reaper.Run, Log: d.log,
		Report: func(process, message string, typ pool.EventType, detail string) string {
			proc, _ := d.pool.Report(process, message, typ, detail)
			return proc.Turn
		},
	}
	if h := d.opts.Handover; h != nil {
		o.Handed, o.Decided = h.Approvals, h.Decided
	}
	d.approvals = approval.New(o)
	d.atEnd(d.approvals.Close)
}

// notifyEnv is the environment of a command that tells of an approval: no agent's.
func (d *Daemon) notifyEnv() map[string]string {
	env := d.agents.env.Base()
	delete(env, "IRIS_PROCESS")
	env["IRIS_SOCKET"] = d.opts.Paths.Socket
	return env
}

// listApprovals answers approval.list.
func (d *Daemon) listApprovals(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.ApprovalFilter
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	if p.Team != "" {
		k, err := d.key(p.Team, "")
		if err != nil {
			return nil, err
		}
		p.Team = k.Team
	}
	list := ipc.ApprovalList{Approvals: d.approvals.List(p)}
	if p.ID != "" && len(list.Approvals) == 0 {
		return nil, d.approvals.NotPending(p.ID)
	}
	return list, nil
}

// annotate adds to what clients see of an agent what its turn waits for, a permission
// mode that is not its team's, and whether it asks for permission at all.
func (d *Daemon) annotate(v *ipc.Process, p process) {
	var why []string
	for _, a := range d.approvals.Of(p.ID) {
		v.Approvals = append(v.Approvals, a.ID)
		why = append(why, fmt.Sprintf("waits for approval %s: %s", a.ID, a.Tool))
	}
	if p.Works != "" {
		why = append(why, "works by itself: "+p.Works)
	}
	v.Bypass = d.rules(p.Key).Bypass()
	if a := p.Agent; a != nil {
		if a.Mode() == claude.BypassMode {
			v.Bypass = cmp.Or(v.Bypass, "permission mode "+claude.BypassMode)
		}
		if on := a.WaitsFor(); on != "" {
			why = append(why, "waits for "+on)
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

// rules are what holds for an agent, also when its team is gone, or only a
// directory: then what holds for all.
func (d *Daemon) rules(k pool.Key) *config.Team {
	cfg := d.config.Load()
	if t, ok := cfg.Teams[k.Team]; ok {
		return t
	}
	return &config.Team{Name: k.Team, Agent: "claude", Settings: cfg.Settings}
}
