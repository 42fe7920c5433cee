package claude

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"iris/pool"
	"iris/pool/procs"
)

// forests calls f for each kind of child, with and without a reaper.
func forests(t *testing.T, f func(t *testing.T, p *Process, child procs.ID, stays bool)) {
	for _, kind := range []string{"session", "group", "plain", "hold", "daemon"} {
		for _, reaped := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, reaped), func(t *testing.T) {
				r := fakeRig(t, "--fake-deaf=end,eof")
				r.o.Grace = 100 * time.Millisecond
				if reaped {
					reaper, err := procs.NewReaper()
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(reaper.Close)
					r.o.Reaper = reaper
				}
				p := r.start()
				child := procs.Identify(atoi(t, send(t, p, "fork:"+kind+":1m").Text))
				defer child.Signal(syscall.SIGKILL)
				f(t, p, child, kind == "daemon")
				if reaped && kind != "daemon" {
					eventually(t, "no zombie is left", func() bool { return !zombies() })
				}
			})
		}
	}
}

// zombies reports whether this process has a child that has ended.
func zombies() bool {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, path := range tasks {
		b, _ := os.ReadFile(path)
		for _, pid := range strings.Fields(string(b)) {
			stat, _ := os.ReadFile("/proc/" + pid + "/stat")
			if strings.Contains(string(stat), ") Z ") {
				return true
			}
		}
	}
	return false
}

func TestStopEndsTheTree(t *testing.T) {
	forests(t, func(t *testing.T, p *Process, child procs.ID, stays bool) {
		p.Stop()
		if child.Alive() != stays {
			t.Errorf("alive: got %v, want %v", !stays, stays)
		}
	})
}

func TestDeathEndsTheTree(t *testing.T) {
	forests(t, func(t *testing.T, p *Process, child procs.ID, stays bool) {
		if _, err := p.Check(context.Background(), true); err != nil { // read after the tree was looked at
			t.Fatal(err)
		}
		p.ident.Signal(syscall.SIGKILL)
		<-p.Done()
		if child.Alive() != stays {
			t.Errorf("alive: got %v, want %v", !stays, stays)
		}
	})
}

func TestDeathInMidTurnEndsTheTool(t *testing.T) {
	p := fakeRig(t).start()
	u := begin(t, context.Background(), p, "fork:tool:1m", `"running"`)
	eventually(t, "the tool runs", func() bool { return len(below(p.o.ID, p.PID())) == 1 })
	p.ident.Signal(syscall.SIGKILL)
	if _, err := u.wait(t); !errors.Is(err, pool.ErrUnknown) {
		t.Errorf("got %v", err)
	}
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
}

// A tool's background job has lost its parent but is in the tool's session.
func TestStopEndsTheSessionsOfTools(t *testing.T) {
	p := scriptRig(t, `setsid sh -c '(sleep 310 &); sleep 311' & echo '{"type":"result","subtype":"success","num_turns":1,"stop_reason":"end_turn"}'; read l; exit 0`).start()
	ask(t, p, "x", "")
	eventually(t, "all three are there", func() bool { return len(below(p.o.ID, p.PID())) == 3 })
	p.Stop()
	if left := below(p.o.ID, 0); len(left) > 0 {
		t.Errorf("left: %v", left)
		endAll(left)
	}
}

// below returns the processes with the mark of id, but for the agent itself.
func below(id string, agent int) []int {
	var out []int
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid != agent && procs.Mark(pid) == id && procs.Identify(pid).Alive() {
			out = append(out, pid)
		}
	}
	return out
}

// A live agent ends the processes below it by itself.
func TestEndDaemonsLeavesLiveAgentsAlone(t *testing.T) {
	r, state := fakeRig(t), t.TempDir() // of this run alone
	r.o.Env = append(r.o.Env, procs.EnvState+"="+state, procs.EnvTeam+"=a")
	p := r.start()
	child := procs.Identify(atoi(t, send(t, p, "fork:plain:1m").Text))
	family := procs.ProcessTree([]int{p.PID()}, state)
	if len(family) != 1 || family[0].PID != child.PID || family[0].AgentPID != p.PID() || family[0].Process != p.o.ID || family[0].Team != "a" ||
		!strings.Contains(strings.Join(family[0].Command, " "), "fakeclaude-child") || family[0].Memory == 0 {
		t.Errorf("got %+v", family)
	}
	ended := procs.EndDaemons(state, func(*procs.Descendant) bool { return true }, func() []int { return []int{p.PID()} }, time.Second)
	if len(ended) > 0 || !child.Alive() {
		t.Errorf("ended %+v", ended)
	}
	ask(t, p, "echo:well", "well")
}
