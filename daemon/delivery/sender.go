package delivery

import (
	"fmt"
	"slices"

	"iris/daemon/fault"
	"iris/daemon/journal"
	"iris/ipc"
	"iris/pool"
	"iris/pool/turn"
)

// noteSender records in a new message which agent sends it, and refuses what agents may not
// send. It returns the process of that agent, empty for any other sender.
func (d *Dispatcher) noteSender(c *ipc.Call, n *journal.New) (process string, err error) {
	a, ok := d.o.Agents.Sender(c.Peer.PID)
	if !ok {
		return "", nil
	}
	n.Options.Sender = turn.Sender{Depth: 1}
	if a.Key.Team != "" {
		n.Options.Sender.From = a.Key.String()
	}
	of := d.turnOf(&a)
	if of != nil {
		n.Options.Sender.Message, n.Options.Sender.Depth = of.new.ID, of.new.Options.Sender.Depth+1
	}
	return a.ID, d.maySend(&a, n, of)
}

// turnOf returns the message that runs in an agent, nil for none.
func (d *Dispatcher) turnOf(a *pool.Info) *delivery {
	if a.Turn != "" {
		return d.inflight.live.get(a.Turn)
	}
	all := d.inflight.live.all()
	i := slices.IndexFunc(all, func(m *delivery) bool {
		in := m.orphan.Load()
		return in != nil && in.Process == a.ID
	})
	if i < 0 {
		return nil
	}
	return all[i]
}

// maySend refuses a message of an agent whose team has mcp = true, if it goes to a team that
// this team may not write to, is too deep, or is one too many of the turn, which is that of
// the message of.
func (d *Dispatcher) maySend(a *pool.Info, n *journal.New, of *delivery) error {
	cfg := d.o.Config()
	t := cfg.Teams[a.Key.Team]
	if t == nil || !t.MCP {
		return nil
	}
	if !cfg.MayWrite(t.Name, n.Team) {
		e := fault.New(ipc.CodeUsage, "not-allowed", fmt.Errorf("team %s may not send messages to team %s", t.Name, n.Team))
		e.Data.Hint = fmt.Sprintf("a person may add it to mcp_teams of team %s, or set mcp = true for it", t.Name)
		return e
	}
	if most := cfg.MCPMaxDepth; most > 0 && n.Options.Sender.Depth > most {
		e := fault.New(ipc.CodeFull, "too-deep", fmt.Errorf("the message would be number %d in a chain of agents, of which each has sent the next one a message; mcp_max_depth is %d", n.Options.Sender.Depth, most))
		e.Data.Hint = "answer with what is known, instead of asking on"
		return e
	}
	if most := cfg.MCPMaxMessages; of != nil && most > 0 && of.sent.Add(1) > int64(most) {
		e := fault.New(ipc.CodeFull, "too-many", fmt.Errorf("the turn of message %s has sent %d messages; mcp_max_messages allows no more", of.new.ID, most))
		e.Data.Hint = "end the turn with what is known; the next one may send messages again"
		return e
	}
	return nil
}

// await has the turn of the agent that calls wait for a message, until stop is called. It
// refuses a wait that would have no end.
func (d *Dispatcher) await(c *ipc.Call, id string) (stop func(), err error) {
	a, ok := d.o.Agents.Sender(c.Peer.PID)
	if !ok {
		return func() {}, nil
	}
	waits, err := d.o.Pool.Await(id, a.ID)
	if err != nil {
		return nil, fault.Of(d.keyOf(id), id, err)
	}
	return func() {
		if waits {
			d.o.Pool.Detach(id)
		}
	}, nil
}
