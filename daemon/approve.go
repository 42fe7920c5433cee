package daemon

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"iris/ipc"
	"iris/pool"
	"iris/pool/claude"
)

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
	list := ipc.ApprovalList{Approvals: d.approvals.list(p)}
	if p.ID != "" && len(list.Approvals) == 0 {
		return nil, d.notPending(p.ID)
	}
	return list, nil
}

// list returns those that wait and are wanted, the oldest first.
func (s *approvals) list(f ipc.ApprovalFilter) []ipc.Approval {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []ipc.Approval{}
	for _, a := range s.pending {
		if (f.Team == "" || a.view.Team == f.Team) && (f.ID == "" || a.view.ID == f.ID) {
			list = append(list, a.view)
		}
	}
	return list
}

// maxReason is how many bytes an agent is told of why a tool is denied.
const maxReason = 16 << 10

// decideCall answers approval.decide.
func (d *Daemon) decideCall(_ context.Context, c *ipc.Call) (any, error) {
	var p ipc.Decide
	if err := c.Bind(&p); err != nil {
		return nil, err
	}
	switch {
	case p.Allow && p.Reason != "":
		return nil, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("reason: a tool that is allowed takes none"))
	case len(p.Reason) > maxReason:
		return nil, coded(ipc.CodeUsage, "bad-option", fmt.Errorf("reason has %d bytes, more than %d", len(p.Reason), maxReason))
	}
	decision, why := toolAllowed, ""
	if !p.Allow {
		decision, why = toolDenied, "the user has denied this"
		if p.Reason != "" {
			why += ": " + p.Reason
		}
	}
	a, err := d.decide(p.ID, decision, fmt.Sprintf("pid %d", c.Peer.PID), why)
	if err != nil {
		return nil, err
	}
	d.log.Info("approval decided", "approval", p.ID, "allow", p.Allow, "peer", c.Peer.PID)
	a.Input = nil
	return a, nil
}

// mark adds to what clients see of an agent what its turn waits for, and whether
// it asks for permission at all.
func (d *Daemon) mark(v *ipc.Process, p pool.Process) {
	var why []string
	for _, a := range d.approvals.of(p.ID) {
		v.Approvals = append(v.Approvals, a.ID)
		why = append(why, fmt.Sprintf("waits for approval %s: %s", a.ID, a.Tool))
	}
	v.Bypass = d.rules(p.Key).Bypass()
	if a, ok := p.Agent.(*claude.Process); ok && a.Mode() == "bypassPermissions" {
		v.Bypass = cmp.Or(v.Bypass, "permission mode bypassPermissions")
	}
	if v.Why != "" {
		why = append(why, v.Why)
	}
	if v.Bypass != "" {
		why = append(why, "no permission checks")
	}
	v.Why = strings.Join(why, "; ")
}

// of lists the approvals that a process waits for, without their inputs.
func (s *approvals) of(process string) (list []ipc.Approval) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.pending {
		if a.view.Process == process {
			list = append(list, ipc.Approval{ID: a.view.ID, Tool: a.view.Tool})
		}
	}
	return list
}
