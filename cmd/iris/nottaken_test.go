//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// A message that its agent did not take waits for another one. Killed meanwhile, the
// daemon leaves what shows that its turn never began.
func TestMessageThatWasNotTakenOutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	i := newInn(t, "")
	gate, open := i.gate()
	team := fmt.Sprintf("[teams.a]\ndir = %q\ncommand = %q\nargs = [%q, %q]\n",
		t.TempDir(), claudetest.Install(t.TempDir()), "--fake-slow-start=@"+gate, "--fake-ledger="+i.ledger)
	file := filepath.Join(i.dir, "config", "iris", "config.toml")
	have, _ := os.ReadFile(file)
	if err := os.WriteFile(file, append(have, team...), 0o600); err != nil {
		t.Fatal(err)
	}
	i.run("daemon", "reload")
	open()
	i.ask("a", "echo:one")
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	first := i.ps()["a@"]
	records, _ := filepath.Glob(filepath.Join(i.dir, "state", "iris", "spool", "*.json"))
	if len(records) != 1 {
		t.Fatalf("records: %q", records)
	}
	if err := errors.Join(os.Remove(records[0]), os.Mkdir(records[0], 0o700)); err != nil {
		t.Fatal(err)
	}
	id := i.submit("a", "echo:two")
	i.eventually("another agent", func() bool { p := i.ps()["a@"]; return p.State == "starting" && p.ID != first.ID })
	var m ipc.Message
	if err := json.Unmarshal([]byte(i.run("show", "--json", id)), &m); err != nil || m.State != "running" {
		t.Fatalf("got %+v, %v", m, err)
	}
	pid := i.status().PID
	syscall.Kill(pid, syscall.SIGKILL)
	i.eventually("the end of the daemon", func() bool { return syscall.Kill(pid, 0) != nil })
	open()
	i.run("status")
	if got := i.answer(id); got != "two" {
		t.Errorf("got %q", got)
	}
	if got := i.begun(); len(got) != 2 {
		t.Errorf("begun %q", got)
	}
}
