package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	_ "iris/daemon" // is what is tested: with it changed, no earlier result of this test counts
)

// usualRounds is how often the daemon is killed in every run of the tests.
const usualRounds = 25

// rounds is IRIS_CRASH_ROUNDS, for longer runs.
func rounds(t *testing.T) int {
	t.Helper()
	said := os.Getenv("IRIS_CRASH_ROUNDS")
	if said == "" {
		return usualRounds
	}
	n, err := strconv.Atoi(said)
	if err != nil || n <= 0 {
		t.Fatalf("IRIS_CRASH_ROUNDS is %q: it must be a number of rounds", said)
	}
	return n
}

// TestNothingIsLostOrRunTwiceUnderKill9 builds the program and the driver as
// they are used, without the race detector, which has agents start too slowly.
func TestNothingIsLostOrRunTwiceUnderKill9(t *testing.T) {
	n := rounds(t)
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the driver finds the processes of a run in /proc, which only Linux has")
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", dir, "iris/cmd/iris", "iris/daemon/crashtest")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), filepath.Join(dir, "crashtest"), "-iris", filepath.Join(dir, "iris"), "-rounds", strconv.Itoa(n))
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
