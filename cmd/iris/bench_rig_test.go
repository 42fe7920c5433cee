package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"iris/ipc"
)

// The benchmarks here run the built program as people do, against a daemon with
// a home of its own. Each compares two things in turns, in one run, and reports
// a ratio or a difference: on a machine that is shared only those mean
// something. None of them fails on a clock. With -short they take a few samples
// only, which shows that they work and no more.

// buildIris builds the program as README.md says, in a directory that is gone
// at the end.
func buildIris(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "iris")
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// A house is a home directory with a configuration and, once a command has
// started it, a daemon.
type house struct {
	b    testing.TB
	iris string
	dir  string
	env  []string
}

// newHouse makes a house, whose daemon and agents are ended with the benchmark.
func newHouse(b testing.TB, iris, toml string) *house {
	b.Helper()
	dir, err := os.MkdirTemp("", "iris") // short: the socket's path is limited
	if err != nil {
		b.Fatal(err)
	}
	h := &house{b: b, iris: iris, dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "SHELL=/bin/sh"}}
	for name, sub := range map[string]string{
		"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_STATE_HOME": "state", "XDG_RUNTIME_DIR": "run",
	} {
		h.mkdir(sub)
		h.env = append(h.env, name+"="+filepath.Join(dir, sub))
	}
	h.configure(toml)
	b.Cleanup(h.leave)
	return h
}

func (h *house) configure(toml string) {
	h.b.Helper()
	if err := os.WriteFile(filepath.Join(h.mkdir("config/iris"), "config.toml"), []byte(toml), 0o600); err != nil {
		h.b.Fatal(err)
	}
}

func (h *house) mkdir(sub string) string {
	path := filepath.Join(h.dir, sub)
	if err := os.MkdirAll(path, 0o700); err != nil {
		h.b.Fatal(err)
	}
	return path
}

// leave stops the daemon and removes the directory. Nothing may be left.
func (h *house) leave() {
	if out, err := h.command("daemon", "stop", "--force").CombinedOutput(); err != nil {
		h.b.Errorf("stop the daemon: %v\n%s", err, out)
	}
	for end := time.Now().Add(longEnough); ; time.Sleep(20 * time.Millisecond) {
		left := processesOf(h.dir)
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			h.b.Errorf("left behind: %q", left)
			break
		}
	}
	os.RemoveAll(h.dir)
}

func (h *house) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.iris, args...)
	cmd.Env = h.env
	return cmd
}

// run runs a command and returns its output.
func (h *house) run(args ...string) string {
	h.b.Helper()
	return run(h.b, h.command(args...))
}

func run(b testing.TB, cmd *exec.Cmd) string {
	b.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out.Bytes(), errs.Bytes())
	}
	return out.String()
}

// silently runs a command whose output goes to /dev/null, so that nothing but
// the command is measured.
func silently(b testing.TB, cmd *exec.Cmd) {
	b.Helper()
	if err := cmd.Run(); err != nil {
		b.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
}

// daemon returns the daemon's process id. It starts the daemon if need be.
func (h *house) daemon() int {
	h.b.Helper()
	h.run("ps")
	var st ipc.Status
	if err := json.Unmarshal([]byte(h.run("daemon", "status", "--json")), &st); err != nil {
		h.b.Fatal(err)
	}
	return st.PID
}

// times are those of one thing that was measured again and again.
type times []time.Duration

// at returns a quantile, such as 0.5 for the median.
func (t times) at(q float64) time.Duration {
	s := slices.Sorted(slices.Values(t))
	return s[min(int(q*float64(len(s))), len(s)-1)]
}

func (t times) median() time.Duration { return t.at(0.5) }

func over(a, b time.Duration) float64 { return float64(a) / float64(b) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// taking returns how long f takes.
func taking(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

// inTurns runs the functions one after the other, rounds times, and returns the
// times of each. Every round begins with another one, so that all of them see
// the same machine; the first round is not counted.
func inTurns(rounds int, fs ...func()) []times { return atRest(0, rounds, fs...) }

// atRest is inTurns with a pause before each function, so that what the one
// before has left to do does not take the processor from it.
func atRest(pause time.Duration, rounds int, fs ...func()) []times {
	all := make([]times, len(fs))
	for i := range rounds + 1 {
		for k := range fs {
			k = (k + i) % len(fs)
			time.Sleep(pause)
			if d := taking(fs[k]); i > 0 {
				all[k] = append(all[k], d)
			}
		}
	}
	return all
}

// few is n, or with -short less.
func few(n, less int) int {
	if testing.Short() {
		return less
	}
	return n
}

// publish prints a line for people and the figures for programs, instead of the
// time of one iteration, which means nothing here.
func publish(b *testing.B, figures map[string]float64, format string, args ...any) {
	b.Helper()
	b.ReportMetric(0, "ns/op")
	for unit, value := range figures {
		b.ReportMetric(value, unit)
	}
	b.Logf(format, args...)
}
