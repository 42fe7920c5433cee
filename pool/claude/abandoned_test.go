package claude

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"iris/pool/turn"
)

// Lines of a message whose subagent, in the background, asks for permission. The
// program has lifecycle, agent_id and is_backgrounded in newer versions only; in older
// ones the return of the call says that its work goes on.
const (
	messageStarts = `{"type":"command_lifecycle","command_uuid":"u","state":"started"}`
	messageHeard  = `{"type":"user","message":{"role":"user","content":"x"},"parent_tool_use_id":null,"uuid":"u","isReplay":true}`
	workStarts    = `{"type":"system","subtype":"task_started","task_id":"a1","run_id":"r","tool_use_id":"toolu_agent","is_backgrounded":true,"description":"d"}`
	workBegun     = `{"type":"system","subtype":"task_started","task_id":"a1","run_id":"r","tool_use_id":"toolu_agent","description":"d"}`
	workGoesOn    = `{"type":"user","message":{"content":[{"type":"tool_result","is_error":false,"tool_use_id":"toolu_agent","content":"launched"}]},"parent_tool_use_id":null}`
	workListed    = `{"type":"system","subtype":"background_tasks_changed","tasks":[{"task_id":"a1","run_id":"r","task_type":"local_agent","description":"d"}]}`
	workCalls     = `{"type":"assistant","message":{"content":[{"type":"tool_use","id":"toolu_sub","name":"Write","input":{"n":1}}]},"parent_tool_use_id":"toolu_agent"}`
	workEnds      = `{"type":"system","subtype":"task_updated","task_id":"a1","run_id":"r","patch":{"status":"completed"}}`
	workReported  = `{"type":"result","subtype":"success","result":"noted","num_turns":1,"stop_reason":"end_turn","origin":{"kind":"task-notification","runId":"r"},"permission_denials":[]}`
	messageEnds   = `{"type":"result","subtype":"success","result":"launched","num_turns":2,"stop_reason":"end_turn","user_message_uuids":["u"],"permission_denials":[]}`
	runs          = `{"type":"system","subtype":"session_state_changed","state":"running"}`
	idles         = `{"type":"system","subtype":"session_state_changed","state":"idle"}`
)

// workTold is the result of the subagent's call.
func workTold(said, more string) string {
	return `{"type":"user","message":{"content":[{"type":"tool_result","is_error":true,"tool_use_id":"toolu_sub","content":` + string(quoted(said)) +
		`}]},"parent_tool_use_id":"toolu_agent"` + more + `}`
}

// settled is how the message has ended by the lines before it and its own.
func settled(t *testing.T, before, lines []string) *turn.Result {
	t.Helper()
	var s spoolScanner
	text := func(lines []string) *bytes.Reader { return bytes.NewReader([]byte(strings.Join(lines, "\n") + "\n")) }
	if err := s.before(text(before)); err != nil {
		t.Fatal(err)
	}
	s.notes.expect("u", false)
	if err := s.after(text(append([]string{runs}, lines...))); err != nil {
		t.Fatal(err)
	}
	r := s.evidence(true).Result
	if r == nil {
		t.Fatal("no end")
	}
	return r
}

// No line says that a call of a subagent in the background was denied since its
// approval was lost. The message is denied nevertheless.
func TestLostApprovalOfASubagent(t *testing.T) {
	pending := askFailed + "AbortError: " + streamClosed
	later := askFailed + "Error: Stream closed"
	long := strings.Replace(workCalls, `"n":1`, `"n":"`+strings.Repeat("x", 2*chunk)+`"`, 1)
	for name, c := range map[string]struct {
		lines []string
		tool  string
	}{
		"pending":           {[]string{messageStarts, workListed, workStarts, workCalls, subagentAsks, messageEnds, workTold(pending, `,"agent_id":"a1"`), workEnds, workReported, idles}, "Write"},
		"asked later":       {[]string{messageStarts, workListed, workStarts, messageEnds, workCalls, workTold(later, `,"agent_id":"a1"`), workEnds, workReported, idles}, "Write"},
		"without agent_id":  {[]string{messageStarts, workListed, workStarts, messageEnds, workCalls, workTold(later, ""), workEnds, workReported, idles}, "Write"},
		"only listed":       {[]string{messageStarts, workListed, messageEnds, workCalls, workTold(later, `,"agent_id":"a1"`), workEnds, workReported, idles}, "Write"},
		"without lifecycle": {[]string{messageHeard, workBegun, workGoesOn, messageEnds, idles, workCalls, workTold(later, ""), workEnds, workReported, idles}, "Write"},
		"other words":       {[]string{messageStarts, workStarts, workCalls, subagentAsks, messageEnds, workTold("Another: "+streamClosed+" (why)", ""), workEnds, workReported, idles}, "Write"},
		"long call":         {[]string{messageStarts, workStarts, long, subagentAsks, messageEnds, workTold(pending, ""), workEnds, workReported, idles}, "Write"},
		"call is gone":      {[]string{messageStarts, workStarts, messageEnds, workTold(pending, ""), workEnds, workReported, idles}, "unknown tool"},
	} {
		r := settled(t, nil, c.lines)
		want := "denied: " + c.tool + " (approval lost: the daemon ended while it was pending)"
		if r.Outcome != turn.Denied || r.Reason != turn.ApprovalLost || r.Err != want || len(r.Denials) != 1 || r.Denials[0].Tool != c.tool {
			t.Errorf("%s: got %+v", name, r)
		}
		if given := len(r.Denials) == 1 && r.Denials[0].Input != nil; given != (c.tool == "Write") {
			t.Errorf("%s: input: %v", name, given)
		}
	}
}

