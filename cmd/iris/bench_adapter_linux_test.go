package main

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"iris/pool/adapter/modeltest"
)

// BenchmarkAdapter compares a message to a warm agent behind an adapter with the program's
// own command for one message, against the same stub, and measures the memory of both
// processes of the agent.
func BenchmarkAdapter(b *testing.B) {
	for _, c := range [][]string{{"codex", "exec", "--skip-git-repo-check", "hello"}, {"opencode", "run", "hello"}} {
		name, once := c[0], c[1:]
		b.Run(name, func(b *testing.B) {
			h, real := adaptedHouse(b, buildIris(b), name)
			for b.Loop() {
				t := inTurns(few(5, 2),
					func() { h.run("send", "api", "hello") },
					func() { run(b, alone(h, real, once...)) })
				adapter, program := h.memoryBehindAdapter(b)
				publish(b, map[string]float64{
					"warm-ms": ms(t[0].median()), "once-ms": ms(t[1].median()), "x-once": over(t[1].median(), t[0].median()),
					"adapter-MB": adapter / 1e6, "program-MB": program / 1e6,
				}, "%s: a warm turn %v, %s %s %v (%.1f times); adapter %.1f MB, program %.0f MB (PSS)",
					name, t[0].median().Round(time.Millisecond), name, once[0], t[1].median().Round(time.Millisecond),
					over(t[1].median(), t[0].median()), adapter/1e6, program/1e6)
			}
		})
	}
}

// alone is the program's own command for one message.
func alone(h *house, real *modeltest.Real, args ...string) *exec.Cmd {
	cmd := exec.Command(real.Command[0], args...)
	cmd.Dir, cmd.Env = h.mkdir("project"), append([]string{"PATH=" + os.Getenv("PATH")}, real.Env...)
	return cmd
}

// memoryBehindAdapter returns the memory of the adapter and that of its program, in bytes,
// of which memory that several processes share counts in part.
func (h *house) memoryBehindAdapter(b *testing.B) (adapter, program float64) {
	b.Helper()
	for _, p := range processesOf(h.dir) {
		pid, cmdline, _ := strings.Cut(p, ": ")
		rollup, err := os.ReadFile("/proc/" + pid + "/smaps_rollup")
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := bytes.Cut(rollup, []byte("\nPss:"))
		kb, err := strconv.Atoi(strings.Fields(string(rest))[0])
		switch {
		case err != nil:
			b.Fatal(err)
		case strings.Contains(cmdline, " agent "):
			adapter += float64(kb) * 1024
		case !strings.Contains(cmdline, " daemon "):
			program += float64(kb) * 1024
		}
	}
	if adapter == 0 || program == 0 {
		b.Fatalf("adapter %.0f, program %.0f bytes", adapter, program)
	}
	return adapter, program
}
