package daemon

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"iris/config/sys/systest"
	"iris/ipc"
	"iris/pool/procs"
)

// stubborn starts a process such as a dead agent may leave: it is in its own session, and
// SIGTERM does not end it. It returns the pid.
func stubborn(t *testing.T, d *testDaemon, team string) int {
	t.Helper()
	cmd := exec.Command(systest.Needs(t, "sh"), "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "IRIS_PROCESS=gone-1",
		procs.EnvState + "=" + d.paths.State, procs.EnvTeam + "=" + team, procs.EnvSession + "=",
	}
	startReady(t, cmd)
	return cmd.Process.Pid
}

func TestTreeKnowsAnAgentThatStarts(t *testing.T) {
	gated, open := gate(t)
	ledger := filepath.Join(t.TempDir(), "ledger")
	d := startDaemon(t, fakeTeam(t, "api", fmt.Sprintf("args = [%q, %q]", "--fake-slow-start=@"+gated, "--fake-ledger="+ledger)))
	left := stubborn(t, d, "api")
	id := submit(d, ipc.Send{Team: "api", Text: "echo:x"}).ID
	eventually(t, "the start of the agent", func() bool { return starts(t, ledger) == 1 })
	seen := 0
	for looks := 1; show(d, id).State == "queued"; looks++ {
		if looks == 5 {
			open()
		}
		for _, a := range mustCall[ipc.ProcessTree](d, ipc.MethodTree, struct{}{}).Agents {
			for _, p := range a.Processes {
				switch {
				case a.ID == "gone-1" && a.State == "gone" && p.Daemon:
					seen++
				case p.Daemon || p.PID == left:
					t.Fatalf("process %d, %q, of %+v", p.PID, p.Command, a)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("what is left was seen %d times while the agent was starting", seen)
	}
}

func TestKillOfATreeSparesAnAgentThatStarts(t *testing.T) {
	d := startDaemon(t, "stop_grace = \"2s\"\n"+fakeTeam(t, "api", `args = ["--fake-slow-start=500ms"]`))
	left := stubborn(t, d, "api")
	killed := make(chan ipc.Stopped, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		r, _ := call[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api", Tree: true})
		killed <- r
	})
	if _, err := ask(d, "api", "echo:x"); err != nil {
		t.Fatal(err)
	}
	r := <-killed
	pids := map[int]bool{}
	for _, p := range r.Daemons {
		pids[p.PID] = true
		if p.Parent != left && p.PID != left {
			t.Errorf("killed %d, %q", p.PID, p.Command)
		}
	}
	if !pids[left] {
		t.Errorf("killed %+v", r.Daemons)
	}
	for _, e := range details(d, "process-error") {
		t.Errorf("an agent did not start: %s", e)
	}
}