// A call that was decided is no lost one, nor is one that has run and printed the
// words, nor one of work that an earlier message began.
func TestSubagentWithoutALostApproval(t *testing.T) {
	pending := askFailed + "AbortError: " + streamClosed
	rest := []string{workEnds, workReported, idles}
	for name, c := range map[string]struct{ before, lines []string }{
		"denied by a person": {nil, []string{messageStarts, workStarts, workCalls, subagentAsks, messageEnds, workTold("not this one", "")}},
		"allowed":            {nil, []string{messageStarts, workStarts, workCalls, subagentAsks, messageEnds, strings.Replace(workTold(pending, ""), `"is_error":true,`, "", 1)}},
		"printed":            {nil, []string{messageStarts, workStarts, workCalls, subagentAsks, messageEnds, workTold("Exit code 1\n"+pending, "")}},
		"of earlier work":    {[]string{workListed, workStarts, workCalls}, []string{messageStarts, workTold(pending, `,"agent_id":"a1"`), messageEnds}},
		"of unknown work":    {nil, []string{messageStarts, workTold(pending, `,"agent_id":"a1"`), messageEnds}},
		"after the message":  {nil, []string{messageStarts, messageEnds, idles, workStarts, workCalls, workTold(pending, "")}},
	} {
		r := settled(t, c.before, append(c.lines, rest...))
		if r.Outcome != turn.Success || r.Reason != "" || len(r.Denials) > 0 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// A subagent in the foreground has its denial in the result too: it counts once.
func TestLostApprovalCountsOnce(t *testing.T) {
	ends := strings.Replace(messageEnds, `[]`, `[{"tool_use_id":"toolu_sub","tool_name":"Write","tool_input":{"n":1}}]`, 1)
	r := settled(t, nil, []string{messageStarts, strings.Replace(workStarts, "true", "false", 1), workCalls,
		workTold(askFailed+"Error: "+streamClosed, ""), ends, idles})
	if r.Outcome != turn.Denied || r.Reason != turn.ApprovalLost || len(r.Denials) != 1 {
		t.Errorf("got %+v", r)
	}
}

// afterDaemon kills a daemon while a tool needs permission, and settles its message
// when the agent is gone.
func afterDaemon(t *testing.T, a *asked) *turn.Result {
	t.Helper()
	d := killDaemon(t, a.rig, "can_use_tool", "echo:one", a.call)
	left, err := Orphans(a.o.Spools)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, l := range left { // none when it was quick
		if err := l.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	e, err := ReadOutcome(a.o.Spools, a.o.ID, d.offset, "", false)
	if err != nil || e.Result == nil {
		t.Fatalf("settled: %+v, %v", e, err)
	}
	return e.Result
}

// The approval of a subagent is lost with the daemon too, wherever the subagent works.
func TestRealLostApprovalOfASubagent(t *testing.T) {
	for name, background := range map[string]bool{"background": true, "foreground": false} {
		t.Run(name, func(t *testing.T) {
			r := afterDaemon(t, realSubagent(t, background))
			if r.Outcome != turn.Denied || r.Reason != turn.ApprovalLost || len(r.Denials) != 1 || r.Denials[0].Tool != "Bash" || r.Denials[0].Input == nil {
				t.Errorf("got %+v", r)
			}
		})
	}
}
