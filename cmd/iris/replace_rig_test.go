//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// An inn is a house with a daemon whose program is replaced in place, and agents
// that keep a ledger.
type inn struct {
	*house
	t      *testing.T
	ledger string
	socket string
}

// newInn makes an inn with those teams, and has the daemon started by a command.
func newInn(t *testing.T, toml string, teams ...string) *inn {
	t.Helper()
	i := &inn{t: t, ledger: filepath.Join(t.TempDir(), "ledger")}
	program := claudetest.Install(t.TempDir())
	all := "env = { GORACE = \"atexit_sleep_ms=0\" }\nstop_grace = \"2s\"\n" + toml + "\n"
	for _, name := range teams {
		all += fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\nargs = [%q]\n", name, t.TempDir(), program, "--fake-ledger="+i.ledger)
	}
	iris := irisPath(t)
	i.house = newHouse(t, iris, all)
	i.run("status")
	i.socket = filepath.Join(i.dir, "run", "iris", "iris.sock")
	if _, err := os.Stat(i.socket); err != nil {
		t.Fatal(err)
	}
	return i
}

// tell makes one call on a connection of its own.
func tell[T any](i *inn, method string, params any) (T, error) {
	i.t.Helper()
	var result T
	ctx, cancel := context.WithTimeout(context.Background(), 2*longEnough)
	defer cancel()
	c, err := ipc.Dial(ctx, i.socket, ipc.Hello{Protocol: ipc.Version, Version: "test"})
	if err != nil {
		return result, err
	}
	defer c.Close()
	return result, c.Call(ctx, method, params, &result)
}

func mustTell[T any](i *inn, method string, params any) T {
	i.t.Helper()
	result, err := tell[T](i, method, params)
	if err != nil {
		i.t.Fatalf("%s: %v", method, err)
	}
	return result
}

// lost reports whether an error says that the daemon cut the call off.
func lost(err error) bool {
	var wire *ipc.Error
	return errors.Is(err, ipc.ErrLost) || errors.As(err, &wire) && wire.Code == ipc.CodeCancelled && wire.Data == nil
}

func (i *inn) status() ipc.Status {
	i.t.Helper()
	return mustTell[ipc.Status](i, ipc.MethodStatus, nil)
}

// replace has a program take the daemon's place, and returns why it did not.
func (i *inn) replace(program string) error {
	i.t.Helper()
	before := i.status()
	_, err := tell[struct{}](i, ipc.MethodReplace, ipc.Restart{Program: program})
	if !lost(err) {
		if err == nil {
			i.t.Error("the call was answered")
		}
		return err
	}
	after := i.status()
	if after.PID != before.PID || after.Generation != before.Generation+1 || !after.Since.Equal(before.Since) {
		log, _ := os.ReadFile(filepath.Join(i.dir, "state", "iris", "iris.log"))
		i.t.Fatalf("before %d %d %v\nafter  %d %d %v\n%s", before.PID, before.Generation, before.Since, after.PID, after.Generation, after.Since, log)
	}
	return nil
}

func (i *inn) mustReplace() {
	i.t.Helper()
	if err := i.replace(i.iris); err != nil {
		i.t.Fatal(err)
	}
}

func (i *inn) ps() map[string]ipc.Process {
	i.t.Helper()
	all := map[string]ipc.Process{}
	for _, p := range mustTell[ipc.ProcessList](i, ipc.MethodList, nil).Processes {
		all[p.Team+"@"+p.Session] = p
	}
	return all
}

// ask sends a message and returns the answer.
func (i *inn) ask(team, text string) string {
	i.t.Helper()
	return mustTell[ipc.Reply](i, ipc.MethodSend, ipc.Send{Team: team, Text: text}).Text
}

func (i *inn) submit(team, text string) string {
	i.t.Helper()
	return mustTell[ipc.MessageState](i, ipc.MethodSubmit, ipc.Send{Team: team, Text: text}).ID
}

// answer waits for the end of a message and returns its answer.
func (i *inn) answer(id string) string {
	i.t.Helper()
	for {
		var reply ipc.Reply
		_, err := tell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{id}})
		if err == nil {
			reply, err = tell[ipc.Reply](i, ipc.MethodResult, ipc.MessageRef{ID: id})
		}
		switch {
		case err == nil:
			return reply.Text
		case !lost(err):
			i.t.Fatalf("message %s: %v", id, err)
		}
	}
}

// begun lists the messages that agents have begun.
func (i *inn) begun() (texts []string) {
	i.t.Helper()
	entries, err := claudetest.ReadLedger(i.ledger)
	if err != nil {
		i.t.Fatal(err)
	}
	for _, e := range entries {
		switch e.Kind {
		case "B":
			texts = append(texts, e.Text)
		case "V":
			i.t.Errorf("violation: %s", e.Text)
		}
	}
	return texts
}

func (i *inn) awaitBegun(text string) {
	i.t.Helper()
	i.eventually(text, func() bool { return slices.Contains(i.begun(), text) })
}

func (i *inn) eventually(what string, f func() bool) {
	i.t.Helper()
	for end := time.Now().Add(longEnough); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			i.t.Fatalf("%s did not come within %v", what, longEnough)
		}
	}
}

// gate returns the path of a file that does not exist, and a function that makes it:
// a delay of "@" and that path then ends. The path is short, so that a ledger holds
// it whole.
func (h *house) gate() (path string, open func()) {
	h.b.Helper()
	dir, err := os.MkdirTemp(h.dir, "")
	if err != nil {
		h.b.Fatal(err)
	}
	path = filepath.Join(dir, "g")
	return path, func() {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			h.b.Error(err)
		}
	}
}

// untilOpen is a shell command that waits for that.
func untilOpen(path string) string { return "until test -e " + path + "; do sleep 0.05; done" }

// writeProgram writes a file that may be run at once: no child is forked meanwhile,
// which would have it open for writing until it has its own program.
func writeProgram(path, text string, mode os.FileMode) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(path, []byte(text), mode)
}
