//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"iris/ipc"
)

// frozenFor is how long the agents of BenchmarkFreeze are idle: a minute, or IRIS_FREEZE_IDLE.
func frozenFor(b *testing.B) time.Duration {
	b.Helper()
	said := os.Getenv("IRIS_FREEZE_IDLE")
	if said == "" {
		return few2(time.Minute, 2*time.Second)
	}
	d, err := time.ParseDuration(said)
	if err != nil || d <= 0 {
		b.Fatalf("IRIS_FREEZE_IDLE is %q: it must be a duration", said)
	}
	return d
}

// BenchmarkFreeze compares idle agents of Claude Code that are frozen with those that are
// not: what ten of each take of a processor, and how fast each then answers, at first and
// once more. The MCP server of each agent goes on counting.
func BenchmarkFreeze(b *testing.B) {
	r := newReal(b)
	h := newHouse(b, buildIris(b), "")
	n, idle := few(10, 2), frozenFor(b)
	h.configure(fmt.Sprintf("max_processes = %d\nidle_timeout = \"0\"\n", 2*n) +
		r.counting(h, "awake") + "freeze_after = \"0\"\n" +
		r.counting(h, "frozen") + fmt.Sprintf("freeze_after = %q\n", few2(20*time.Second, time.Second).String()))
	teams := []string{"awake", "frozen"}
	turn := func(k, i int) func() {
		return func() { h.run("send", fmt.Sprintf("%s@s%d", teams[k], i), "echo:hi") }
	}
	for b.Loop() {
		h.count(b, teams, n, 1)
		for i := range n {
			turn(0, i)()
			turn(1, i)()
		}
		time.Sleep(few2(50*time.Second, 2*time.Second))
		before := h.agentsCPU(b, teams)
		time.Sleep(idle)
		after := h.agentsCPU(b, teams)
		var first, warm [2]times
		for i := range n {
			for k := range teams {
				k = (k + i) % len(teams)
				first[k] = append(first[k], taking(turn(k, i)))
				warm[k] = append(warm[k], taking(turn(k, i)))
			}
		}
		h.count(b, teams, n, 2)
		var percent [2]float64
		for k := range percent {
			percent[k] = 100 * float64(after[k]-before[k]) / float64(idle)
		}
		publish(b, map[string]float64{
			"percent-awake": percent[0], "percent-frozen": percent[1],
			"ms-awake": ms(first[0].median()), "ms-frozen": ms(first[1].median()),
			"ms-later-awake": ms(later(first[0], warm[0])), "ms-later-frozen": ms(later(first[1], warm[1])),
		}, "%d agents idle for %v take %.2f %% of a processor, frozen %.2f %%; then iris send takes %.1f and %.1f ms, "+
			"and the next one %.1f and %.1f ms; the first answer of an agent is %.1f and %.1f ms later than its next; all p50",
			n, idle, percent[0], percent[1], ms(first[0].median()), ms(first[1].median()),
			ms(warm[0].median()), ms(warm[1].median()), ms(later(first[0], warm[0])), ms(later(first[1], warm[1])))
	}
}

// later is the median of how much longer each of a takes than the one of b at its place.
func later(a, b times) time.Duration {
	var all times
	for i := range a {
		all = append(all, a[i]-b[i])
	}
	return all.median()
}

// counting is the table of a team whose agents have an MCP server that counts its calls.
func (r *real) counting(h *house, name string) string {
	counter, err := exec.LookPath("counter")
	if err != nil {
		h.b.Fatal(err)
	}
	server := fmt.Sprintf(`--mcp-config={"mcpServers":{"counter":{"command":%q}}}`, counter)
	return r.team(h, name, h.mkdir(name)) + fmt.Sprintf("args = [\"--allowedTools=mcp__counter__next\", %q]\n", server)
}

// count has each agent call its server, and checks how often that has been called.
func (h *house) count(b *testing.B, teams []string, n, calls int) {
	b.Helper()
	for i := range n {
		for _, team := range teams {
			got := h.run("send", fmt.Sprintf("%s@s%d", team, i), "tool:mcp__counter__next:{}")
			if want := fmt.Sprintf("tool said: %d", calls); strings.TrimSpace(got) != want {
				b.Errorf("%s@s%d: got %q, want %q", team, i, got, want)
			}
		}
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
