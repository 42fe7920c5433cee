package daemon

import (
	"context"

	"iris/config"
	"iris/daemon/agents"
	"iris/daemon/approval"
	"iris/ipc"
	"iris/pool"
)

// openApprovals makes the registry of approvals, with what the program before this one
// knew.
func (d *Daemon) openApprovals() {
	o := approval.Options{
		Team: func(k pool.Key) *config.Team { return agents.TeamSettings(d.config.Load(), k.Team) }, Env: d.notifyEnv, Run: d.agents.Reaper.Run, Log: d.log,
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
	env := d.agents.Env.Base()
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
