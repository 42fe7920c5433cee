//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
)

// A killing is a house with the real Claude Code in it, whose daemon is killed
// under it. What the model was asked is the stub's to say, what lives is /proc's:
// neither takes iris's word for it.
type killing struct {
	*testing.T
	*house
	real   *real
	socket string
	max    int // agents at any time

	serial  int
	history map[string][]*sent // by conversation

	kills, unknown int
	at             map[string]int // where the kills found the agents

	mu    sync.Mutex     // protects the fields below
	late  map[string]int // what daemons after the first did for messages
	wrong map[string]bool
}

// newKilling has those teams, and as many places.
func newKilling(t *testing.T, toml string, teams ...string) *killing {
	t.Helper()
	k := &killing{
		T: t, real: newReal(t), house: newHouse(t, "iris", ""), max: len(teams),
		history: map[string][]*sent{}, at: map[string]int{}, late: map[string]int{}, wrong: map[string]bool{},
	}
	toml = fmt.Sprintf("max_processes = %d\n%s\n", k.max, toml)
	for _, name := range teams {
		toml += k.real.team(k.house, name, k.mkdir("project/"+name)) +
			"args = [\"--allowedTools=Bash\", \"--permission-prompt-tool=stdio\"]\n"
	}
	k.configure(toml)
	return k
}

// open starts the first daemon, and a guard over the agents until the test ends.
func (k *killing) open() {
	k.T.Helper()
	k.run("ps")
	var st ipc.Status
	if err := json.Unmarshal([]byte(k.house.run("daemon", "status", "--json")), &st); err != nil {
		k.Fatal(err)
	}
	k.socket = st.Socket
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Go(func() { k.guard(ctx) })
	k.Cleanup(func() { cancel(); wg.Wait() })
}

// run runs a command of iris, which starts a daemon if need be.
func (k *killing) run(args ...string) { k.T.Helper(); k.house.run(args...) }

// call makes one call, and again for as long as there is no daemon that stays.
// It starts none.
func (k *killing) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 3*longEnough)
	defer cancel()
	for {
		c, err := ipc.Dial(ctx, k.socket, ipc.Hello{Version: "test"})
		if err == nil {
			err = c.Call(ctx, method, params, result)
			c.Close()
		}
		wire, ok := errors.AsType[*ipc.Error](err)
		stopping := ok && wire.Data != nil && wire.Data.Reason == "stopping"
		if err == nil || ok && !stopping || ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond) // for another daemon
	}
}

func (k *killing) mustCall(method string, params, result any) {
	k.T.Helper()
	if err := k.call(method, params, result); err != nil {
		k.Fatalf("%s: %v", method, err)
	}
}

// daemons are the processes that are one.
func (k *killing) daemons() (pids []int) {
	for _, p := range processesOf(k.dir) {
		if pid, cmdline, _ := strings.Cut(p, ": "); strings.HasPrefix(cmdline, "iris daemon --ready-fd") {
			n, _ := strconv.Atoi(pid)
			pids = append(pids, n)
		}
	}
	return pids
}

// signalDaemon signals the daemon, once there is one.
func (k *killing) signalDaemon(sigs ...syscall.Signal) {
	k.T.Helper()
	k.until("a daemon", func() bool { return len(k.daemons()) > 0 })
	for _, pid := range k.daemons() {
		for _, sig := range sigs {
			syscall.Kill(pid, sig)
		}
	}
}

// kill kills the daemon, and records what its agents were doing.
func (k *killing) kill() {
	k.T.Helper()
	alive := k.agents()
	k.signalDaemon(syscall.SIGKILL)
	k.kills++
	k.look(alive)
}

// look notes what those agents are about.
func (k *killing) look(alive map[int]string) {
	for _, id := range alive {
		paths, _ := filepath.Glob(k.dir + "/state/iris/spool/" + id + ".*.out")
		for _, path := range paths {
			k.at[doing(path)]++
		}
	}
	for _, p := range processesOf(k.dir) {
		if strings.HasSuffix(p, ": sleep 1 ") {
			k.at["with a task in the background"]++
		}
	}
}

func (k *killing) spools() []string {
	paths, _ := filepath.Glob(k.dir + "/state/iris/spool/*.out")
	return paths
}

