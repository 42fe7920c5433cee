//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
	iris, err := exec.LookPath("iris")
	if err != nil {
		t.Fatal(err)
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
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
	return i.text(mustTell[ipc.Reply](i, ipc.MethodSend, ipc.Send{Team: team, Text: text}))
}

func (i *inn) text(r ipc.Reply) string {
	i.t.Helper()
	var b strings.Builder
	if err := ipc.UnquoteTo(&b, r.Text); err != nil {
		i.t.Error(err)
	}
	return b.String()
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
			reply, err = tell[ipc.Reply](i, ipc.MethodResult, ipc.Which{ID: id})
		}
		switch {
		case err == nil:
			return i.text(reply)
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
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			i.t.Fatalf("%s did not come within 10 s", what)
		}
	}
}

func TestReplacedDaemonKeepsItsAgentsWarm(t *testing.T) {
	i := newInn(t, "", "a", "b")
	i.ask("a", "echo:one")
	i.ask("b", "echo:two")
	i.ask("echo", "three")
	before, events := i.ps(), mustTell[ipc.EventList](i, ipc.MethodEvents, ipc.Since{})
	i.mustReplace()
	after := i.ps()
	if len(after) != 3 {
		t.Fatalf("got %v", after)
	}
	for name, p := range before {
		q := after[name]
		if q.PID != p.PID || q.ID != p.ID || q.State != "idle" || q.Messages != 1 || q.SessionID != p.SessionID || !q.Started.Equal(p.Started) {
			t.Errorf("before %+v\nafter %+v", p, q)
		}
	}
	if got := i.ask("a", "count"); got != "2" {
		t.Errorf("the agent has %q messages", got)
	}
	if got := i.ask("echo", "again"); got != "again" {
		t.Errorf("got %q", got)
	}
	mustTell[ipc.Reply](i, ipc.MethodSend, ipc.Send{Team: "a", Session: "x", Text: "echo:new"})
	for name, p := range i.ps() {
		old, was := before[name]
		if was && p.PID != old.PID {
			t.Errorf("%s has another agent", name)
		}
		for _, o := range before {
			if !was && o.ID == p.ID {
				t.Errorf("process id %s repeats", p.ID)
			}
		}
	}
	now := mustTell[ipc.EventList](i, ipc.MethodEvents, ipc.Since{})
	if now.Missed != 0 || now.Last <= events.Last || len(now.Events) != int(now.Last) {
		t.Errorf("%d events, last %d, before %d", len(now.Events), now.Last, events.Last)
	}
	for k, e := range now.Events {
		if e.Seq != uint64(k+1) {
			t.Errorf("event %d has number %d", k+1, e.Seq)
		}
	}
}

func TestRunningTurnGoesOnInTheNewProgram(t *testing.T) {
	i := newInn(t, "", "a")
	i.ask("a", "echo:first")
	pid := i.ps()["a@"].PID
	id := i.submit("a", "slow:20:100ms")
	i.awaitBegun("slow:20:100ms")
	i.mustReplace()
	if p := i.ps()["a@"]; p.State != "busy" || p.Message != id || p.PID != pid {
		t.Errorf("got %+v", p)
	}
	if got := i.answer(id); !strings.HasSuffix(strings.TrimSpace(got), "d19") {
		t.Errorf("got %q", got)
	}
	m := mustTell[ipc.Message](i, ipc.MethodShow, ipc.Which{ID: id})
	if m.Attempts != 1 || len(m.History) != 3 || m.State != "done" {
		t.Errorf("got %+v", m)
	}
	if got := i.ask("a", "count"); got != "3" || i.ps()["a@"].PID != pid {
		t.Errorf("the agent has %q messages", got)
	}
	if got := i.begun(); len(got) != 3 {
		t.Errorf("begun %q", got)
	}
}

func TestWaitingClientGetsItsAnswerFromTheNewProgram(t *testing.T) {
	i := newInn(t, "", "a")
	var out []byte
	done := make(chan error, 1)
	cmd := i.command("send", "-n", "a", "slow:20:50ms")
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		var err error
		out, err = cmd.Output()
		done <- err
	})
	i.awaitBegun("slow:20:50ms")
	i.mustReplace()
	if err := <-done; err != nil || !strings.Contains(string(out), "d19") {
		t.Errorf("got %q %v", out, err)
	}
}

func TestMessagesThatWaitKeepTheirOrder(t *testing.T) {
	i := newInn(t, "", "a")
	ids := []string{i.submit("a", "slow:20:50ms")}
	i.awaitBegun("slow:20:50ms")
	for n := range 5 {
		ids = append(ids, i.submit("a", fmt.Sprintf("echo:%d", n)))
	}
	i.mustReplace()
	ids = append(ids, i.submit("a", "echo:5"))
	for n, id := range ids[1:] {
		if got := i.answer(id); got != fmt.Sprint(n) {
			t.Errorf("got %q", got)
		}
	}
	if got := strings.Join(i.begun()[1:], " "); got != "echo:0 echo:1 echo:2 echo:3 echo:4 echo:5" {
		t.Errorf("begun %s", got)
	}
}

