package daemon

import (
	"iris/daemon/agents"
	"iris/daemon/fault"
	"iris/ipc"
)

// checkVariant checks what a message asks of its agent.
func (d *Daemon) checkVariant(team string, p *ipc.Send) error {
	t, err := d.team(team)
	if err != nil {
		return fault.Team(err)
	}
	if err := agents.CheckVariant(t, p.Options); err != nil {
		return fault.New(ipc.CodeUsage, "bad-option", err)
	}
	return nil
}

// ownModel is the model that answered, unless the message had asked for one. The
// caller holds mu.
func (m *delivery) ownModel() string {
	if m.new.Options.Variant.Value().Model != "" {
		return ""
	}
	return m.end.res.Model
}
