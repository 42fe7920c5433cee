//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"iris/ipc"
)

// BenchmarkFreeze compares idle agents of Claude Code that are frozen with those that are
// not: what ten of each take of a processor, and how fast each then answers.
func BenchmarkFreeze(b *testing.B) {
	r := newReal(b)
	h := newHouse(b, buildIris(b), "")
	n := few(10, 2)
	h.configure(fmt.Sprintf("max_processes = %d\nidle_timeout = \"0\"\n", 2*n) +
		r.team(h, "awake", h.mkdir("awake")) + "freeze_after = \"0\"\n" +
		r.team(h, "frozen", h.mkdir("frozen")) + fmt.Sprintf("freeze_after = %q\n", few2(20*time.Second, time.Second).String()))
	teams := []string{"awake", "frozen"}
	for b.Loop() {
		for i := range n {
			for _, team := range teams {
				h.run("send", fmt.Sprintf("%s@s%d", team, i), "echo:hi")
			}
		}
		time.Sleep(few2(50*time.Second, 2*time.Second))
		idle := few2(time.Minute, 2*time.Second)
		before := h.agentsCPU(b, teams)
		time.Sleep(idle)
		after := h.agentsCPU(b, teams)
		all := [2]times{}
		for i := range n {
			for k, team := range teams {
				all[k] = append(all[k], taking(func() { h.run("send", fmt.Sprintf("%s@s%d", team, i), "echo:hi") }))
			}
		}
		var percent [2]float64
		for k := range percent {
			percent[k] = 100 * float64(after[k]-before[k]) / float64(idle)
		}
		publish(b, map[string]float64{
			"percent-awake": percent[0], "percent-frozen": percent[1],
			"ms-awake": ms(all[0].median()), "ms-frozen": ms(all[1].median()),
		}, "%d idle agents take %.2f %% of a processor, frozen %.2f %%; then iris send takes %.1f and %.1f ms, p50",
			n, percent[0], percent[1], ms(all[0].median()), ms(all[1].median()))
	}
}

// agentsCPU is the processor time of the agents of each team so far.
func (h *house) agentsCPU(b *testing.B, teams []string) []time.Duration {
	b.Helper()
	var ps []ipc.Process
	if err := json.Unmarshal([]byte(h.run("ps", "--json")), &ps); err != nil {
		b.Fatal(err)
	}
	sums := make([]time.Duration, len(teams))
	for k, team := range teams {
		for _, p := range ps {
			if p.Team == team {
				sums[k] += cpuOf(b, p.PID)
			}
		}
	}
	return sums
}

// cpuOf is the processor time of a process so far, with that of threads that have ended.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	var user, system int64
	f := strings.Fields(fields)
	fmt.Sscan(f[11]+" "+f[12], &user, &system)
	return time.Duration(user+system) * 10 * time.Millisecond // the system's ticks
}
