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

// ProcessTree returns what lives below these agents, and every other process that
// carries the mark of an agent of a daemon with that state directory, living or
// gone: those have made themselves daemons. The agents themselves are not in it.
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

// Mark returns the id of the agent that started a process, as its environment says;
// empty when it does not or cannot be read.
func Mark(pid int) string { return descendantOf(stat{ID: ID{PID: pid}}, 0).Process }

// descendantOf reads whose a process is.
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

// look is how often EndDaemons looks at what it ends.
const look = 50 * time.Millisecond

// EndDaemons ends the processes that have made themselves daemons and that are
// wanted, with what they start meanwhile: SIGTERM, and after grace SIGKILL. It
// returns those that it has found at first.
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
			return found // what does not even take SIGKILL
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
			time.Sleep(look) // until the system has taken note
		}
	}
	return found
}

// daemons returns those that are wanted. An agent that is started while it looks
// is none, nor is what that has started.
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

// Ancestors returns the pids of a process and of those above it.
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
