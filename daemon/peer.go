package daemon

import (
	"os"
	"slices"

	"iris/pool/procs"
)

// parent returns the id of the agent whose tool the peer is, or nothing. It is
// told by the mark that iris put into the agent's environment, or, when the
// peer's was cleared, by its ancestors. It only says whose turn may be waiting:
// it grants and forbids nothing by itself.
func (d *Daemon) parent(pid int) string {
	if !d.pool.Busy() { // no turn waits for anybody
		return ""
	}
	if id := procs.Mark(pid); id != "" {
		return id
	}
	return d.agentAbove(pid)
}

// callerAgent returns the id of the agent in whose process tree the peer is, or
// nothing. The mark in the environment of whatever is right below the daemon says
// so, also when the peer's own was cleared; the peer's own says it of an agent
// that an earlier daemon has left, which is not below this one. The mark of
// another daemon's agent does not count.
func (d *Daemon) callerAgent(pid int) string {
	for _, p := range []int{pid, belowUs(pid)} {
		if id := procs.Mark(p); d.ours(id) {
			return id
		}
	}
	return ""
}

// agentAbove returns the id of the agent that is an ancestor of a process.
func (d *Daemon) agentAbove(pid int) string {
	if child := belowUs(pid); child != 0 {
		for _, p := range d.pool.Snapshot().Processes {
			if p.PID == child {
				return p.ID
			}
		}
	}
	return ""
}

// belowUs returns the ancestor of pid, or pid itself, that is a child of this process; 0
// when there is none.
func belowUs(pid int) int {
	above := procs.Ancestors(pid)
	if i := slices.Index(above, os.Getpid()); i > 0 {
		return above[i-1]
	}
	return 0
}
