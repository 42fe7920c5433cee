package daemon

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/config/sys"
	"iris/ipc"
	"iris/pool/procs"
)

func TestMemoryLimitIsThreeQuartersOfTheMachineUnlessSet(t *testing.T) {
	d := startDaemon(t, "")
	limit := func() int64 { return mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{}).MaxMemory }
	if got, want := limit(), sys.Memory().Total/100*75; got != want || want == 0 {
		t.Errorf("limit of %d bytes, want %d", got, want)
	}
	for set, want := range map[string]int64{`"50%"`: sys.Memory().Total / 100 * 50, `"3GiB"`: 3 << 30, "0": 0} {
		d.configure("max_memory_total = " + set + "\n")
		if got := limit(); got != want {
			t.Errorf("limit of %d bytes after a reload, want %s", got, set)
		}
	}
}

// agentsMemory measures the agents that live now, and the largest of them.
func agentsMemory(d *testDaemon) (sum, largest int64) {
	for _, p := range mustCall[ipc.ProcessList](d, ipc.MethodList, struct{}{}).Processes {
		if p.PID > 0 {
			n := procs.TreeMemory(p.PID)
			sum, largest = sum+n, max(largest, n)
		}
	}
	return sum, largest
}

// Six teams have agents of 100 MB and more, and three agents fit. Every message is
// answered: idle agents go, and messages wait.
func TestMemoryOfAllAgentsStaysWithinItsLimit(t *testing.T) {
	const limit = 450e6
	toml := "max_memory_total = \"450MB\"\nhealth_check_interval = \"1s\"\nstop_grace = \"1s\"\n"
	for team := range 6 {
		toml += fakeTeam(t, fmt.Sprint("t", team))
	}
	d := startDaemon(t, toml)
	var all []string
	for _, text := range []string{"memory:100", "sleep:300ms", "memory:100"} {
		for team := range 6 {
			all = append(all, submit(d, ipc.Send{Team: fmt.Sprint("t", team), Text: text}).ID)
		}
	}
	var most, largest int64
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				sum, one := agentsMemory(d)
				most, largest = max(most, sum), max(largest, one)
			}
		}
	})
	waited := false
	for _, id := range all {
		s, _, err := stream(d, ipc.Stream{ID: id, Place: true})
		if err != nil {
			t.Error(err)
		}
		for _, st := range s.states {
			waited = waited || st.WaitsFor == "memory"
		}
	}
	close(done)
	wg.Wait()
	eventually(t, "a measured agent", func() bool {
		st := mustCall[ipc.Status](d, ipc.MethodStatus, struct{}{})
		return st.Memory > 0 && st.FreeMemory != nil && *st.FreeMemory > 0
	})
	for _, id := range all {
		if m := show(d, id); m.State != "done" {
			t.Errorf("%s is %s", id, m.State)
		}
	}
	if most > limit+largest {
		t.Errorf("the agents used %d bytes, with a limit of %d and agents of at most %d", most, int64(limit), largest)
	}
	if !waited {
		t.Error("no message waited for memory")
	}
	whys := details(d, "process-terminated")
	if all := strings.Join(whys, "\n"); !strings.Contains(all, "made room for t") || !strings.Contains(all, ": memory") {
		t.Errorf("no agent went for memory: %q", whys)
	}
	t.Logf("at most %d MB, one at most %d; agents went: %q", most/1e6, largest/1e6, whys)
}
