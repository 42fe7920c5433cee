package agents

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"iris/daemon/fault"
	"iris/ipc"
	"iris/pool"
	"iris/pool/procs"
)

// maxArguments is how many bytes of a command line are reported.
const maxArguments = 4096

// Tree answers process.tree.
func (s *Supervisor) Tree(_ context.Context, c *ipc.Call) (any, error) {
	if err := c.Bind(&struct{}{}); err != nil {
		return nil, err
	}
	agents := s.Pool.Snapshot().Processes
	reply := ipc.ProcessTree{Agents: []ipc.AgentTree{}}
	at := map[string]int{} // index of the tree of a process id
	for _, p := range agents {
		at[p.ID] = len(reply.Agents)
		a := ipc.AgentTree{ID: p.ID, PID: p.PID, Team: p.Key.Team, Session: p.Key.Session, State: string(p.State)}
		if p.PID > 0 {
			a.Memory = procs.Memory(p.PID)
		}
		reply.Agents = append(reply.Agents, a)
	}
	byPID := map[int]string{}
	for _, p := range agents {
		if p.PID > 0 {
			byPID[p.PID] = p.ID
		}
	}
	for _, k := range procs.ProcessTree(s.agentPIDs(), s.o.Paths.State) {
		id := cmp.Or(byPID[k.AgentPID], k.Process)
		if id == "" { // below a child that is not an agent
			continue
		}
		i, ok := at[id]
		if !ok {
			i = len(reply.Agents)
			at[id] = i
			reply.Agents = append(reply.Agents, ipc.AgentTree{ID: id, Team: cmp.Or(k.Team, "?"), Session: k.Session, State: "gone"})
		}
		reply.Agents[i].Processes = append(reply.Agents[i].Processes, treeProcess(&k))
	}
	for i := range reply.Agents {
		if reply.Agents[i].Processes == nil {
			reply.Agents[i].Processes = []ipc.TreeProcess{}
		}
	}
	return reply, nil
}

func treeProcess(k *procs.Descendant) ipc.TreeProcess {
	command := []string{}
	for left, i := maxArguments, 0; i < len(k.Command) && left > 0; i++ {
		arg := ipc.Clip(k.Command[i], left)
		left -= len(arg) + 1
		command = append(command, strings.ToValidUTF8(arg, "\uFFFD"))
	}
	return ipc.TreeProcess{PID: k.PID, Parent: k.Parent, Command: command, Memory: k.Memory, Daemon: k.AgentPID == 0}
}

func pidsOf(ps []Info) []int {
	var pids []int
	for _, p := range ps {
		if p.PID > 0 {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

// refuseOwnTree returns an error if ending the daemons of the matching agents would end an
// ancestor of the peer.
func (s *Supervisor) refuseOwnTree(match func(pool.Key) bool, peer int) error {
	above := procs.Ancestors(peer)
	for _, k := range procs.ProcessTree(s.agentPIDs(), s.o.Paths.State) {
		if k.AgentPID == 0 && isOf(&k, match) && slices.Contains(above, k.PID) {
			e := fault.New(ipc.CodeUsage, "own-tree", fmt.Errorf("this command runs in process %d, which is to be ended", k.PID))
			e.Data.Hint = "run it in a shell of your own"
			return e
		}
	}
	return nil
}

// endDaemons ends the processes that agents of these conversations started and that have
// made themselves daemons.
func (s *Supervisor) endDaemons(match func(pool.Key) bool) []ipc.TreeProcess {
	var ended []ipc.TreeProcess
	want := func(k *procs.Descendant) bool { return isOf(k, match) }
	for _, k := range procs.EndDaemons(s.o.Paths.State, want, s.agentPIDs, s.o.Config().StopGrace) {
		s.o.Log.Info("process of an agent ended", "team", k.Team, "session", k.Session, "process", k.Process, "pid", k.PID)
		ended = append(ended, treeProcess(&k))
	}
	return ended
}

func isOf(k *procs.Descendant, match func(pool.Key) bool) bool {
	return k.Team != "" && match(pool.Key{Team: k.Team, Session: k.Session})
}

// agentPIDs returns the pids of all live agents, including agents that are starting, whose
// pids the pool does not know yet.
func (s *Supervisor) agentPIDs() []int {
	pids := append(pidsOf(s.Pool.Snapshot().Processes), s.Reaper.Children()...)
	slices.Sort(pids)
	return slices.Compact(pids)
}
