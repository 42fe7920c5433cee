package procs

import (
	"bufio"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"iris/config/sys/systest"
)

// kin starts a shell in a session of its own that carries the mark, and returns
// when it says that it is ready.
func kin(t *testing.T, state, team, script string) ID {
	t.Helper()
	cmd := exec.Command(systest.Needs(t, "sh"), "-c", script+"; echo ready; while :; do sleep 0.1; done")
	cmd.Env = []string{"PATH=/usr/bin:/bin", EnvProcess + "=gone", EnvState + "=" + state, EnvTeam + "=" + team, EnvSession + "="}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := Identify(cmd.Process.Pid)
	t.Cleanup(func() { p.Signal(syscall.SIGKILL); cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal(line, err)
	}
	return p
}

func TestEndDaemonsEndsWhatIsWanted(t *testing.T) {
	state := t.TempDir()
	meek := kin(t, state, "a", "true")
	deaf := kin(t, state, "a", "trap '' TERM")
	other := kin(t, state, "b", "true")
	foreign := kin(t, t.TempDir(), "a", "true")
	found := EndDaemons(state, func(k *Descendant) bool { return k.Team == "a" }, func() []int { return nil }, 200*time.Millisecond)
	pids := map[int]bool{}
	for _, k := range found {
		if k.Process != "gone" || k.AgentPID != 0 || len(k.Command) == 0 {
			t.Errorf("got %+v", k)
		}
		pids[k.PID] = true
	}
	if !pids[meek.PID] || !pids[deaf.PID] || pids[other.PID] || pids[foreign.PID] {
		t.Errorf("got %+v", found)
	}
	if meek.Alive() || deaf.Alive() || !other.Alive() || !foreign.Alive() {
		t.Errorf("alive: %v %v %v %v", meek.Alive(), deaf.Alive(), other.Alive(), foreign.Alive())
	}
}

func TestAncestorsEndAtTheTop(t *testing.T) {
	p := kin(t, "", "", "true")
	above := Ancestors(p.PID)
	if len(above) < 2 || above[0] != p.PID || above[len(above)-1] < 0 {
		t.Errorf("got %v", above)
	}
}

// A number that now belongs to another process means a process that is gone: that other
// process gets no signal, and what it has started is not counted as the agent's.
func TestNumberOfAnotherProcess(t *testing.T) {
	now := kin(t, "", "", "sleep 1000 & true")
	gone := ID{now.PID, now.Start - 1}
	if gone.Alive() {
		t.Error("it is taken for alive")
	}
	if err := gone.Signal(syscall.SIGKILL); err == nil || !now.Alive() {
		t.Errorf("signalled: %v, the other lives: %v", err, now.Alive())
	}
	gone.Await(t.Context())
	tree := NewTree(now.PID, Latest(), "")
	if tree.Collect(gone); len(tree.procs) > 0 {
		t.Errorf("got %v", tree.procs)
	}
	if tree.Collect(now); len(tree.procs) == 0 {
		t.Error("its child was not found")
	}
}
