package procs

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ProcessTree returns the processes below these agents, and every other process with
// the mark of an agent, living or gone, of a daemon with that state directory: such a
// process made itself a daemon. The agents themselves are not included.
func ProcessTree(agents []int, state string) []Descendant {
	all := processTree(agents, state)
	for i := range all {
		all[i].describe()
	}
	return all
}

// processTree is ProcessTree without the fields for people.
func processTree(agents []int, state string) []Descendant {
	var all []Descendant
	known := map[int]bool{}
	for _, pid := range agents {
		known[pid] = true
		for _, s := range descendants(pid) {
			known[s.PID] = true
			all = append(all, descendantOf(s, pid))
		}
	}
	for _, s := range processes() {
		if known[s.PID] || s.gone() {
			continue
		}
		if k := descendantOf(s, 0); k.Process != "" && k.State == state {
			all = append(all, k)
		}
	}
	return all
}

// Mark returns the id of the agent that started a process, from its environment;
// empty if it has none or cannot be read.
func Mark(pid int) string { return descendantOf(stat{ID: ID{PID: pid}}, 0).Process }

// descendantOf reads the mark of a process.
func descendantOf(s stat, below int) Descendant {
	k := Descendant{PID: s.PID, Parent: s.ppid, AgentPID: below, id: s.ID}
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(s.PID) + "/environ"); err == nil {
		k.markOf(b)
	}
	return k
}

// describe adds the fields for people.
func (k *Descendant) describe() {
	dir := "/proc/" + strconv.Itoa(k.PID)
	k.Memory = Memory(k.PID)
	b, _ := os.ReadFile(dir + "/cmdline")
	if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
		k.Command = strings.Split(string(b), "\x00")
		return
	}
	b, _ = os.ReadFile(dir + "/comm")
	k.Command = []string{"[" + strings.TrimSpace(string(b)) + "]"}
}

// look is how often EndDaemons checks the processes that it ends.
const look = 50 * time.Millisecond

// EndDaemons ends the daemons that want selects, and the processes that they start
// meanwhile: with SIGTERM, and after grace with SIGKILL. It returns the daemons that
// it found first.
func EndDaemons(state string, want func(*Descendant) bool, agents func() []int, grace time.Duration) []Descendant {
	found := daemons(want, agents, state)
	for i := range found {
		found[i].describe()
	}
	deadline := time.Now().Add(grace)
	asked := map[ID]bool{}
	for left := found; len(left) > 0; left = daemons(want, agents, state) {
		late := time.Now().After(deadline)
		if time.Since(deadline) > max(grace, time.Second) {
			return found // processes that even SIGKILL does not end
		}
		for _, k := range left {
			switch {
			case late:
				k.id.Signal(syscall.SIGKILL)
			case !asked[k.id]:
				asked[k.id] = true
				k.id.Signal(syscall.SIGTERM)
			}
		}
		for _, k := range left {
			k.id.wait(min(look, max(0, time.Until(deadline))))
		}
		if late {
			time.Sleep(look) // give the system time to remove them
		}
	}
	return found
}

// daemons returns the wanted daemons. An agent that starts meanwhile is not one of
// them, nor are its descendants.
func daemons(want func(*Descendant) bool, agents func() []int, state string) []Descendant {
	var out []Descendant
	for _, k := range processTree(agents(), state) {
		if k.AgentPID == 0 && want(&k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil
	}
	now := agents()
	return slices.DeleteFunc(out, func(k Descendant) bool {
		return slices.ContainsFunc(Ancestors(k.PID), func(pid int) bool { return slices.Contains(now, pid) })
	})
}

// Ancestors returns the pids of a process and of its ancestors.
func Ancestors(pid int) []int {
	var all []int
	for pid > 0 {
		all = append(all, pid)
		s, ok := readStat(pid)
		if !ok {
			break
		}
		pid = s.ppid
	}
	return all
}
