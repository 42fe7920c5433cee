package claude

import (
	"bytes"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Family returns what lives below these agents, and every other process that
// carries the mark of an agent of a daemon with that state directory, living or
// gone: those have made themselves daemons. The agents themselves are not in it.
func Family(agents []int, state string) []Kin {
	all := family(agents, state)
	for i := range all {
		all[i].describe()
	}
	return all
}

// family is Family without what is for people.
func family(agents []int, state string) []Kin {
	var all []Kin
	known := map[int]bool{}
	for _, pid := range agents {
		known[pid] = true
		for _, s := range descendants(pid) {
			known[s.pid] = true
			all = append(all, kinOf(s, pid))
		}
	}
	for _, s := range processes() {
		if known[s.pid] || s.gone() {
			continue
		}
		if k := kinOf(s, 0); k.Process != "" && k.State == state {
			all = append(all, k)
		}
	}
	return all
}

// kinOf reads whose a process is.
func kinOf(s stat, below int) Kin {
	k := Kin{PID: s.pid, Parent: s.ppid, Below: below, id: s.procID}
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/environ"); err == nil {
		k.markOf(b)
	}
	return k
}

// describe adds what is for people.
func (k *Kin) describe() {
	dir := "/proc/" + strconv.Itoa(k.PID)
	k.Memory = pss(k.PID)
	b, _ := os.ReadFile(dir + "/cmdline")
	if b = bytes.TrimRight(b, "\x00"); len(b) > 0 {
		k.Command = strings.Split(string(b), "\x00")
		return
	}
	b, _ = os.ReadFile(dir + "/comm")
	k.Command = []string{"[" + strings.TrimSpace(string(b)) + "]"}
}

// Memory is what a process takes by itself, in bytes.
func Memory(pid int) int64 { return pss(pid) }

// EndDaemons ends the processes that have made themselves daemons and that are
// wanted, with what they start meanwhile: SIGTERM, and after grace SIGKILL. It
// returns those that it has found at first.
func EndDaemons(state string, want func(*Kin) bool, agents func() []int, grace time.Duration) []Kin {
	found := daemons(want, agents, state)
	for i := range found {
		found[i].describe()
	}
	deadline := time.Now().Add(grace)
	asked := map[procID]bool{}
	for left := found; len(left) > 0; left = daemons(want, agents, state) {
		late := time.Now().After(deadline)
		if time.Since(deadline) > max(grace, time.Second) {
			return found // what does not even take SIGKILL
		}
		for _, k := range left {
			switch {
			case late:
				k.id.signal(syscall.SIGKILL)
			case !asked[k.id]:
				asked[k.id] = true
				k.id.signal(syscall.SIGTERM)
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
func daemons(want func(*Kin) bool, agents func() []int, state string) []Kin {
	var out []Kin
	for _, k := range family(agents(), state) {
		if k.Below == 0 && want(&k) {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		return nil
	}
	now := agents()
	return slices.DeleteFunc(out, func(k Kin) bool {
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
