package daemon

import (
	"bytes"
	"os"
	"strconv"
)

// parent returns the id of the agent whose tool the peer is, or nothing. It is
// told by the mark that iris put into the agent's environment, or, when the
// peer's was cleared, by its ancestors. It only says whose turn may be waiting:
// it grants and forbids nothing by itself.
func (d *Daemon) parent(pid int) string {
	if !d.pool.Busy() { // no turn waits for anybody
		return ""
	}
	if id := markOf(pid); id != "" {
		return id
	}
	return d.agentAbove(pid)
}

// insider returns the id of the agent in whose process tree the peer is, or
// nothing. The mark in the environment of whatever is right below the daemon says
// so, also when the peer's own was cleared; the peer's own says it of an agent
// that an earlier daemon has left, which is not below this one. The mark of
// another daemon's agent does not count.
func (d *Daemon) insider(pid int) string {
	for _, p := range []int{pid, ancestorBelow(pid, os.Getpid())} {
		if id := markOf(p); d.ours(id) {
			return id
		}
	}
	return ""
}

// agentAbove returns the id of the agent that is an ancestor of a process.
func (d *Daemon) agentAbove(pid int) string {
	if child := ancestorBelow(pid, os.Getpid()); child != 0 {
		for _, p := range d.pool.Snapshot().Processes {
			if p.PID == child {
				return p.ID
			}
		}
	}
	return ""
}

// markOf returns the mark that iris puts into the environment of its agents, and
// that what they start inherits; empty without one.
func markOf(pid int) string {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		if id, ok := bytes.CutPrefix(v, []byte("IRIS_PROCESS=")); ok {
			return string(id)
		}
	}
	return ""
}

// ancestorBelow returns the ancestor of pid, or pid itself, whose parent is
// top; 0 when there is none.
func ancestorBelow(pid, top int) int {
	for range 64 {
		above := parentOf(pid)
		if above == top {
			return pid
		}
		if above <= 1 {
			return 0
		}
		pid = above
	}
	return 0
}

// parentOf reads the parent from /proc/<pid>/stat; 0 when there is none.
func parentOf(pid int) int {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	ppid, _ := strconv.Atoi(string(fields[1]))
	return ppid
}
