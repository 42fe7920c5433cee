package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"iris/config/sys/systest"
)

// BenchmarkPs compares "iris ps" as a whole command with "tmux ls", another
// client that asks a server over a Unix socket what runs. Each is measured twice
// in every round: what the two rows of one program differ by is noise.
func BenchmarkPs(b *testing.B) {
	h := newHouse(b, buildIris(b), "")
	h.run("send", "echo", "hi") // a row to print
	tmux := newTmux(b)
	ps := func() { silently(b, h.command("ps")) }
	ls := func() { silently(b, tmux("ls")) }
	for b.Loop() {
		t := inTurns(few(300, 10), ls, ps, ls, ps)
		iris, peer := slices.Concat(t[1], t[3]), slices.Concat(t[0], t[2])
		publish(b, map[string]float64{
			"x-tmux":      over(iris.median(), peer.median()),
			"x-itself":    over(t[3].median(), t[1].median()),
			"ms-iris-ps":  ms(iris.median()),
			"ms-tmux-ls":  ms(peer.median()),
			"x-tmux-tmux": over(t[2].median(), t[0].median()),
		}, "iris ps %.2f ms, tmux ls %.2f ms: ratio %.2f; of each to itself %.2f and %.2f",
			ms(iris.median()), ms(peer.median()), over(iris.median(), peer.median()),
			over(t[3].median(), t[1].median()), over(t[2].median(), t[0].median()))
	}
}

// newTmux starts a tmux server with one session and returns what makes commands
// for it. The server ends with its session.
func newTmux(b *testing.B) func(args ...string) *exec.Cmd {
	b.Helper()
	path := systest.Needs(b, "tmux")
	dir, err := os.MkdirTemp("", "tmux")
	if err != nil {
		b.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	tmux := func(args ...string) *exec.Cmd {
		cmd := exec.Command(path, append([]string{"-S", socket, "-f", "/dev/null"}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "SHELL=/bin/sh"}
		return cmd
	}
	run(b, tmux("new-session", "-d", "-s", "peer", "sleep 100000"))
	b.Cleanup(func() {
		run(b, tmux("kill-session", "-t", "peer"))
		os.RemoveAll(dir)
	})
	return tmux
}

// BenchmarkColdStart compares an "iris ps" that makes the directories and starts the
// daemon with one that finds a daemon.
func BenchmarkColdStart(b *testing.B) {
	iris := buildIris(b)
	warm := newHouse(b, iris, "")
	warm.run("ps")
	for b.Loop() {
		var cold, found times
		for range few(40, 3) {
			h := newHouse(b, iris, "")
			cold = append(cold, taking(func() { silently(b, h.command("ps")) }))
			h.run("daemon", "stop") // what it does beside answering must not disturb the other
			found = append(found, taking(func() { silently(b, warm.command("ps")) }))
		}
		publish(b, map[string]float64{
			"x-warm":  over(cold.median(), found.median()),
			"ms-cold": ms(cold.median()),
			"ms-warm": ms(found.median()),
		}, "iris ps: %.1f ms with the start of a daemon, %.2f ms without: ratio %.2f",
			ms(cold.median()), ms(found.median()), over(cold.median(), found.median()))
	}
}

// BenchmarkComplete measures what a shell waits for when it completes the id of
// a message or a session from the running daemon, and a team from the
// configuration, beside "iris ps".
func BenchmarkComplete(b *testing.B) {
	h := newHouse(b, buildIris(b), "")
	for range few(60, 3) {
		h.run("send", "-d", "echo@review", "hi")
	}
	complete := func(args ...string) func() {
		return func() { silently(b, h.command(append([]string{"__complete"}, args...)...)) }
	}
	for b.Loop() {
		t := inTurns(few(100, 3), func() { silently(b, h.command("ps")) },
			complete("show", ""), complete("send", "echo@"), complete("send", ""))
		publish(b, map[string]float64{
			"ms-message": ms(t[1].median()), "ms-session": ms(t[2].median()), "ms-team": ms(t[3].median()),
			"x-ps": over(t[1].median(), t[0].median()),
		}, "completed in %.1f ms (ids of messages), %.1f ms (sessions), %.1f ms (teams); iris ps %.1f ms",
			ms(t[1].median()), ms(t[2].median()), ms(t[3].median()), ms(t[0].median()))
	}
}
