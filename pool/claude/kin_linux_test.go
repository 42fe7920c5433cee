package claude

import (
	"bufio"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kin starts a shell in a session of its own that carries the mark, and returns
// when it says that it is ready.
func kin(t *testing.T, state, team, script string) procID {
	t.Helper()
	cmd := exec.Command("sh", "-c", script+"; echo ready; while :; do sleep 0.1; done")
	cmd.Env = []string{"PATH=/usr/bin:/bin", mark + "=gone", EnvState + "=" + state, EnvTeam + "=" + team, EnvSession + "="}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := identify(cmd.Process.Pid)
	t.Cleanup(func() { p.signal(syscall.SIGKILL); cmd.Wait() })
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
	found := EndDaemons(state, func(k *Kin) bool { return k.Team == "a" }, func() []int { return nil }, 200*time.Millisecond)
	pids := map[int]bool{}
	for _, k := range found {
		if k.Process != "gone" || k.Below != 0 || len(k.Command) == 0 {
			t.Errorf("got %+v", k)
		}
		pids[k.PID] = true
	}
	if !pids[meek.pid] || !pids[deaf.pid] || pids[other.pid] || pids[foreign.pid] {
		t.Errorf("got %+v", found)
	}
	if meek.alive() || deaf.alive() || !other.alive() || !foreign.alive() {
		t.Errorf("alive: %v %v %v %v", meek.alive(), deaf.alive(), other.alive(), foreign.alive())
	}
}

// What is below a live agent is its own to end.
func TestEndDaemonsLeavesLiveAgentsAlone(t *testing.T) {
	r := fakeRig(t)
	r.o.Env = append(r.o.Env, EnvState+"=/state", EnvTeam+"=a")
	p := r.start()
	child := identify(atoi(t, send(t, p, "fork:plain:1m").Text))
	family := Family([]int{p.PID()}, "/state")
	if len(family) != 1 || family[0].PID != child.pid || family[0].Below != p.PID() || family[0].Process != p.o.ID || family[0].Team != "a" ||
		!strings.Contains(strings.Join(family[0].Command, " "), "fakeclaude-child") || family[0].Memory == 0 {
		t.Errorf("got %+v", family)
	}
	ended := EndDaemons("/state", func(*Kin) bool { return true }, func() []int { return []int{p.PID()} }, time.Second)
	if len(ended) > 0 || !child.alive() {
		t.Errorf("ended %+v", ended)
	}
	ask(t, p, "echo:well", "well")
}

func TestAncestorsEndAtTheTop(t *testing.T) {
	p := kin(t, "", "", "true")
	above := Ancestors(p.pid)
	if len(above) < 2 || above[0] != p.pid || above[len(above)-1] < 0 {
		t.Errorf("got %v", above)
	}
}