func TestTurnOfTheOldProgramIsCancelled(t *testing.T) {
	i := newInn(t, "", "a")
	id := i.submit("a", "hang")
	i.awaitBegun("hang")
	i.mustReplace()
	pid := i.ps()["a@"].PID
	if st := mustTell[ipc.MessageState](i, ipc.MethodCancel, ipc.MessageID{ID: id}); st.State != "interrupting" {
		t.Errorf("got %+v", st)
	}
	if end := mustTell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{id}}); end.State != "cancelled" {
		t.Errorf("got %+v", end)
	}
	if i.ask("a", "echo:on"); i.ps()["a@"].PID != pid {
		t.Error("the agent is another one")
	}
}

func TestAgentsOfTheOldProgramAreStopped(t *testing.T) {
	i := newInn(t, "max_processes = 3", "a", "b", "c", "d")
	for _, team := range []string{"b", "a", "c"} {
		i.ask(team, "echo:x")
	}
	i.ask("b", "echo:y") // the order of use is a c b
	i.mustReplace()
	first := mustTell[ipc.Stopped](i, ipc.MethodEvict, ipc.Target{Oldest: true})
	if len(first.Stopped) != 1 || first.Stopped[0].Team != "a" {
		t.Errorf("evicted %+v", first)
	}
	i.ask("a", "echo:back") // c b a
	i.ask("d", "echo:room") // takes the place of c
	if ps := i.ps(); len(ps) != 3 || ps["c@"].PID != 0 || ps["b@"].Messages != 2 {
		t.Errorf("got %v", ps)
	}
	i.mustReplace()
	killed := mustTell[ipc.Stopped](i, ipc.MethodKill, ipc.Target{Team: "b"})
	if len(killed.Stopped) != 1 {
		t.Errorf("killed %+v", killed)
	}
	i.eventually("the end of the agent", func() bool { _, err := os.Stat(fmt.Sprintf("/proc/%d", killed.Stopped[0].PID)); return err != nil })
	ids := []string{i.submit("a", "hang"), i.submit("d", "hang")}
	i.eventually("both turns", func() bool { return len(i.begun()) == 8 })
	i.mustReplace()
	mustTell[ipc.Stopped](i, ipc.MethodKill, ipc.Target{All: true})
	for _, id := range ids {
		if end := mustTell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{id}}); end.State != "cancelled" {
			t.Errorf("got %+v", end)
		}
	}
}

func TestAgentThatDiesAfterTheReplacementIsNoticed(t *testing.T) {
	i := newInn(t, "", "a", "b")
	i.ask("a", "echo:x")
	id := i.submit("b", "hang")
	i.awaitBegun("hang")
	i.mustReplace()
	for _, p := range i.ps() {
		if q, err := os.FindProcess(p.PID); err != nil || q.Kill() != nil {
			t.Fatal(err)
		}
	}
	i.eventually("the end of both", func() bool { return len(i.ps()) == 0 })
	if end := mustTell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{id}}); end.State != "unknown" {
		t.Errorf("got %+v", end)
	}
	if got := i.ask("a", "count"); got != "2" {
		t.Errorf("got %q", got)
	}
}

func TestUnfitProgramLeavesTheDaemonAsItIs(t *testing.T) {
	t.Parallel() // one of them is waited for
	i := newInn(t, "", "a")
	i.ask("a", "echo:x")
	id := i.submit("a", "slow:120:100ms")
	i.awaitBegun("slow:120:100ms")
	before, ps := i.status(), i.ps()
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct{ program, why string }{
		{"iris", "absolute"},
		{filepath.Join(dir, "missing"), "no such file"},
		{script("plain", "exit 0", 0o600), "permission denied"},
		{script("one", "echo broken >&2; exit 1", 0o700), "broken"},
		{script("mute", "exit 0", 0o700), "does not take over"},
		{script("old", "echo handover 0", 0o700), "does not take over"},
		{script("journal", `for d; do :; done; echo newer > "$d/journal"; exec `+i.iris+` "$@"`, 0o700), "journal"},
		{script("hangs", "sleep 60", 0o700), "no answer"},
	} {
		err := i.replace(c.program)
		if err == nil || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), "stays") {
			t.Errorf("%s: got %v, want %q", filepath.Base(c.program), err, c.why)
		}
	}
	after := i.status()
	if after.Generation != 1 || after.PID != before.PID || i.ps()["a@"].PID != ps["a@"].PID {
		t.Errorf("got %+v", after)
	}
	if got := i.answer(id); !strings.Contains(got, "d119") {
		t.Errorf("got %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(i.dir, "state", "iris", "trial.*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestBadConfigurationRefusesTheReplacement(t *testing.T) {
	i := newInn(t, "", "a")
	i.ask("a", "echo:x")
	file := filepath.Join(i.dir, "config", "iris", "config.toml")
	if err := os.WriteFile(file, []byte("nonsense = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := i.replace(i.iris); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %v", err)
	}
	if got := i.ask("a", "count"); got != "2" {
		t.Errorf("got %q", got)
	}
}
