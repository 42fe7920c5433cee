//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"iris/ipc"
	"iris/pool/claude/claudetest"
)

// The real program notices nothing: an idle agent keeps its conversation, a
// streamed answer and a tool go on.
func TestRealAgentsOutliveTheProgramOfTheDaemon(t *testing.T) {
	t.Parallel()
	program := claudetest.Real(t)
	stub := claudetest.NewStub()
	defer stub.Close()
	var vars []string
	for _, v := range stub.Env(t.TempDir()) {
		name, value, _ := strings.Cut(v, "=")
		vars = append(vars, fmt.Sprintf("%s = %q", name, value))
	}
	i := newInn(t, "")
	toml := ""
	for _, team := range []string{"idle", "stream", "tool"} {
		toml += fmt.Sprintf("[teams.%s]\ndir = %q\ncommand = %q\nargs = [\"--allowedTools=Bash\"]\nenv = { %s }\n", team, t.TempDir(), program, strings.Join(vars, ", "))
	}
	if err := os.WriteFile(filepath.Join(i.dir, "config", "iris", "config.toml"), []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	i.run("daemon", "reload")
	i.ask("idle", "echo:remember")
	first := mustTell[ipc.Reply](i, ipc.MethodSend, ipc.Send{Team: "stream", Text: "echo:first"})
	i.ask("tool", "echo:first")
	before := i.ps()
	gate, open := i.gate()
	stream := i.submit("stream", "slow:30:@"+gate)
	tool := i.submit("tool", fmt.Sprintf(`tool:Bash:{"command":"touch %s.waits; %s; echo ran","description":"d"}`, gate, untilOpen(gate)))
	i.eventually("both turns", func() bool {
		streams := slices.ContainsFunc(stub.Turns(), func(r claudetest.Request) bool { return strings.HasPrefix(r.User, "slow:30:") })
		_, err := os.Stat(gate + ".waits")
		return streams && err == nil
	})
	for range 2 {
		i.mustReplace()
	}
	if ps := i.ps(); ps["stream@"].State != "busy" || ps["tool@"].State != "busy" || ps["idle@"].State != "idle" {
		t.Errorf("got %+v", ps)
	}
	if got := i.ask("idle", "dump"); !strings.Contains(got, "remember") {
		t.Errorf("the idle agent has %q", got)
	}
	open()
	if got := i.answer(stream); !strings.Contains(got, "d0 d1") || !strings.Contains(got, "d29") {
		t.Errorf("streamed: %q", got)
	}
	if got := i.answer(tool); !strings.Contains(got, "ran") {
		t.Errorf("tool: %q", got)
	}
	long := i.submit("stream", "slow:100000:100ms")
	i.eventually("the turn", func() bool { turns := stub.Turns(); return turns[len(turns)-1].User == "slow:100000:100ms" })
	i.mustReplace()
	mustTell[ipc.MessageState](i, ipc.MethodCancel, ipc.MessageID{ID: long})
	if end := mustTell[ipc.MessageState](i, ipc.MethodWait, ipc.Wait{IDs: []string{long}}); end.State != "cancelled" {
		t.Errorf("got %+v", end)
	}
	second := mustTell[ipc.Reply](i, ipc.MethodSend, ipc.Send{Team: "stream", Text: "echo:second"})
	if second.SessionID != first.SessionID || second.CostUSD <= 0 || second.CostUSD > 10*first.CostUSD {
		t.Errorf("session %s and %s, cost %g and %g", first.SessionID, second.SessionID, first.CostUSD, second.CostUSD)
	}
	for name, p := range i.ps() {
		if before[name].PID != p.PID {
			t.Errorf("%s was %d and is %d", name, before[name].PID, p.PID)
		}
	}
}
