//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/procs"
)

// BenchmarkSmallMachine gives 200 messages to 30 teams, whose agents of Claude Code may use
// 4 GB together, which is enough for all at once, or 2 GB, which is not. It measures their
// memory all the time, as the system counts it, and then what the idle agents and the daemon
// take of a processor.
func BenchmarkSmallMachine(b *testing.B) {
	for _, limit := range []int{few(4000, 600), few(2000, 400)} {
		b.Run(fmt.Sprintf("MB=%d", limit), func(b *testing.B) { smallMachine(b, limit) })
	}
}

// smallMachine measures with a max_memory_total of so many MB.
func smallMachine(b *testing.B, limit int) {
	r := newReal(b)
	h := newHouse(b, buildIris(b), "")
	teams, messages := few(30, 3), few(200, 9)
	toml := fmt.Sprintf("max_processes = %d\nmax_memory_total = \"%dMB\"\nidle_timeout = \"0\"\nfreeze_after = \"2s\"\n", teams, limit)
	var names []string
	for i := range teams {
		names = append(names, fmt.Sprint("t", i))
		toml += r.team(h, names[i], h.mkdir(names[i]))
	}
	h.configure(toml)
	for b.Loop() {
		pid := h.daemon()
		watch := h.watchMemory(b)
		var ids []string
		for i := range messages {
			ids = append(ids, strings.TrimSpace(h.run("send", "-d", "-n", names[i*7%teams], fmt.Sprintf("echo:m%d", i))))
		}
		for i, id := range ids {
			if got, want := h.run("wait", id), fmt.Sprintf("m%d\n", i); got != want {
				b.Errorf("message %d is answered %q", i, got)
			}
		}
		most, largest, agents := watch()
		if most > int64(limit)*1e6 {
			b.Errorf("the agents used %d MB, and may use %d", most/1e6, limit)
		}
		gone := strings.Count(h.run("events", "--type", "process-terminated"), "memory")
		time.Sleep(few2(10*time.Second, 3*time.Second))
		idle := few2(30*time.Second, 2*time.Second)
		before, daemon := sum(h.agentsCPU(b, names)), cpuOf(b, pid)
		time.Sleep(idle)
		percent := 100 * float64(sum(h.agentsCPU(b, names))-before) / float64(idle)
		ofDaemon := 100 * float64(cpuOf(b, pid)-daemon) / float64(idle)
		publish(b, map[string]float64{
			"MB-most": float64(most) / 1e6, "agents-most": float64(agents), "percent-idle": percent, "percent-daemon": ofDaemon,
		}, "%d messages of %d teams are answered; at most %d agents used at most %d MB of %d, the largest %d; %d agents went for memory; "+
			"then the idle ones take %.2f %% of a processor, the daemon %.2f %%",
			messages, teams, agents, most/1e6, limit, largest/1e6, gone, percent, ofDaemon)
	}
}

// watchMemory measures the agents until it is asked for the most memory that all used at a
// time, for the largest of them, and for the most agents.
func (h *house) watchMemory(b *testing.B) (end func() (most, largest int64, agents int)) {
	var most, largest int64
	agents := 0
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
			}
			var ps []ipc.Process
			if out, err := h.command("ps", "--json").Output(); err != nil || json.Unmarshal(out, &ps) != nil {
				b.Errorf("iris ps: %v", err)
				return
			}
			all, n := int64(0), 0
			for _, p := range ps {
				if p.PID > 0 {
					one := procs.TreeMemory(p.PID)
					all, largest, n = all+one, max(largest, one), n+1
				}
			}
			most, agents = max(most, all), max(agents, n)
		}
	})
	return func() (int64, int64, int) {
		close(done)
		wg.Wait()
		return most, largest, agents
	}
}

func sum(all []time.Duration) (d time.Duration) {
	for _, one := range all {
		d += one
	}
	return d
}
