//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// anonymous is the memory of a process that is its own and in no file, in
// bytes.
func anonymous(b *testing.B, pid int) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := bytes.Cut(status, []byte("\nRssAnon:"))
	fields := strings.Fields(string(rest))
	kb, err := strconv.Atoi(fields[0])
	if err != nil {
		b.Fatal(err)
	}
	return float64(kb) * 1024
}

// work is what the threads of a process have done so far: processor time, and
// how often one of them went to sleep or was made to wait.
func work(b *testing.B, pid int) (cpu time.Duration, wakes int) {
	b.Helper()
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, t := range threads {
		stat, err := os.ReadFile(t + "/schedstat")
		if err != nil {
			b.Fatal(err)
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(stat))[0], 10, 64)
		cpu += time.Duration(ns)
		status, _ := os.ReadFile(t + "/status")
		for line := range strings.Lines(string(status)) {
			if name, n, _ := strings.Cut(line, ":"); strings.HasSuffix(name, "voluntary_ctxt_switches") {
				k, _ := strconv.Atoi(strings.TrimSpace(n))
				wakes += k
			}
		}
	}
	return cpu, wakes
}

// BenchmarkAgentMemory measures the memory of an idle daemon, and of each of a
// thousand live agents.
func BenchmarkAgentMemory(b *testing.B) {
	n := few(1000, 20)
	h := newHouse(b, buildIris(b), fmt.Sprintf("max_processes = %d\nidle_timeout = \"0\"\n", max(n, 10)))
	for b.Loop() {
		h.run("send", "echo@s0", "hi")
		pid := h.daemon()
		time.Sleep(few2(10*time.Second, time.Second)) // for memory of the start to be given back
		idle := anonymous(b, pid)
		var wg sync.WaitGroup
		next := make(chan int)
		for range 8 {
			wg.Go(func() {
				for i := range next {
					silently(b, h.command("wake", fmt.Sprintf("echo@s%d", i)))
				}
			})
		}
		for i := 1; i < n; i++ {
			next <- i
		}
		close(next)
		wg.Wait()
		time.Sleep(few2(10*time.Second, time.Second))
		each := (anonymous(b, pid) - idle) / float64(n-1)
		publish(b, map[string]float64{"MB-idle": idle / 1e6, "KB-agent": each / 1e3},
			"daemon: %.1f MB anonymous with one idle agent; %.1f KB more for each of %d agents", idle/1e6, each/1e3, n)
	}
}

// BenchmarkMemoryAfterAnswers measures the memory of a daemon a minute after a
// hundred answers of 1 MB.
func BenchmarkMemoryAfterAnswers(b *testing.B) {
	h := newHouse(b, buildIris(b), "")
	message := filepath.Join(h.dir, "message")
	if err := os.WriteFile(message, bytes.Repeat([]byte("0123456789abcde\n"), 1<<16), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		h.run("send", "echo", "hi")
		pid := h.daemon()
		time.Sleep(few2(10*time.Second, time.Second))
		base := anonymous(b, pid)
		for range few(100, 3) {
			h.run("send", "echo", "-f", message)
		}
		peak := anonymous(b, pid)
		time.Sleep(few2(time.Minute, time.Second))
		more := anonymous(b, pid) - base
		publish(b, map[string]float64{"MB-base": base / 1e6, "MB-peak": peak / 1e6, "MB-more": more / 1e6},
			"daemon: %.1f MB before, %.1f MB after 100 answers of 1 MB, %.1f MB more than before a minute later", base/1e6, peak/1e6, more/1e6)
	}
}

// BenchmarkIdle measures the work of a daemon with ten idle agents in a minute, after
// the health check that follows their last turn.
func BenchmarkIdle(b *testing.B) {
	h := newHouse(b, buildIris(b), "idle_timeout = \"0\"\n")
	for b.Loop() {
		for i := range 10 {
			h.run("send", fmt.Sprintf("echo@s%d", i), "hi")
		}
		pid := h.daemon()
		time.Sleep(few2(40*time.Second, 100*time.Millisecond))
		d := few2(time.Minute, time.Second)
		cpu, wakes := work(b, pid)
		time.Sleep(d)
		cpu2, wakes2 := work(b, pid)
		publish(b, map[string]float64{"wakes/s": float64(wakes2-wakes) / d.Seconds(), "cpu-ms": ms(cpu2 - cpu)},
			"idle daemon with 10 idle agents: woken %.2f times a second, %.1f ms of processor time in %v", float64(wakes2-wakes)/d.Seconds(), ms(cpu2-cpu), d)
	}
}

// few2 is d, or with -short less.
func few2(d, less time.Duration) time.Duration {
	if testing.Short() {
		return less
	}
	return d
}
