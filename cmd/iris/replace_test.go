//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"iris/ipc"
)

func TestReplacedDaemonKeepsItsAgentsWarm(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "a", "b")
	i.ask("a", "echo:one")
	i.ask("b", "echo:two")
	i.ask("echo", "three")
	before, events := i.ps(), mustTell[ipc.EventList](i, ipc.MethodEvents, ipc.EventQuery{})
	i.mustReplace()
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", i.status().PID)); err != nil || string(comm) != "iris\n" {
		t.Errorf("its process is called %q: %v", comm, err)
	}
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
	now := mustTell[ipc.EventList](i, ipc.MethodEvents, ipc.EventQuery{})
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
	t.Parallel()
	i := newInn(t, "", "a")
	i.ask("a", "echo:first")
	pid := i.ps()["a@"].PID
	gate, open := i.gate()
	id := i.submit("a", "slow:20:@"+gate)
	i.awaitBegun("slow:20:@" + gate)
	i.mustReplace()
	if p := i.ps()["a@"]; p.State != "busy" || p.Message != id || p.PID != pid {
		t.Errorf("got %+v", p)
	}
	open()
	if got := i.answer(id); !strings.HasSuffix(strings.TrimSpace(got), "d19") {
		t.Errorf("got %q", got)
	}
	m := mustTell[ipc.Message](i, ipc.MethodShow, ipc.MessageRef{ID: id})
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
	t.Parallel()
	i := newInn(t, "", "a")
	var out []byte
	done := make(chan error, 1)
	gate, open := i.gate()
	cmd := i.command("send", "-n", "a", "slow:20:@"+gate)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		var err error
		out, err = cmd.Output()
		done <- err
	})
	i.awaitBegun("slow:20:@" + gate)
	i.mustReplace()
	open()
	if err := <-done; err != nil || !strings.Contains(string(out), "d19") {
		t.Errorf("got %q %v", out, err)
	}
}

func TestMessagesThatWaitKeepTheirOrder(t *testing.T) {
	t.Parallel()
	i := newInn(t, "", "a")
	gate, open := i.gate()
	ids := []string{i.submit("a", "slow:20:@"+gate)}
	i.awaitBegun("slow:20:@" + gate)
	for n := range 5 {
		ids = append(ids, i.submit("a", fmt.Sprintf("echo:%d", n)))
	}
	i.mustReplace()
	ids = append(ids, i.submit("a", "echo:5"))
	open()
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
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
	gate, open := i.gate()
	id := i.submit("a", "slow:120:@"+gate)
	i.awaitBegun("slow:120:@" + gate)
	before, ps := i.status(), i.ps()
	dir := t.TempDir()
	script := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := writeProgram(path, "#!/bin/sh\n"+text+"\n", mode); err != nil {
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
	open()
	if got := i.answer(id); !strings.Contains(got, "d119") {
		t.Errorf("got %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(i.dir, "state", "iris", "trial.*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestBadConfigurationRefusesTheReplacement(t *testing.T) {
	t.Parallel()
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
