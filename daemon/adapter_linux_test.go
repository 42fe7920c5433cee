package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"iris/ipc"
)

// ofDaemon returns the processes of a daemon's agents, by the words of their command lines.
func ofDaemon(d *testDaemon) map[int][]string {
	all := map[int][]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		environ, _ := os.ReadFile(dir + "/environ")
		if cmdline, err := os.ReadFile(dir + "/cmdline"); err == nil && bytes.Contains(environ, []byte("IRIS_STATE="+d.paths.State+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(dir))
			all[pid] = strings.Split(string(cmdline), "\x00")
		}
	}
	return all
}

// If an adapter is killed, nobody knows how the turn ended, and its program ends too, even
// one that heeds nothing. A program that is killed alone is reported.
func TestAdapterOrItsProgramIsKilled(t *testing.T) {
	for victim, want := range map[string]string{"agent": "unknown", "fake-acp": "incomplete"} {
		t.Run(victim, func(t *testing.T) {
			d := startDaemon(t, acpTeam(t, t.TempDir(), "deaf"))
			m := submit(d, ipc.Send{Team: "api", Text: "part\nhang"})
			killed := 0
			eventually(t, "a process to kill", func() bool {
				if outputs(t, d, `"text":"part`) { // the program has the message
					for pid, argv := range ofDaemon(d) {
						if len(argv) > 1 && argv[1] == victim {
							killed = pid
						}
					}
				}
				return killed != 0
			})
			syscall.Kill(killed, syscall.SIGKILL)
			awaitEnd(d, m.ID)
			if s := show(d, m.ID); s.State != want && s.Outcome != want {
				t.Errorf("got %+v", s)
			}
			eventually(t, "the end of all its processes", func() bool { return len(ofDaemon(d)) == 0 })
		})
	}
}

// outputs reports whether an agent has written a text.
func outputs(t *testing.T, d *testDaemon, text string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(d.paths.Spool, "*.out"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(names, func(name string) bool {
		data, _ := os.ReadFile(name)
		return bytes.Contains(data, []byte(text))
	})
}

// A program that heeds neither the end of its input nor SIGTERM is gone with its agent.
func TestNothingIsLeftOfAProgram(t *testing.T) {
	d := startDaemon(t, acpTeam(t, t.TempDir(), "deaf"))
	if _, err := ask(d, "api", "hello"); err != nil || len(ofDaemon(d)) != 2 {
		t.Fatalf("got %v, %v", ofDaemon(d), err)
	}
	mustCall[ipc.Stopped](d, ipc.MethodKill, ipc.Target{Team: "api"})
	if left := ofDaemon(d); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}