// doing says what an agent was doing, by its last output.
func doing(spool string) string {
	b, _ := os.ReadFile(spool)
	state := bytes.LastIndex(b, []byte(`"session_state_changed"`))
	last := b[max(state, 0):]
	end, _, _ := bytes.Cut(last, []byte("\n"))
	has := func(word string) bool { return bytes.Contains(last, []byte(word)) }
	switch {
	case len(b) > 0 && b[len(b)-1] != '\n':
		return "in the middle of a line"
	case bytes.Contains(end, []byte(`"state":"requires_action"`)):
		return "waiting for permission"
	case state < 0, bytes.Contains(end, []byte(`"state":"idle"`)):
		return "idle"
	case has(`"type":"result"`):
		return "just done"
	case has(`"tool_result"`):
		return "after a tool"
	case has(`"tool_use"`):
		return "in a tool"
	}
	return "asking the model"
}

// agents are the living processes of Claude Code of this house, by pid, with
// the session that each was started for.
func (k *killing) agents() map[int]string {
	found := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if session := k.sessionOf(pid); session != "" {
			found[pid] = session
		}
	}
	return found
}

// sessionOf is empty for a process that is no living agent of this house.
func (k *killing) sessionOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	argv := strings.Split(string(b), "\x00")
	if argv[0] != k.real.program {
		return ""
	}
	environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if !bytes.Contains(environ, []byte("\x00HOME="+k.dir+"\x00")) {
		return ""
	}
	for _, arg := range argv {
		for _, flag := range []string{"--session-id=", "--resume="} {
			if id, ok := strings.CutPrefix(arg, flag); ok {
				return id
			}
		}
	}
	return ""
}

// guard looks all the time whether two processes have one conversation, and
// whether there are more than the bound.
func (k *killing) guard(ctx context.Context) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		all := k.agents()
		// The scan takes time: only processes that live at its end lived together.
		// And a child of an agent has its name until it becomes a tool.
		maps.DeleteFunc(all, func(pid int, id string) bool { return k.sessionOf(pid) != id || all[parentOf(pid)] != "" })
		bySession := map[string]int{}
		for pid, id := range all {
			if other := bySession[id]; other != 0 {
				k.note("pids %d and %d have session %s at once", min(pid, other), max(pid, other), id)
			}
			bySession[id] = pid
		}
		if len(all) > k.max {
			k.note("%d agents live, and %d may", len(all), k.max)
		}
	}
}

func parentOf(pid int) (ppid int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	fmt.Sscanf(string(b[bytes.LastIndexByte(b, ')')+1:]), " %c %d", new(rune), &ppid)
	return ppid
}

func (k *killing) note(format string, args ...any) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if what := fmt.Sprintf(format, args...); !k.wrong[what] {
		k.wrong[what] = true
		k.Error(what)
	}
}

// next starts the next daemon, and checks that each agent left by the last one has
// its place in the list.
func (k *killing) next() {
	k.T.Helper()
	before := k.agents()
	k.run("ps")
	var list ipc.ProcessList
	k.mustCall(ipc.MethodList, struct{}{}, &list)
	for pid, id := range before {
		listed := slices.ContainsFunc(list.Processes, func(p ipc.Process) bool { return p.PID == pid })
		if !listed && k.sessionOf(pid) == id {
			k.Errorf("agent %d lives and has no place: %+v", pid, list.Processes)
		}
	}
	if list.Total > k.max {
		k.Errorf("%d agents, and %d may be", list.Total, k.max)
	}
}

// until waits for something that a real process takes its time for.
func (k *killing) until(what string, f func() bool) {
	k.T.Helper()
	for end := time.Now().Add(2 * longEnough); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			k.Fatalf("%s did not come", what)
		}
	}
}

// end stops the daemon, prints the figures, and checks that nothing is left.
func (k *killing) end() {
	k.T.Helper()
	k.run("daemon", "stop")
	messages, runs := 0, 0
	for _, all := range k.history {
		for _, m := range all {
			messages++
			runs += k.runsOf(m.text)
		}
	}
	var left []string
	for end := time.Now().Add(longEnough); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if left = processesOf(k.dir); len(left) == 0 {
			break
		}
	}
	k.Logf("kills %d, messages %d, runs %d, unknown %d, processes left %d", k.kills, messages, runs, k.unknown, len(left))
	k.Logf("of the messages: settled by a later daemon %d, put back by it %d", k.late["settled"], k.late["put back"])
	for _, what := range slices.Sorted(maps.Keys(k.at)) {
		k.Logf("agents at a kill: %d %s", k.at[what], what)
	}
	if len(left) > 0 {
		k.Errorf("left behind: %q", left)
	}
}
